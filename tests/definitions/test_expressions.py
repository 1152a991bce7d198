from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.expressions import compile, document, failures, lookup
from schemas.records import Event

NOON = 1_714_564_800_000  # 2024-05-01 12:00 UTC

NAMES: dict[str, Any] = {
    "event": {
        "name": "Order Completed",
        "properties": {
            "total": 12.5,
            "count": 4,
            "big": 9_007_199_254_740_993,
            "tags": ["a", "b"],
            "lines": [{"price": 1, "quantity": 2}, {"price": 3, "quantity": 1}],
            "nothing": None,
            "coupon": "MAY",
            "gift": True,
        },
    },
    "person": {"traits": {"age": 40}},
    "now": NOON,
}


@pytest.mark.parametrize(
    "source",
    [
        "event.properties.total > 10",
        "event.properties.total * 2 > 20",
        "12.5 * 2 == 25",
        "event.properties.count / 8 == 0.5",
        "event.properties.count - 1 >= 3",
        "-event.properties.count < -3",
        "event.properties.count % 2 == 0",
        "event.properties.count in [4, 5]",
        "size(event.properties.tags) + 1 == 3",
        "size(event.properties.tags) * 1.5 == 3",
        "event.properties.tags[size(event.properties.tags) - 1] == 'b'",
        "event.properties.tags[0] == 'a'",
        "event.properties['coupon'] == 'MAY'",
        "event.properties.big == 9007199254740993",
        "event.properties.lines.exists(l, l.price * l.quantity > 2)",
        "event.properties.lines.all(l, l.price * 2 >= 2)",
        "event.properties.lines.map(l, l.price * 2)[1] == 6",
        "event.properties.lines.filter(l, l.quantity == 2).size() == 1",
        "event.properties.gift && person.traits.age >= 18",
        "!has(event.properties.missing)",
        "event.properties.nothing == null",
        "event.name == 'Order Completed' ? true : false",
        "event.properties.coupon.startsWith('M') && event.properties.coupon.matches('^[A-Z]+$')",
        "now - timestamp('2024-05-01T11:00:00Z') <= duration('1h')",
        "now.getHours() + 1 == 13",
        "timestamp('2024-05-01T00:00:00Z') < now // a comment",
        "string(5) == '5' && int(7.9) == 7",
        "0x10 == 16 && 1e3 == 1000.0 && 5u == 5u",
        "type(event.properties.coupon) == string",
        "\"\\u00e9\" == 'é'",
        "{'a': 1}.a == 1",
        "true",
    ],
)
def test_what_holds(source: str) -> None:
    assert compile(source).holds(NAMES) is True


@pytest.mark.parametrize(
    "source",
    [
        "event.properties.missing > 1",
        "event.properties.missing.deeper == 'x'",
        "event.properties.nothing.deeper == 1",
        "event.properties.total > 1 && event.properties.missing > 1",
        "event.properties.tags[7] == 'x'",
        "view.properties.name == 'Lamp'",
        "person.traits.city == 'Kyiv'",
    ],
)
def test_a_missing_property_is_no_match_and_nothing_to_worry_about(source: str) -> None:
    assert compile(source).holds(NAMES) is False
    assert source not in failures()


@pytest.mark.parametrize(
    "source",
    [
        "event.properties.coupon > 5",
        "event.properties.coupon * 2 > 5",
        "event.properties.total",
        "timestamp(event.properties.coupon) < now",
    ],
)
def test_other_failures_are_no_match_as_a_whole_and_counted(source: str) -> None:
    before = failures().get(source, 0)
    assert compile(source).holds(NAMES) is False
    assert failures()[source] == before + 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "an expression is expected"),
        ("event.properties.x >", "ends too early (at character 21"),
        ("event.properties.x = 1", "write == to compare"),
        ("event.properties.x > 1)", "unexpected ')'"),
        ("event..x", "a property name is expected"),
        ("[1, 2", "before the end"),
        ("event.properties.x # 1", "unexpected '#'"),
        ("lower(event.name) == 'a'", "unknown function lower()"),
        ("event.properties.tags.exists(1)", "takes a name and a condition"),
        ("'a'", "is a value, not a condition"),
        ("event.properties.x + 1", "compare it"),
        ("has(event)", "has()"),
        ("break == 1", "reserved"),
        ("(" * 500 + "true" + ")" * 500, "nested too deeply"),
        ("!" * 500 + "true", "nested too deeply"),
        ("true" + " " * 5000 + "&& true", "characters"),
    ],
)
def test_what_can_not_be_compiled_says_why(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        compile(source)


def test_the_names_it_reads_are_known_without_those_of_macros() -> None:
    expression = compile("event.properties.lines.exists(l, l.price > entry.properties.price) && l == 1")
    assert expression.roots == {"event", "entry", "l"}
    assert ("event", "properties", "lines") in expression.paths


def test_two_of_the_same_source_are_equal() -> None:
    assert compile("event.properties.x > 1") == compile(" event.properties.x > 1 ")
    assert repr(compile("true")) == "Expression(source='true')"


numbers = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))


@settings(deadline=None)
@given(numbers, numbers, st.sampled_from(["+", "-", "*"]), st.sampled_from(["<", "<=", "==", "!=", ">", ">="]))
def test_arithmetic_of_whole_and_broken_numbers_is_that_of_doubles(a: float, b: float, op: str, compare: str) -> None:
    left = {"+": float(a) + float(b), "-": float(a) - float(b), "*": float(a) * float(b)}[op]
    right = float(b)
    expected = {
        "<": left < right,
        "<=": left <= right,
        "==": left == right,
        "!=": left != right,
        ">": left > right,
        ">=": left >= right,
    }[compare]
    literal = f"({b})" if b >= 0 else f"(-{abs(b)})"
    names = {"event": {"properties": {"a": a, "b": b}}}
    if "e" not in literal:
        assert compile(f"event.properties.a {op} {literal} {compare} event.properties.b").holds(names) is expected
    assert compile(f"event.properties.a {op} event.properties.b {compare} event.properties.b").holds(names) is expected


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(json, st.text(alphabet="ab.()[]!&|=<>+-*/%?:'\"1 ,{}", max_size=30))
def test_no_source_and_no_event_raises_anything_else(properties: Any, source: str) -> None:
    try:
        expression = compile(source)
    except ValueError:
        expression = compile("event.properties.a == 1 || event.properties.b.c > 2")
    assert expression.holds({"event": {"properties": properties}, "a": properties}) in (True, False)


def test_the_document_of_an_event() -> None:
    event = Event(
        message_id="m",
        event_id="e",
        type="track",
        name="Order Completed",
        channel="web",
        identifiers=["user_id:1"],
        occurred_at=NOON + 5,
        received_at=NOON + 6,
        source="s",
        properties=msgspec.json.encode({"order": {"id": 7, "lines": [{"price": 1}]}}),
        traits=b"{}",
        context=b"",
    )
    made = document(event)
    assert made["timestamp"] == "2024-05-01T12:00:00.005Z"
    assert (made["name"], made["context"], made["send_id"]) == ("Order Completed", {}, None)
    assert lookup(made, "properties.order.id") == 7
    assert lookup(made, "event.properties.order.id") == 7
    assert lookup(made, "properties.order.lines.0.price") == 1
    assert lookup(made, "properties.order.nope") is None
    assert lookup(made, "properties.order.id.deeper") is None
