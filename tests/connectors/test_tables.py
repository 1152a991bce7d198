"""CSV and Parquet as messages, by a mapping file or by the names of their columns."""

from __future__ import annotations

import gzip
import io
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.inbound.files import open_source, open_sources, read_mapping
from connectors.inbound.files.base import BadSource, Item, head_of, repeatable, share_of

ORDERS = """
columns:
  customer: userId
  bought at: {to: timestamp, dates: ["%d.%m.%Y %H:%M", "%d.%m.%Y"], timezone: Europe/Kyiv}
  sum: properties.total
  items: {to: properties.items, type: integer}
  card: context.externalIds.loyalty_card
  mail: [traits.email, context.traits.email]
  ok: context.consent.categoryPreferences.email
constants: {event: Order Completed, context.channel: store, properties.currency: UAH}
delimiter: ";"
encoding: windows-1251
decimal: ","
empty: ["-"]
"""


def items(path: Path, text: str | bytes, mapping: str | None = None) -> list[Item]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(opened(path, mapping).items())


def opened(path: Path, mapping: str | None) -> Any:
    if mapping is None:
        return open_source(str(path))
    (path.parent / "mapping.yaml").write_text(mapping)
    return open_source(str(path), read_mapping(path.parent / "mapping.yaml"))


def messages(path: Path, text: str | bytes, mapping: str | None = None) -> list[Any]:
    return [item.message or item.problem for item in items(path, text, mapping)]


def test_a_row_becomes_a_message_as_the_mapping_says(tmp_path: Path) -> None:
    text = (
        "customer;bought at;sum;items;card;mail;ok;note\r\n"
        "u1;01.03.2026 12:30;1 234,50;2;;a@b.co;так\r\n"
        'u2;31.03.2026;-;3;77;;yes;"два\r\nрядки"\r\n'
    )
    first, second = messages(tmp_path / "o.csv", text.encode("windows-1251"), ORDERS)
    assert first == "7 values, there are 8 columns"
    assert second == {
        "type": "track",
        "event": "Order Completed",
        "userId": "u2",
        "timestamp": "2026-03-30T21:00:00.000Z",
        "properties": {"currency": "UAH", "items": 3},
        "context": {
            "channel": "store",
            "externalIds": [{"type": "loyalty_card", "id": "77"}],
            "consent": {"categoryPreferences": {"email": True}},
        },
    }


@pytest.mark.parametrize(
    ("cell", "options", "expected"),
    [
        ("1 234,50", 'decimal: ","', 1234.5),
        ("1.234.567,5", 'decimal: ",", thousands: "."', 1234567.5),
        ("12", "", 12),
        ("-3e2", "", -300.0),
        ("12,50", "", """column n: '12,50' is not a number; `decimal: ","` reads 12,5"""),
        ("1.5", 'decimal: ","', "column n: '1.5' is not a number"),
        ("nan", "", "column n: 'nan' is not a number"),
        ("2.5", "type: integer", "column n: 2.5 is not a whole number"),
        ("007", "type: text", "007"),
        ("maybe", "type: boolean", "column n: 'maybe' is neither true nor false (yes, no, 1, 0)"),
        ('{"a": [1]}', "type: json", {"a": [1]}),
        ("1767225600.5", "type: time, dates: unix", "2026-01-01T00:00:00.500Z"),
        ("1767225600500", "type: time, dates: [iso, unix_ms]", "2026-01-01T00:00:00.500Z"),
        ("2026-07-01", "type: time, timezone: America/New_York", "2026-07-01T04:00:00.000Z"),
        ("July", "type: time", "column n: 'July' is not a time (iso)"),
    ],
)
def test_values_are_read_as_their_column_is_said_to_be(tmp_path: Path, cell: str, options: str, expected: Any) -> None:
    mapping = (
        f"columns:\n  n: {{to: properties.total, {options}}}\n  who: userId\n  at: timestamp\nconstants: {{event: E}}"
    )
    quoted = cell.replace('"', '""')
    [found] = messages(tmp_path / "a.csv", f'n,who,at\n"{quoted}",u,2026-01-01\n', mapping)
    assert (found if isinstance(found, str) else found["properties"]["total"]) == expected


def test_rows_keep_their_bytes_and_one_bad_row_costs_no_other(tmp_path: Path) -> None:
    lines = [
        b"userId,event,timestamp",
        b'u1,"A',
        b'B",2026-01-01',
        b'u2,"open,2026-01-01',
        b"u3,\xff,2026-01-01",
        b"",
        b"u4,C,2026-01-01",
    ]
    found = items(tmp_path / "a.csv", b"\r\n".join(lines))
    assert [item.raw for item in found] == [b"\r\n".join(lines[1:3]), *lines[3:5], lines[6]]
    assert [item.problem.partition(":")[0] for item in found] == ["", "not CSV", "not utf-8", ""]
    assert head_of(open_source(str(tmp_path / "a.csv"))) == lines[0]


