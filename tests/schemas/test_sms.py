"""Texts as SMS, by the figures of 3GPP TS 23.038 and 23.040."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import gsm

from schemas.sms import ROOM, decode, encode, split


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("", "GSM-7", 1),
        ("a" * 160, "GSM-7", 1),
        ("a" * 161, "GSM-7", 2),
        ("a" * 306, "GSM-7", 2),
        ("a" * 307, "GSM-7", 3),
        ("€" * 80, "GSM-7", 1),
        ("€" * 81, "GSM-7", 2),
        ("ж" * 70, "UCS-2", 1),
        ("ж" * 71, "UCS-2", 2),
        ("ж" * 134, "UCS-2", 2),
        ("ж" * 135, "UCS-2", 3),
        ("😀" * 35, "UCS-2", 1),
        ("😀" * 36, "UCS-2", 2),
        ("a" * 70 + "’", "UCS-2", 2),
        ("Grüße @ 5 £ [ok]", "GSM-7", 1),
    ],
)
def test_alphabet_and_number_of_segments(text: str, encoding: str, segments: int) -> None:
    found = split(text)
    assert (found.encoding, len(found.segments)) == (encoding, segments)


def test_what_makes_a_message_dear_is_named() -> None:
    assert split("It’s “yours” – 5 €").odd == "’“”–"


def test_a_character_of_two_places_is_not_split() -> None:
    assert [len(segment) for segment in split("a" * 152 + "€" + "b" * 100).segments] == [152, 101]
    assert [len(segment) for segment in split("ж" * 66 + "😀" + "ж" * 40).segments] == [66, 41]


@given(st.text(st.characters(codec="utf-8"), max_size=500))
def test_segments_are_the_text_and_fit(text: str) -> None:
    found = split(text)
    assert "".join(found.segments) == text
    alone, joined = ROOM[found.encoding]
    room = alone if len(found.segments) == 1 else joined
    unit = 1 if found.encoding == "GSM-7" else 2
    sizes = [len(encode(segment, found.encoding)) // unit for segment in found.segments]
    assert max(sizes) <= room
    assert sum(sizes) == found.units
    assert "".join(decode(encode(s, found.encoding), found.encoding) for s in found.segments) == text


def test_the_alphabet_is_that_of_other_implementations() -> None:
    table = gsm.GSM_CHARACTER_TABLE.replace("`", "")
    for character in table:
        if character != "\x1b":
            assert encode(character, "GSM-7") == gsm.gsm_encode(character)
