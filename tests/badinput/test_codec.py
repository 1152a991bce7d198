"""Bytes that are no record of the line are a BadRecord and nothing worse, whatever they claim to be."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import BadRecord, Codec, IdFile
from schemas.records import RECORDS, Definitions, Event, Update, Wire
from tests.badinput.foreign import CODEC, EVENT, records
from tests.badinput.poison import GOOD

WHOLE = {type(record): CODEC.encode(record) for record in GOOD.values()}


def use(kind: type[Wire], data: bytes) -> str:
    """What became of the bytes: why they can't be used, or "" for a record, which then can be written again."""
    try:
        record = CODEC.decode(kind, data)
    except BadRecord as bad:
        return str(bad)
    CODEC.encode(record)
    return ""


def framed(kind: type[Wire], body: bytes) -> bytes:
    return WHOLE[kind][:5] + body


def number(n: int) -> bytes:
    """Avro's writing of a long."""
    rest, out = (n << 1 ^ n >> 63) & 2**64 - 1, b""
    while rest > 0x7F:
        rest, out = rest >> 7, out + bytes([rest & 0x7F | 0x80])
    return out + bytes([rest])


kinds = st.sampled_from(sorted(RECORDS.values(), key=lambda kind: kind.__name__))


def test_every_schema_has_a_record_here() -> None:
    assert set(WHOLE) == set(RECORDS.values())


@given(kinds, st.binary(max_size=200))
def test_arbitrary_bytes(kind: type[Wire], data: bytes) -> None:
    use(kind, data)
    use(kind, framed(kind, data))


@given(kinds.flatmap(lambda kind: st.tuples(st.just(kind), records(kind).map(CODEC.encode))), st.data())
def test_real_records_cut_off_or_with_flipped_bits(record: tuple[type[Wire], bytes], data: st.DataObject) -> None:
    kind, whole = record
    assert use(kind, whole[: data.draw(st.integers(0, len(whole) - 1))])
    flipped = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        flipped[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    use(kind, bytes(flipped))


@settings(max_examples=50)
@given(kinds, st.integers(0, 2**32 - 1))
def test_ids_of_other_schemas_and_of_none(kind: type[Wire], id_: int) -> None:
    own = {int.from_bytes(framed(kind, b"")[1:], "big")} | ({7, 12} if kind is Update else set())
    if id_ not in own:
        assert use(kind, b"\0" + id_.to_bytes(4, "big") + WHOLE[kind][5:])


@pytest.mark.parametrize("length", [2**20, 2**40, 2**62, 2**63 - 1, -1, -5, -(2**40), -(2**63)])
def test_lengths_that_are_not_there_take_no_memory(length: int) -> None:
    start = b"".join([*(number(1) + b"x" for _ in range(4)), number(0)])
    claims = [
        (Event, number(length)),  # a string
        (Event, start + number(length) + number(10)),  # the identifiers, a list
        (Definitions, number(0) + number(0) + number(0) + number(length)),  # the files, a map
        (Update, number(0) * 5 + number(0) + number(length)),  # which of a union
    ]
    tracemalloc.start()
    try:
        for kind, claim in claims:
            assert use(kind, framed(kind, claim + b"\1" * 100))
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


def test_numbers_without_end_and_bytes_left_over() -> None:
    assert use(Event, framed(Event, b"\xff" * 100_000))
    assert use(Event, framed(Event, b"\x80" * 100_000 + b"\0"))
    assert "1 bytes left over" in use(Event, CODEC.encode(EVENT) + b"\0")


class Foreign:
    """A registry in which id 7 is whatever somebody registered there."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    def id_of(self, name: str, version: int) -> int:
        return IdFile().id_of(name, version)

    def schema_of(self, schema_id: int) -> Any:
        return self.schema


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("string", "of no record"),
        (["null", "string"], "of no record"),
        ({"type": "record", "name": "Event", "namespace": "shop", "fields": []}, "of shop.Event, pathline.Event is"),
        ({"type": "record", "name": "Event", "namespace": "pathline", "fields": [{}]}, "can't be understood"),
        ({"type": "record", "name": "Event", "namespace": "pathline", "fields": []}, "not a readable event record"),
        (None, "unknown schema id 7"),
    ],
)
def test_whatever_somebody_registered_in_the_registry(schema: Any, why: str) -> None:
    with pytest.raises(BadRecord, match=why):
        Codec(Foreign(schema)).decode(Event, b"\0\0\0\0\7" + WHOLE[Event][5:])