def test_utf_16_is_read_when_told_and_its_rows_can_be_put_right(tmp_path: Path) -> None:
    text = "userId,event,timestamp\r\nu1,Їжак,2026-01-01\r\n,X\r\n"
    for encoding in ("utf-16", "utf-16-be"):
        mark = b"" if encoding == "utf-16" else b"\xfe\xff"
        with pytest.raises(BadSource, match=r"a\.csv is UTF-16: say so in a mapping file, encoding: utf-16"):
            items(tmp_path / "a.csv", mark + text.encode(encoding))
    mapping = "columns: {userId: userId, event: event, timestamp: timestamp}\nencoding: utf-16"
    first, second = items(tmp_path / "a.csv", text.encode("utf-16"), mapping)
    assert first.message is not None
    assert first.message["event"] == "Їжак"
    assert (second.raw, second.problem) == (b",X", "2 values, there are 3 columns")
    assert head_of(opened(tmp_path / "a.csv", mapping)) == b"userId,event,timestamp"
    with pytest.raises(BadSource, match=r"a\.csv is not utf-16: .*truncated data"):
        items(tmp_path / "a.csv", text.encode("utf-16")[:-1], mapping)


@given(
    rows=st.lists(
        st.tuples(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc"))), st.text('",\n\r ;x')), max_size=8
    )
)
def test_whatever_was_written_as_csv_is_read_again(rows: list[tuple[str, str]]) -> None:
    import csv
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["userId", "event", "timestamp", "properties.a", "properties.b"])
            writer.writerows(["u", "E", "2026-01-01", *row] for row in rows)
        found = [
            item.message["properties"] if item.message and "properties" in item.message else {}
            for item in open_source(str(path)).items()
        ]
    wanted = [{name: value for name, value in zip("ab", row, strict=True) if value} for row in rows]
    assert found == wanted


def test_columns_named_as_fields_need_no_mapping(tmp_path: Path) -> None:
    text = "\ufefftype;userId;timestamp;event;properties.total;context.channel;traits\n"
    text += 'page;u1;2026-01-01;;1.5;web;"{""a"":1}"\n'
    [message] = messages(tmp_path / "a.csv", text)
    assert message == {
        "type": "page", "userId": "u1", "timestamp": "2026-01-01T00:00:00.000Z", "properties": {"total": 1.5},
        "context": {"channel": "web"}, "traits": {"a": 1},
    }  # fmt: skip
    with pytest.raises(BadSource) as refused:
        items(tmp_path / "b.csv", "customer,total\n1,2\n")
    assert "no fields of a message: customer, total" in str(refused.value)
    assert "nothing gives the timestamp" in str(refused.value)
    assert "--mapping FILE" in str(refused.value)


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        (
            "columns: {custmer: userId, at: timestamp}\nconstants: {event: E}",
            "mapping.yaml:1:11: there is no column custmer in",
        ),
        (
            "columns: {customer: user, at: timestamp}",
            "1:11: user is no field of a message (did you mean userId?); there are type, event",
        ),
        ("columns: {customer: userId}\nconstants: {event: E}", "nothing gives the timestamp"),
        ("columns: {at: timestamp}\nconstants: {event: E}", "nothing says whose an event is"),
        ("columns: {customer: userId, at: timestamp}", "nothing gives the event"),
        ("columns: {customer: {to: userId, type: nmber}, at: timestamp}", "type nmber is none of text, number"),
        ("columns: {customer: userId}\ntimezone: Kiev", "timezone: Kiev is none"),
        ("columns: {customer: userId}\ndates: dd.mm.yyyy", "is none of iso, unix, unix_ms, and no pattern"),
        ("columns: {customer: userId}\nencoding: ansi-9", "encoding ansi-9 is unknown"),
        ("columns: {customer: userId}\nseparator: x", "2:1: unknown key separator; there are columns, constants"),
        ("columns: [a]", "columns: {COLUMN: FIELD} is needed"),
        ("a: [", "mapping.yaml"),
    ],
)
def test_a_wrong_mapping_says_where_and_what_would_be_right(tmp_path: Path, mapping: str, told: str) -> None:
    with pytest.raises(BadSource) as refused:
        items(tmp_path / "a.csv", "customer,at\nu,2026-01-01\n", mapping)
    assert told in str(refused.value)
    if "custmer" in mapping:
        assert "(did you mean customer?); there are customer, at" in str(refused.value)


