"""SMS over SMPP 3.4: one session for what is sent, its delivery receipts and what people answer.

Long messages go as several segments joined by a user data header, or as one `message_payload`. A receipt is asked for
the last segment only, so a message has one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from urllib.parse import unquote
from uuid import UUID, uuid5

import orjson
import structlog
from pydantic import Field
from smpplib import consts

from connectors.outbound import smpp
from connectors.outbound.channel import Outcome, Take, Traits
from connectors.outbound.sms_inbound import answered, incoming
from connectors.settings import ConnectorSettings, address
from schemas.records import SendCommand
from schemas.settings import Settings
from schemas.sms import encode, split

log = structlog.get_logger()

#: wall seconds between the tries to reach a message centre that is away, before the message is put aside
RECONNECT = (0.1, 0.3, 0.6, 1.0, 2.0)
#: wall seconds between the tries to stay connected
LISTEN_AGAIN_SECONDS = 5.0
#: wall seconds a message centre that is busy is left alone for
THROTTLED_SECONDS = 1.0
#: how often the next segment of a message is tried while the centre is busy
BUSY_TRIES = 5
_SCHEMES = {"smpp": 2775, "smpps": 3550}
_DATA_CODING = {"GSM-7": consts.SMPP_ENCODING_DEFAULT, "UCS-2": consts.SMPP_ENCODING_ISO10646}
_UDHI = 0x40
_LONGEST_SHORT_MESSAGE = 254
_NAMESPACE = UUID("5a3f2f64-3c0e-5d0b-9b3c-6f6f1d0c7f11")

_BUSY = frozenset({consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RMSGQFUL})
_AWAY = frozenset({consts.SMPP_ESME_RINVBNDSTS, consts.SMPP_ESME_RALYBND, consts.SMPP_ESME_RSYSERR})
_LATER = frozenset({consts.SMPP_ESME_RSUBMITFAIL, consts.SMPP_ESME_RX_T_APPN})
_DEAD = frozenset(
    {consts.SMPP_ESME_RINVDSTADR, consts.SMPP_ESME_RINVDSTTON, consts.SMPP_ESME_RINVDSTNPI}
    | {consts.SMPP_ESME_RINVNUMDESTS, consts.SMPP_ESME_RINVDESTFLAG}
)
_REJECTED = frozenset({consts.SMPP_ESME_RX_P_APPN, consts.SMPP_ESME_RX_R_APPN, consts.SMPP_ESME_RDELIVERYFAILURE})


class SmppSettings(ConnectorSettings, env_prefix="PATHLINE_SMPP_"):
    """The message centre and how it is spoken to."""

    url: str = Field("", description="smpp:// or smpps://system_id:password@host[:port]; empty: the mailbox.")
    sender: str = Field("Pathline", description="Number or name (at most 11 characters) the messages come from.")
    system_type: str = Field("", description="As the centre wants it when binding.")
    timeout: float = Field(10.0, gt=0, description="Seconds an answer of the centre may take.")
    window: int = Field(10, ge=1, description="Most requests of a process that wait for an answer.")
    long: str = Field(
        "udh", pattern="^(udh|payload)$", description="Long messages: joined segments, or message_payload."
    )
    receipt_ids: str = Field(
        "same", pattern="^(same|decimal|hex)$", description="How receipts write ids: as answers do, or in another base."
    )


@dataclass(frozen=True, slots=True)
class Centre:
    """A message centre."""

    host: str
    port: int
    system_id: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False


def centre_of(url: str) -> Centre:
    """The centre of `smpp://` or `smpps://system_id:password@host[:port]`. Raises ValueError."""
    parts = address(url, _SCHEMES, "PATHLINE_SMPP_URL", "smpp:// or smpps://system_id:password@host[:port]")
    return Centre(
        host=parts.hostname or "",
        port=parts.port or _SCHEMES[parts.scheme],
        system_id=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "smpps",
    )


def connect(settings: Settings, channel: str) -> Sms:
    """SMS by the message centre of the settings, by default the mailbox. Raises ValueError for a wrong URL."""
    own = SmppSettings.of(channel)
    return Sms(centre_of(own.url or settings.smpp_catcher), own, channel)


class Sms:
    """A channel of SMS; one session carries everything both ways."""

    noun = "SMS"
    traits = Traits(handles=True)

    def __init__(self, centre: Centre, settings: SmppSettings, name: str = "sms") -> None:
        self.name = name
        self._centre = centre
        self._settings = settings
        self._session: smpp.Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting = asyncio.Lock()
        self._window = asyncio.Semaphore(settings.window)
        self._take: Take | None = None

    async def hand_over(self, command: SendCommand) -> Outcome:
        """Give one message to the centre; see `Channel`."""
        try:
            requests = self._requests(command)
        except ValueError as error:
            return Outcome("failed", str(error))
        for pause in (*RECONNECT, None):
            try:
                session = await self._bound()
            except smpp.Refused as error:
                return Outcome("away", str(error))
            except (OSError, ssl.SSLError) as error:
                log.warning("message centre away", host=self._centre.host, port=self._centre.port, error=str(error))
                if pause is not None:
                    await asyncio.sleep(pause)
                continue
            async with self._window:
                return await self._submit(session, requests)
        return Outcome("away", f"no message centre at {self._centre.host}:{self._centre.port}")

    async def listen(self, take: Take) -> None:
        """Stay bound, so that receipts and answers come in; see `Listening`."""
        self._take = take
        while True:
            with contextlib.suppress(OSError, smpp.Refused):
                await self._bound()
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def close(self) -> None:
        """Take leave of the centre."""
        if self._session is not None:
            await self._session.unbind()

    async def _submit(self, session: smpp.Session, requests: list[dict[str, object]]) -> Outcome:
        """All segments, one after the other. What is refused after a segment was taken leaves the message in doubt."""
        ids: list[str] = []
        for number, fields in enumerate(requests):
            try:
                answer = await self._patiently(session, fields, BUSY_TRIES if number else 0)
            except smpp.NotSent as error:
                return Outcome("ambiguous" if number else "away", str(error))
            except smpp.Broken as error:
                return Outcome("ambiguous", f"the session broke while the centre had the message: {error}")
            if answer.is_error():
                outcome = _refusal(answer.status)
                if number and outcome.kind in ("temporary", "away"):
                    return Outcome("ambiguous", f"segment {number + 1} of {len(requests)}: {outcome.detail}")
                return outcome
            id_ = (answer.message_id or b"").decode("ascii", "replace")
            ids.append(answered(id_, self._settings.receipt_ids))
        return Outcome("accepted", f"{len(requests)} segment{'s' if len(requests) > 1 else ''}", provider_id=ids[-1])

    async def _patiently(self, session: smpp.Session, fields: dict[str, object], tries: int) -> smpp.Pdu:
        """The answer to a submit_sm. A centre that is busy in the middle of a message is waited for."""
        for _ in range(tries):
            answer = await session.request("submit_sm", **fields)
            if answer.status not in _BUSY:
                return answer
            await asyncio.sleep(THROTTLED_SECONDS)
        return await session.request("submit_sm", **fields)

    def _requests(self, command: SendCommand) -> list[dict[str, object]]:
        """The submit_sm of each segment. Raises ValueError when the content can't be a message."""
        text = _text(command)
        found = split(text)
        coding = _DATA_CODING[found.encoding]
        common = {**_addresses(self._settings.sender, command.to), "data_coding": coding, "registered_delivery": 1}
        if len(found.segments) == 1 or self._settings.long == "payload":
            data = encode(text, found.encoding)
            if len(data) > _LONGEST_SHORT_MESSAGE or (self._settings.long == "payload" and len(found.segments) > 1):
                return [{**common, "message_payload": data}]
            return [{**common, "short_message": data}]
        if len(found.segments) > 255:
            raise ValueError(f"{len(found.segments)} segments; at most 255 can be joined")
        reference, count = uuid5(_NAMESPACE, command.send_id).bytes[0], len(found.segments)
        return [
            {
                **common,
                "esm_class": _UDHI,
                "registered_delivery": int(number == count),
                "short_message": bytes([5, 0, 3, reference, count, number]) + encode(segment, found.encoding),
            }
            for number, segment in enumerate(found.segments, 1)
        ]

    async def _bound(self) -> smpp.Session:
        """The session, bound anew if it ended. Raises OSError and smpp.Refused."""
        if self._loop is not asyncio.get_running_loop():
            self._loop, self._session = asyncio.get_running_loop(), None
            self._connecting, self._window = asyncio.Lock(), asyncio.Semaphore(self._settings.window)
        async with self._connecting:
            if self._session is None or self._session.closed:
                centre = self._centre
                self._session = await smpp.connect(
                    centre.host,
                    centre.port,
                    centre.system_id,
                    centre.password,
                    system_type=self._settings.system_type,
                    tls=centre.tls,
                    seconds=self._settings.timeout,
                    take=self._delivered,
                )
            return self._session

    async def _delivered(self, pdu: smpp.Pdu) -> None:
        if self._take is None:
            raise RuntimeError("nobody takes what comes in yet")
        for found in incoming(pdu, self._settings.receipt_ids):
            await self._take(found)


