"""The Avro schemas: versions stay readable with each other, and the typed records say the same as they do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.codec import BadRecord, Codec, IdFile, versions
from schemas.compatibility import check, incompatible
from schemas.records import RECORDS, Link, LinkEnvelope, Wire

V1 = {"type": "record", "name": "Thing", "fields": [{"name": "a", "type": "string"}]}


def with_field(**field: Any) -> dict[str, Any]:
    return {**V1, "fields": [*V1["fields"], field]}  # type: ignore[misc]


def test_all_versions_of_all_schemas_can_be_read_with_one_another() -> None:
    assert check() == []


def test_an_added_field_with_a_default_is_compatible_both_ways() -> None:
    v2 = with_field(name="b", type=["null", "string"], default=None)
    assert incompatible("thing", {1: V1, 2: v2}) == []


def test_an_added_field_without_a_default_is_named() -> None:
    (problem,) = incompatible("thing", {1: V1, 2: with_field(name="b", type="string")})
    assert problem.startswith("thing: what v1 writes can't be read with v2")
    assert "b" in problem


def test_a_version_is_compared_with_all_before_it_not_with_the_last_alone() -> None:
    v2 = with_field(name="b", type="string", default="x")
    v3 = with_field(name="b", type="int", default=1)
    assert incompatible("thing", {1: V1, 2: v2}) == []
    assert [p[:40] for p in incompatible("thing", {1: V1, 2: v2, 3: v3})] == [
        "thing: what v3 writes can't be read with",
        "thing: what v2 writes can't be read with",
    ]


@pytest.mark.parametrize(("name", "record"), RECORDS.items())
def test_records_have_the_fields_and_defaults_of_their_schema(name: str, record: type[Wire]) -> None:
    newest = list(versions(name).values())[-1]
    assert_same(record, newest)


def assert_same(record: type[msgspec.Struct], schema: dict[str, Any]) -> None:
    fields = msgspec.structs.fields(record)
    assert [field.name for field in fields] == [field["name"] for field in schema["fields"]], schema["name"]
    for mine, theirs in zip(fields, schema["fields"], strict=True):
        assert theirs.get("doc"), f"{schema['name']}.{mine.name} has no doc"
        if "default" in theirs:
            default = [] if mine.default_factory is list else mine.default
            assert default == theirs["default"], f"{schema['name']}.{mine.name}"
        else:
            assert mine.required, f"{schema['name']}.{mine.name} has a default in records.py only"


def test_what_is_written_can_be_read() -> None:
    codec = Codec()
    link = LinkEnvelope(kind="link", link=Link(a="user_id:1", b="email:a@example.com", seen_at=5, source="test"))
    assert codec.decode(LinkEnvelope, codec.encode(link)) == link


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "not a framed Avro record"),
        (b"", "not a framed Avro record"),
        (b"{}\x00\x00\x00\x00", "not a framed Avro record"),
        (b"\x00\x00\x00\xff\xffx", "unknown schema id 65535"),
        (b"\x00" + IdFile().id_of("event", 1).to_bytes(4, "big"), "expected here"),
        (b"\x00" + IdFile().id_of("link", 1).to_bytes(4, "big") + b"\x08", "not a readable link record"),
    ],
)
def test_unusable_bytes_are_a_bad_record_with_a_reason(data: bytes | None, why: str) -> None:
    with pytest.raises(BadRecord, match=why):
        Codec().decode(LinkEnvelope, data)


def test_bytes_left_over_are_a_bad_record() -> None:
    codec = Codec()
    whole = codec.encode(LinkEnvelope(kind="link"))
    with pytest.raises(BadRecord, match="1 bytes left over"):
        codec.decode(LinkEnvelope, whole + b"x")


def test_ids_of_the_file_are_unique() -> None:
    ids = [i for name in RECORDS for version in versions(name) for i in [IdFile().id_of(name, version)]]
    assert len(ids) == len(set(ids))