def table(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_has_nested_columns_and_types_of_its_own(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.parquet",
        buyer=pa.array([{"id": 7, "mail": {"main": "a@b.co"}}, {"id": None, "mail": None}]),
        at=pa.array([datetime(2026, 3, 1, 12), None], pa.timestamp("us")),
        paid=pa.array([Decimal("12.50"), None]),
        lines=pa.array([[{"sku": "x", "n": 1}], []]),
        city=["Kyiv", "Lviv"],
    )
    mapping = """
timezone: Europe/Kyiv
columns:
  {buyer.id: userId, buyer.mail.main: traits.email, at: timestamp, paid: properties.total, lines: properties.products}
constants: {event: E}
rest: properties
"""
    first, second = [item.message for item in opened(path, mapping).items()]
    assert first == {
        "type": "track", "event": "E", "userId": 7, "traits": {"email": "a@b.co"},
        "timestamp": "2026-03-01T10:00:00.000Z",
        "properties": {"total": 12.5, "products": [{"sku": "x", "n": 1}], "city": "Kyiv"},
    }  # fmt: skip
    assert second == {"type": "track", "event": "E", "properties": {"products": [], "city": "Lviv"}}
    with pytest.raises(BadSource, match=r"there are buyer, buyer.id, buyer.mail, buyer.mail.main, at"):
        opened(path, "columns: {buyer.no: userId, at: timestamp}\nconstants: {event: E}")


def test_parquet_of_messages_needs_no_mapping(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    path = table(
        tmp_path / "named_otherwise", type=["track"], event=["E"], userId=["u"], messageId=["m"],
        timestamp=pa.array([at], pa.timestamp("ms", "UTC")), properties=['{"total": 3}'], context=[{"channel": "web"}],
    )  # fmt: skip
    source = opened(path, None)
    [item] = source.items()
    assert item.message == {
        "type": "track", "event": "E", "userId": "u", "messageId": "m", "timestamp": "2026-03-01T00:00:00.000Z",
        "properties": {"total": 3}, "context": {"channel": "web"},
    }  # fmt: skip
    assert orjson.loads(item.raw) == item.message
    assert share_of(source) == 1.0


def test_packed_files_are_unpacked_whatever_they_are_called(tmp_path: Path) -> None:
    line = b'{"type": "track"}\n'
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line) + gzip.compress(line))
    with pa.CompressedOutputStream(str(tmp_path / "b.jsonl.zst"), "zstd") as file:
        file.write(line * 2)
    (tmp_path / "c.jsonl").write_bytes((tmp_path / "b.jsonl.zst").read_bytes())
    for name in ("a.jsonl.gz", "b.jsonl.zst", "c.jsonl"):
        source = open_source(str(tmp_path / name))
        assert len(list(source.items())) == 2
        assert share_of(source) == 1.0
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line)[:-4])
    with pytest.raises(BadSource, match=r"a.jsonl.gz can't be unpacked"):
        list(open_source(str(tmp_path / "a.jsonl.gz")).items())
    with gzip.open(tmp_path / "d.csv.gz", "wb") as packed:
        packed.write(b"userId,event,timestamp\nu,E,2026-01-01\n")
    assert len(list(open_source(str(tmp_path / "d.csv.gz")).items())) == 1


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04...", "a zip or Excel file"),
        (b'[{"type": "track"},\n{}]', "is one JSON array: one message a line is expected"),
        (b"PAR1 and no more", "is not a whole Parquet file"),
    ],
)
def test_a_file_of_another_format_is_told(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(BadSource, match=told):
        items(tmp_path / "a.jsonl", data)


def test_several_files_are_one_source_and_a_pattern_may_get_more(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"event": "{name}"}}\n')
    several = open_source(f"{tmp_path}/[ab].jsonl")
    assert [item.message["event"] for item in several.items() if item.message] == ["a", "b"]
    assert share_of(several) == 1.0
    chosen = open_sources([f"{tmp_path}/c.jsonl", f"{tmp_path}/a.jsonl"])
    assert [item.message["event"] for item in chosen.items() if item.message] == ["c", "a"]
    (tmp_path / "aa.jsonl").write_text("{}\n")
    assert open_source(f"{tmp_path}/*.jsonl").id == open_source(f"{tmp_path}/*.jsonl").id
    with pytest.raises(BadSource, match="no file fits"):
        open_source(f"{tmp_path}/*.json")


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"type": "track"}\n')))
    source = open_source("-")
    assert not repeatable(source)
    assert share_of(source) is None
    assert [item.message for item in source.items()] == [{"type": "track"}]


def test_the_mapping_of_the_docs_is_sound(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "history.md").read_text("utf-8")
    mapping = page.split("```yaml\n")[1].split("```")[0]
    text = "customer;card;mail;bought at;number;sum\nu1;7;a@b.co;01.03.2026 12:30;9;1 234,5\n"
    [message] = messages(tmp_path / "a.csv", text, mapping)
    assert message == {
        "type": "track", "event": "Order Completed", "userId": "u1", "messageId": "9",
        "timestamp": "2026-03-01T10:30:00.000Z", "properties": {"order_id": "9", "total": 1234.5},
        "context": {
            "channel": "store", "externalIds": [{"type": "loyalty_card", "id": "7"}], "traits": {"email": "a@b.co"},
        },
    }  # fmt: skip
