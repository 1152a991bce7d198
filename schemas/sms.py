"""Texts as SMS: which alphabet they need and how many segments they are (3GPP TS 23.038, 23.040).

The GSM 7-bit default alphabet holds 160 characters, those of its extension table counting two; anything beyond it makes
the whole message UCS-2, which holds 70 UTF-16 units. In a message of several segments each gives up room for the header
that joins them again: 153 and 67 are left. A character is never split between two segments, so the last place of a
segment may stay empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Encoding = Literal["GSM-7", "UCS-2"]

#: the default alphabet by code; the place of the escape is taken by a character that no text has
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\uffffÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
_ESCAPE = 0x1B
_GSM = {character: bytes([code]) for code, character in enumerate(_BASIC) if character != "\uffff"} | {
    character: bytes([_ESCAPE, code]) for character, code in _EXTENDED.items()
}
_FROM_GSM = {code: character for character, code in _GSM.items()}

#: encoding -> units in a message of one segment, and in each of several
ROOM: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}
#: how many segments can be joined
MOST_SEGMENTS = 255


@dataclass(frozen=True, slots=True)
class Split:
    """A text as segments. `units` are septets in GSM-7 and UTF-16 units in UCS-2; `odd` are the characters beyond the
    GSM alphabet, each once, in order."""

    encoding: Encoding
    segments: tuple[str, ...]
    units: int
    odd: str = ""


def split(text: str) -> Split:
    """The segments of a text; an empty text is one empty segment."""
    odd = "".join(dict.fromkeys(character for character in text if character not in _GSM))
    encoding: Encoding = "UCS-2" if odd else "GSM-7"
    units = sum(_size(character, encoding) for character in text)
    alone, joined = ROOM[encoding]
    if units <= alone:
        return Split(encoding, (text,), units, odd)
    segments, start, used = [], 0, 0
    for place, character in enumerate(text):
        size = _size(character, encoding)
        if used + size > joined:
            segments.append(text[start:place])
            start, used = place, 0
        used += size
    return Split(encoding, (*segments, text[start:]), units, odd)


def encode(text: str, encoding: Encoding) -> bytes:
    """A text in an alphabet, GSM-7 as one septet an octet (as SMPP takes it). Raises ValueError for what it lacks."""
    if encoding == "UCS-2":
        return text.encode("utf-16-be")
    try:
        return b"".join(_GSM[character] for character in text)
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is not in the GSM alphabet") from None


def decode(data: bytes, encoding: Encoding) -> str:
    """The text of such bytes; what stands for nothing becomes U+FFFD."""
    if encoding == "UCS-2":
        return data.decode("utf-16-be", "replace")
    text, place = [], 0
    while place < len(data):
        size = 2 if data[place] == _ESCAPE else 1
        text.append(_FROM_GSM.get(data[place : place + size], "\ufffd"))
        place += size
    return "".join(text)


def _size(character: str, encoding: Encoding) -> int:
    return len(_GSM[character]) if encoding == "GSM-7" else 1 + (ord(character) > 0xFFFF)
