"""A message centre for development: takes every SMS over SMPP, keeps it, and says that it was delivered.

Numbers that end in 0001 don't exist, messages to those that end in 0002 are never delivered, and for those that end in
0003 the centre is busy once, so that each can be tried. Any log-in will do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from smpplib import consts
from smpplib.smpp import make_pdu

from connectors.outbound.smpp import Broken, Numbers, answer_to, read_pdu
from schemas.sms import decode

DEAD, LOST, BUSY = "0001", "0002", "0003"
#: wall seconds from a message to its receipt
DELIVERY_SECONDS = 0.2
_UDHI, _RECEIPT, _UCS2 = 0x40, 0x04, 8
_SEQUENCE_OF_CENTRE = Numbers()

#: (from, to, text, its segments) of a whole message; returns its id
Keep = Callable[[str, str, str, int], str]


class MessageCentre:
    """Serves sessions; `keep` is called once for each message, when its last segment is there."""

    def __init__(self, keep: Keep, delay: float = DELIVERY_SECONDS) -> None:
        self._keep = keep
        self._delay = delay
        self._parts: dict[tuple[bytes, bytes, int], dict[int, bytes]] = {}
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Take connections; port 0 takes a free one."""
        return await asyncio.start_server(self._serve, host, port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(Broken, OSError):
            while True:
                request = await read_pdu(reader)
                if request.is_response():
                    continue
                writer.write(self._answer(request, writer))
                if request.command == "unbind":
                    break
        writer.close()

    def _answer(self, request: Any, writer: asyncio.StreamWriter) -> bytes:
        if request.command.startswith("bind_"):
            return answer_to(request, system_id="mailbox")
        if request.command != "submit_sm":
            return answer_to(request)
        to = request.destination_addr.decode("ascii", "replace")
        if to.endswith(DEAD):
            return answer_to(request, consts.SMPP_ESME_RINVDSTADR)
        if to.endswith(BUSY) and to not in self._busy:
            self._busy.add(to)
            return answer_to(request, consts.SMPP_ESME_RTHROTTLED)
        id_ = self._take(request)
        if request.registered_delivery:
            task = asyncio.ensure_future(self._report(request, id_, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return answer_to(request, message_id=id_)

    def _take(self, request: Any) -> str:
        """Keep a message when it is whole; the id of this segment."""
        data: bytes = getattr(request, "message_payload", None) or request.short_message or b""
        sender, to = request.source_addr or b"", request.destination_addr
        self._count += 1
        id_, count = f"{datetime.now(UTC):%H%M%S}{self._count:06d}", 1
        if (request.esm_class or 0) & _UDHI:
            reference, count, number = data[3], data[4], data[5]
            parts = self._parts.setdefault((sender, to, reference), {})
            parts[number] = data[data[0] + 1 :]
            if len(parts) < count:
                return id_
            data = b"".join(parts[place] for place in sorted(self._parts.pop((sender, to, reference))))
        text = decode(data, "UCS-2" if request.data_coding == _UCS2 else "GSM-7")
        self._keep(sender.decode("ascii", "replace"), f"+{to.decode('ascii', 'replace')}", text, count)
        return id_

    async def _report(self, request: Any, id_: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._delay)
        lost = request.destination_addr.decode("ascii", "replace").endswith(LOST)
        now = f"{datetime.now(UTC):%y%m%d%H%M}"
        text = (
            f"id:{id_} sub:001 dlvrd:{0 if lost else 1:03d} submit date:{now} done date:{now}"
            f" stat:{'UNDELIV' if lost else 'DELIVRD'} err:{5 if lost else 0:03d} text:"
        )
        receipt = make_pdu(
            "deliver_sm",
            client=_SEQUENCE_OF_CENTRE,
            source_addr=request.destination_addr.decode("ascii"),
            destination_addr=(request.source_addr or b"").decode("ascii", "replace"),
            esm_class=_RECEIPT,
            short_message=text.encode("ascii"),
        )
        if not writer.is_closing():
            writer.write(receipt.generate())
