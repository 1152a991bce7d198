"""A session with a message centre over SMPP 3.4: requests and their answers over one connection.

smpplib makes and reads the PDUs; its own client blocks and answers a delivery before anybody has kept it, so the
conversation is had here. Spec: SMPP v3.4 issue 1.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from smpplib import command as commands
from smpplib import consts
from smpplib.exceptions import PDUError, UnknownCommandError
from smpplib.smpp import make_pdu

log = structlog.get_logger()

#: PDUs above this are no messages (message_payload holds 64 KiB)
LONGEST_PDU = 128 * 1024
#: wall seconds without a word after which the centre is asked whether it is there
QUIET_SECONDS = 30.0
_HEADER = 16

Pdu = Any
#: takes a deliver_sm; the centre hears that it was taken when this returns, and delivers it again if it raises
Take = Callable[[Pdu], Awaitable[None]]


class Refused(Exception):
    """The centre does not let us in; the text says why."""


class Broken(ConnectionError):
    """The session ended."""


class NotSent(Broken):
    """The session had ended before the request was written."""


class NoAnswer(Broken):
    """The centre has not answered a request in time."""


class Numbers:
    """Sequence numbers, as smpplib asks for them."""

    sequence = 0

    def next_sequence(self) -> int:
        self.sequence = self.sequence % 0x7FFFFFFF + 1
        return self.sequence


async def read_pdu(reader: asyncio.StreamReader) -> Pdu:
    """The next PDU. Raises Broken at the end of the stream, and when what comes is no SMPP."""
    try:
        head = await reader.readexactly(_HEADER)
        length = int(struct.unpack(">L", head[:4])[0])
        if not _HEADER <= length <= LONGEST_PDU:
            raise Broken(f"a PDU of {length} bytes")
        data = head + await reader.readexactly(length - _HEADER)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise Broken(f"the connection ended: {error}") from error
    try:
        return _parsed(data)
    except (UnknownCommandError, PDUError, struct.error, IndexError, ValueError) as error:
        raise Broken(f"not a readable PDU: {error}") from error


def _parsed(data: bytes) -> Pdu:
    from smpplib.pdu import extract_command

    name = extract_command(data)
    # an unknown optional parameter is to be passed over (3.4, section 3.3)
    pdu = make_pdu(name, client=Numbers(), allow_unknown_opt_params=True)
    pdu.parse(data)
    return pdu


def answer_to(request: Pdu, status: int = consts.SMPP_ESME_ROK, **fields: object) -> bytes:
    """The bytes of the answer to a request."""
    pdu = make_pdu(f"{request.command}_resp", client=Numbers(), **fields)
    pdu.sequence, pdu.status = request.sequence, status
    return bytes(pdu.generate())


def describe(status: int) -> str:
    """A command status for people."""
    return f"0x{status:08X} {consts.DESCRIPTIONS.get(status, 'unknown status')}"


class Session:
    """One bound connection. Made by `connect`; `closed` once nothing can be sent over it any more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Take, timeout: float) -> None:
        self._reader = reader
        self._writer = writer
        self._take = take
        self._timeout = timeout
        self._numbers = Numbers()
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._taking: set[asyncio.Task[None]] = set()
        self.closed = False
        self._tasks = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._ask_now_and_then())]

    async def request(self, name: str, **fields: object) -> Pdu:
        """Send a request; the answer, whatever its status.

        Raises NotSent when the session had ended before. NoAnswer when none came in time and Broken when the session
        ends before it leave it open whether the request is carried out.
        """
        if self.closed:
            raise NotSent("the session is closed")
        pdu = make_pdu(name, client=self._numbers, **fields)
        answered: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._waiting[pdu.sequence] = answered
        try:
            self._writer.write(pdu.generate())
            await self._writer.drain()
            return await asyncio.wait_for(answered, self._timeout)
        except TimeoutError:
            self.close()
            raise NoAnswer(f"no answer to {name} within {self._timeout:.0f} s") from None
        except OSError as error:
            self.close()
            raise Broken(str(error)) from error
        finally:
            self._waiting.pop(pdu.sequence, None)

    async def unbind(self) -> None:
        """Take leave, as far as the centre cares for it."""
        with contextlib.suppress(Broken):
            await self.request("unbind")
        self.close()

    def close(self) -> None:
        """End it at once."""
        if self.closed:
            return
        self.closed = True
        for task in self._tasks:
            task.cancel()
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_exception(Broken("the session ended before the answer"))
        self._writer.close()

    async def _read(self) -> None:
        try:
            while True:
                self._handle(await read_pdu(self._reader))
        except Broken as error:
            if not self.closed:
                log.warning("SMPP session ended", why=str(error))
            self.close()

    def _handle(self, pdu: Pdu) -> None:
        if pdu.is_response():
            answered = self._waiting.get(pdu.sequence)
            if answered is not None and not answered.done():
                answered.set_result(pdu)
        elif pdu.command == "deliver_sm":
            # one after the other would let a slow one keep the answers to what we send waiting
            task = asyncio.ensure_future(self._deliver(pdu))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)
        elif pdu.command in ("enquire_link", "unbind"):
            self._writer.write(answer_to(pdu))
            if pdu.command == "unbind":
                self.close()
        elif isinstance(pdu, commands.DataSM | commands.SubmitSM):
            self._writer.write(answer_to(pdu, consts.SMPP_ESME_RINVCMDID))

    async def _deliver(self, pdu: Pdu) -> None:
        try:
            await self._take(pdu)
            status = consts.SMPP_ESME_ROK
        except Exception as error:
            log.warning("a delivery could not be taken, it comes again", error=str(error))
            status = consts.SMPP_ESME_RX_T_APPN
        if not self.closed:
            self._writer.write(answer_to(pdu, status))

    async def _ask_now_and_then(self) -> None:
        while not self.closed:
            await asyncio.sleep(QUIET_SECONDS)
            with contextlib.suppress(Broken):
                await self.request("enquire_link")


async def connect(
    host: str,
    port: int,
    system_id: str,
    password: str,
    *,
    system_type: str = "",
    tls: bool = False,
    seconds: float = 10.0,
    take: Take,
) -> Session:
    """Bind as a transceiver; each answer may take so many `seconds`.

    Raises OSError when the centre can't be reached, Refused when it does not let us in.
    """
    context = ssl.create_default_context() if tls else None
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port, ssl=context), seconds)
    session = Session(reader, writer, take, seconds)
    answer = await session.request("bind_transceiver", system_id=system_id, password=password, system_type=system_type)
    if answer.is_error():
        session.close()
        raise Refused(f"bind refused: {describe(answer.status)}")
    return session