def _text(command: SendCommand) -> str:
    try:
        parts = orjson.loads(command.content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"content is not JSON: {error}") from None
    text = parts.get("text") if isinstance(parts, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise ValueError("the template gave no text")
    return text.replace("\r\n", "\n").strip()


def _addresses(sender: str, to: str) -> dict[str, object]:
    """Source and destination with their types of number: a name, a short code or an international number."""
    digits = to.removeprefix("+")
    if not digits.isdigit():
        raise ValueError(f"{to!r} is no phone number")
    number = sender.removeprefix("+")
    if not number.isdigit():
        source = {"source_addr_ton": consts.SMPP_TON_ALNUM, "source_addr_npi": consts.SMPP_NPI_UNK}
        number = sender[:11]
    elif len(number) <= 6:
        source = {"source_addr_ton": consts.SMPP_TON_NWSPEC, "source_addr_npi": consts.SMPP_NPI_UNK}
    else:
        source = {"source_addr_ton": consts.SMPP_TON_INTL, "source_addr_npi": consts.SMPP_NPI_ISDN}
    return {
        **source,
        "source_addr": number,
        "dest_addr_ton": consts.SMPP_TON_INTL,
        "dest_addr_npi": consts.SMPP_NPI_ISDN,
        "destination_addr": digits,
    }


def _refusal(status: int) -> Outcome:
    """What a command status says of a submit_sm."""
    said = smpp.describe(status)
    if status in _BUSY:
        return Outcome("away", said, retry_after=THROTTLED_SECONDS)
    if status in _AWAY:
        return Outcome("away", said)
    if status in _LATER:
        return Outcome("temporary", said)
    if status in _DEAD:
        return Outcome("refused", said, bounce="hard")
    if status in _REJECTED:
        return Outcome("refused", said, bounce="block")
    return Outcome("failed", said)
