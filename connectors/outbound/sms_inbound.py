"""What a message centre delivers to us: receipts of our messages, and what people answer.

A receipt says which message it is about in optional parameters (SMPP 3.4, 5.3.2) or in the text of appendix B:
`id:123 sub:001 dlvrd:001 submit date:... done date:... stat:DELIVRD err:000 text:...`; centres differ in both.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from connectors.receipts import Incoming
from schemas.sms import decode

_KIND_OF_MESSAGE, _RECEIPT = 0x3C, 0x04
_UDHI = 0x40
_FIELD = re.compile(r"\b(id|stat|err|done date):\s*(\S+)", re.IGNORECASE)
#: message_state of the optional parameter, as texts write it
_STATES = dict(enumerate(["ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD"], 1))
#: final states; the others say that the message is on its way
_NAMES = {"DELIVRD": "SMS Delivered", **dict.fromkeys(("EXPIRED", "DELETED", "UNDELIV", "REJECTD"), "SMS Failed")}
_LATIN = frozenset({1, 3})
_UCS2 = 8


#: an answer that is no more than this takes consent back (CTIA, Messaging Principles and Best Practices)
STOP_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "стоп"})


def incoming(pdu: Any, receipt_ids: str = "same") -> list[Incoming]:
    """What a deliver_sm tells; nothing when it is a receipt that is not final.

    `receipt_ids` is the base in which receipts write the ids of messages: `decimal` where answers have them in
    hexadecimal, `hex` the other way round.
    """
    sender = _number(pdu.source_addr)
    if (pdu.esm_class or 0) & _KIND_OF_MESSAGE == _RECEIPT or getattr(pdu, "receipted_message_id", None):
        receipt = _receipt(pdu, sender, receipt_ids)
        return [] if receipt is None else [receipt]
    answer = _answer(pdu, sender)
    if str(answer.properties["text"]).strip().strip(".!").lower() in STOP_WORDS:
        return [answer, replace(answer, key=f"{answer.key}:stop", name="Unsubscribed")]
    return [answer]


def _receipt(pdu: Any, address: str, receipt_ids: str) -> Incoming | None:
    told = {name.lower(): value for name, value in _FIELD.findall(_text(pdu))}
    named = getattr(pdu, "receipted_message_id", None)
    id_ = named.decode("ascii", "replace").rstrip("\0") if named else told.get("id", "")
    state = _STATES.get(getattr(pdu, "message_state", None) or 0, "") or told.get("stat", "").upper()
    if state not in _NAMES or not id_:
        return None
    properties: dict[str, object] = {"state": state}
    if told.get("err", "").strip("0"):
        properties["error_code"] = told["err"]
    if _NAMES[state] == "SMS Failed":
        properties["reason"] = " ".join([state, *([f"err {told['err']}"] if "error_code" in properties else [])])
    return Incoming(
        key=f"{id_}:{state}",
        name=_NAMES[state],
        address=address,
        provider_id=_as_answered(id_, receipt_ids),
        at=_done(told.get("done date", "")),
        properties=properties,
    )


def _answer(pdu: Any, address: str) -> Incoming:
    text = _text(pdu)
    data = b"\0".join([pdu.source_addr or b"", pdu.destination_addr or b"", _data(pdu)])
    return Incoming(
        key=sha256(data).hexdigest()[:32],
        name="SMS Replied",
        address=address,
        properties={"text": text, "to": _number(pdu.destination_addr)},
    )


def answered(id_: str, receipt_ids: str) -> str:
    """The id of submit_sm_resp as receipts are looked up by: where the two differ in base, centres write the letters
    of hexadecimal ones in either case and pad them with zeros or not."""
    return _number_in(id_, {"decimal": 16, "hex": 10}.get(receipt_ids), receipt_ids)


def _as_answered(id_: str, receipt_ids: str) -> str:
    """The id of a receipt as `answered` made it of the answer's."""
    return _number_in(id_, {"decimal": 10, "hex": 16}.get(receipt_ids), receipt_ids)


def _number_in(id_: str, base: int | None, receipt_ids: str) -> str:
    """An id that is written to a base, in the base of answers; as it is where it is no number of that base."""
    if base is None:
        return id_
    try:
        number = int(id_, base)
    except ValueError:
        return id_
    return f"{number:X}" if receipt_ids == "decimal" else str(number)


def _data(pdu: Any) -> bytes:
    data: bytes = getattr(pdu, "message_payload", None) or pdu.short_message or b""
    if (pdu.esm_class or 0) & _UDHI and data:
        return data[data[0] + 1 :]
    return data


def _text(pdu: Any) -> str:
    coding, data = pdu.data_coding or 0, _data(pdu)
    if coding == _UCS2:
        return decode(data, "UCS-2")
    if coding in _LATIN or (pdu.esm_class or 0) & _KIND_OF_MESSAGE == _RECEIPT:
        return data.decode("latin-1")
    return decode(data, "GSM-7")


def _number(raw: bytes | None) -> str:
    """An address as it is written elsewhere in the line: E.164 where it is a number long enough for that."""
    text = (raw or b"").decode("ascii", "replace").strip()
    digits = text.removeprefix("+")
    return f"+{digits}" if digits.isdigit() and len(digits) > 6 else text


def _done(text: str) -> int | None:
    """`YYMMDDhhmm` with or without seconds, taken as UTC as centres mostly mean it."""
    for form in ("%y%m%d%H%M%S", "%y%m%d%H%M"):
        if len(text) == len(datetime.now(UTC).strftime(form)) and text.isdigit():
            try:
                return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp() * 1000)
            except ValueError:
                return None
    return None
