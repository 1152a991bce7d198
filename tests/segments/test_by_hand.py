"""Corners of the language, worked out by hand from what is fixed about its meaning: who does what, and what follows."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.definitions.durations import duration, spoken
from schemas.identifiers import person_id
from tests.line.project import START, Lab, Simulated, identify, track

EVENTS = """
Order Completed: {same: properties.order_id, revenue: properties.revenue, undo: [Order Refunded, Order Cancelled]}
"""

#: by what it is about: a condition, what somebody does so long after the first instant (Monday noon), and what follows
CASES: dict[str, tuple[str, list[tuple[Any, ...]], list[str]]] = {
    "an event on the last instant of a window goes on": (
        "{did: A, within: 1d}",
        [("0s", "A"), ("1d", "A")],
        ["0s entered event", "2d left timer"],
    ),
    "one a second later comes back": (
        "{did: A, within: 1d}",
        [("0s", "A"), ("1d1s", "A")],
        ["0s entered event", "1d left timer", "1d1s entered event", "2d1s left timer"],
    ),
    "one leaves as the next one enters": (
        "{did: A, between: [5d, 2d]}",
        [("0s", "A"), ("3d", "A")],
        ["2d entered timer", "8d left timer"],
    ),
    "two at the same time that lie back": (
        "{did: A, between: [5d, 2d], count: {at_least: 2}}",
        [("0s", "A"), ("1d", "A")],
        ["3d entered timer", "5d left timer"],
    ),
    "exactly one": (
        "{did: A, within: 1d, count: {exactly: 1}}",
        [("0s", "A"), ("6h", "A")],
        ["0s entered event", "6h left event", "1d entered timer", "1d6h left timer"],
    ),
    "at most one is true of none": (
        "{did: A, within: 1d, count: {at_most: 1}}",
        [("0s", "V"), ("1h", "A"), ("2h", "A")],
        ["0s entered event", "2h left event", "1d1h entered timer"],
    ),
    "neither too few nor too many": (
        "{did: A, within: 1d, count: {at_least: 2, at_most: 3}}",
        [("0s", "A"), ("1h", "A"), ("2h", "A"), ("3h", "A")],
        ["1h entered event", "3h left event", "1d entered timer", "1d2h left timer"],
    ),
    "exactly none": (
        "{did: A, within: 1d, count: {exactly: 0}}",
        [("0s", "V"), ("1h", "A")],
        ["0s entered event", "1h left event", "1d1h entered timer"],
    ),
    "absence begins when the window ends": (
        "{not: {did: A, within: 40d}}",
        [("0s", "A")],
        ["40d entered timer"],
    ),
    "text is no number": (
        "{did: A, where: event.properties.total > 20}",
        [
            ("0s", "A", {"total": "30"}),
            ("1h", "A"),
            ("2h", "A", {"total": None}),
            ("3h", "A", {"total": 20}),
            ("4h", "A", {"total": 20.5}),
        ],
        ["4h entered event"],
    ),
    "lines that are no lines": (
        '{did: A, each: properties.products, where: item.c == "tea", count: {at_least: 3}, within: 1d}',
        [
            ("0s", "A", {"products": [{"c": "tea"}, {"c": "tea"}, {"c": "x"}]}),
            ("1h", "A", {"products": "no"}),
            ("2h", "A", {"products": [{"c": "tea"}, None, 7]}),
        ],
        ["2h entered event", "1d left timer"],
    ),
    "bought but not lately": (
        "{all: [{did: A, within: 30d}, {not: {did: A, within: 10d}}]}",
        [("0s", "A"), ("5d", "A"), ("40d", "A")],
        ["15d entered timer", "35d left timer", "50d entered timer", "70d left timer"],
    ),
    "absence of something that lies back": (
        "{not: {did: A, between: [5d, 2d]}}",
        [("0s", "A")],
        ["0s entered event", "2d left timer", "5d entered timer"],
    ),
    "three at once flap": (
        "{did: A, within: 1d, count: {exactly: 2}}",
        [("0s", "A"), ("0s", "A"), ("0s", "A")],
        ["0s entered event", "0s left event"],
    ),
    "steps of one instant": (
        "{did_in_order: [A, B], within: 1d}",
        [("0s", "B"), ("0s", "A")],
        ["0s entered event", "1d left timer"],
    ),
    "one event is one step": (
        "{did_in_order: [A, A], within: 1d}",
        [("0s", "A")],
        [],
    ),
    "the way that begins last counts": (
        "{did_in_order: [A, B], within: 1d}",
        [("0s", "A"), ("3h", "A"), ("5h", "B")],
        ["5h entered event", "1d3h left timer"],
    ),
    "the same product in all steps": (
        "{did_in_order: [A, B], within: 1d, same: properties.p}",
        [("0s", "A", {"p": 1}), ("1h", "A", {"p": 2}), ("2h", "B", {"p": 3}), ("3h", "B"), ("4h", "B", {"p": 1})],
        ["4h entered event", "1d left timer"],
    ),
    "the first step leaves as the last comes": (
        "{did_in_order: [A, B], within: 1d}",
        [("0s", "A"), ("1d", "B")],
        [],
    ),
    "three of one kind": (
        "{did_in_order: [A, A, A], within: 1d}",
        [("0s", "A"), ("1h", "A"), ("1h", "A"), ("2h", "A")],
        ["1h entered event", "1d1h left timer"],
    ),
    "not in this order": (
        "{not: {did_in_order: [A, B], within: 1d}}",
        [("0s", "A"), ("1h", "B")],
        ["0s entered event", "1h left event", "1d entered timer"],
    ),
    "an order that lies back": (
        "{did_in_order: [A, B], between: [5d, 1d]}",
        [("0s", "A"), ("1h", "B")],
        ["1d1h entered timer", "5d left timer"],
    ),
    "what is no number is not summed": (
        "{sum: {of: properties.total, event: A, at_least: 10}}",
        [
            ("0s", "A", {"total": 60}),
            ("1h", "A", {"total": -50}),
            ("2h", "A", {"total": None}),
            ("3h", "A", {"total": "1000"}),
            ("4h", "A"),
            ("5h", "A", {"total": -1}),
            ("6h", "A", {"total": True}),
            ("7h", "A", {"total": [5]}),
            ("8h", "A", {"total": 1.0}),
        ],
        ["0s entered event", "5h left event", "8h entered event"],
    ),
    "of nothing the sum is 0": (
        "{sum: {of: properties.total, event: A, at_most: 0}}",
        [("0s", "V"), ("1h", "A", {"total": 0.1}), ("2h", "A", {"total": -0.1})],
        ["0s entered event", "1h left event", "2h entered event"],
    ),
    "an average of nothing is none": (
        "{average: {of: properties.total, event: A, within: 1d, at_most: 10}}",
        [("0s", "A", {"total": 5}), ("1h", "A", {"total": 20})],
        ["0s entered event", "1h left event"],
    ),
    "the greatest leaves": (
        "{max: {of: properties.total, event: A, within: 1d, at_most: 5}}",
        [("0s", "A", {"total": 7}), ("1h", "A", {"total": 3})],
        ["1d entered timer", "1d1h left timer"],
    ),
    "what is missing is no value": (
        "{distinct: {of: properties.s, event: A, within: 1d, at_least: 2}}",
        [
            ("0s", "A", {"s": "K"}),
            ("1h", "A", {"s": "K"}),
            ("2h", "A", {"s": None}),
            ("3h", "A"),
            ("4h", "A", {"s": "L"}),
        ],
        ["4h entered event", "1d1h left timer"],
    ),
    "decimal fractions": (
        "{sum: {of: properties.total, event: A, equals: 0.3}}",
        [
            ("0s", "A", {"total": 0.1}),
            ("1h", "A", {"total": 0.2}),
            ("2h", "A", {"total": 0.1}),
            ("3h", "A", {"total": -0.1}),
        ],
        ["1h entered event", "2h left event", "3h entered event"],
    ),
    "a sum that lies back": (
        "{sum: {of: properties.total, event: A, between: [5d, 2d], at_least: 100}}",
        [("0s", "A", {"total": 60}), ("1d", "A", {"total": 40}), ("4d", "A", {"total": 100})],
        ["3d entered timer", "5d left timer", "6d entered timer", "9d left timer"],
    ),
    "the last one has no such property": (
        "{last: {event: A, of: properties.s, equals: K}}",
        [("0s", "A", {"s": "K"}), ("1d", "A", {"s": "L"}), ("2d", "A", {"s": "K"}), ("3d", "A")],
        ["0s entered event", "1d left event", "2d entered event", "3d left event"],
    ),
    "nor the first": (
        "{first: {event: A, of: properties.s, equals: K}}",
        [("0s", "A"), ("1d", "A", {"s": "K"})],
        [],
    ),
    "a favourite of several is the latest": (
        "{most_frequent: {of: properties.s, event: A, equals: tea}}",
        [("0s", "A", {"s": "tea"}), ("1h", "A", {"s": "cup"}), ("2h", "A", {"s": "tea"})],
        ["0s entered event", "1h left event", "2h entered event"],
    ),
    "the last one moves the window": (
        "{last: {event: A, between: [5d, 2d]}}",
        [("0s", "A"), ("3d", "A")],
        ["2d entered timer", "3d left event", "5d entered timer", "8d left timer"],
    ),
    "so long ago at least": (
        "{last: {event: A, at_least: 7d}}",
        [("0s", "A"), ("3d", "A")],
        ["10d entered timer"],
    ),
    "a number is neither text nor true": (
        "{trait: age, at_least: 18}",
        [
            ("0s", "traits", {"age": "20"}),
            ("1h", "traits", {"age": 18}),
            ("2h", "traits", {"age": 17.99}),
            ("3h", "traits", {"age": True}),
            ("4h", "traits", {"age": 99}),
        ],
        ["1h entered event", "2h left event", "4h entered event"],
    ),
    "told again it is held on": (
        "{trait: tier, held_for: 30d}",
        [("0s", "traits", {"tier": "g"}), ("10d", "traits", {"tier": "g"}), ("31d", "traits", {"tier": "s"})],
        ["30d entered timer", "31d left event", "61d entered timer"],
    ),
    "held until the second": (
        "{trait: tier, equals: gold, held_for: 10d}",
        [("17d", "traits", {"tier": "gold"}), ("27d1s", "traits", {"tier": "silver"})],
        ["27d entered timer", "27d1s left event"],
    ),
    "a birthday of 23 hours": (
        "{trait: birthday, anniversary: {within: 0d}}",
        [("0s", "traits", {"birthday": "1990-03-29"})],
        ["26d10h entered timer", "27d9h left timer"],
    ),
    "around a day where the person is": (
        "{trait: d, within: 1d}",
        [("0s", "traits", {"d": "2026-03-20", "timezone": "Asia/Tokyo"})],
        ["16d3h entered timer", "18d3h left timer"],
    ),
    "taken back before it was told": (
        "{did: Order Completed}",
        [("0s", "Order Cancelled", {"order_id": "1"}), ("1h", "Order Completed", {"order_id": "1", "revenue": 10})],
        [],
    ),
    "a part taken back before it was told": (
        "{sum: {of: properties.revenue, event: Order Completed, at_least: 7}}",
        [
            ("0s", "Order Refunded", {"order_id": "1", "revenue": 5}),
            ("1h", "Order Completed", {"order_id": "1", "revenue": 10}),
            ("2h", "Order Completed", {"order_id": "2", "revenue": 2}),
        ],
        ["2h entered event"],
    ),
    "completed by later reports": (
        "{sum: {of: properties.revenue, event: Order Completed, at_least: 7}}",
        [
            ("0s", "Order Completed", {"order_id": "1"}),
            ("1h", "Order Completed", {"order_id": "1", "revenue": 10}),
            ("2h", "Order Completed", {"order_id": "1", "revenue": 100}),
            ("3h", "Order Cancelled", {"order_id": "1"}),
        ],
        ["1h entered event", "3h left event"],
    ),
    "the first report says when": (
        '{did: Order Completed, where: event.properties.city == "K", within: 1d}',
        [("0s", "Order Completed", {"order_id": "1"}), ("1h", "Order Completed", {"order_id": "1", "city": "K"})],
        ["1h entered event", "1d left timer"],
    ),
    "the greatest is taken back in part": (
        "{max: {of: properties.revenue, event: Order Completed, at_least: 10}}",
        [
            ("0s", "Order Completed", {"order_id": "1", "revenue": 10}),
            ("1h", "Order Refunded", {"order_id": "1", "revenue": 1}),
            ("2h", "Order Completed", {"order_id": "2", "revenue": 11}),
            ("3h", "Order Refunded", {"order_id": "2", "revenue": 99}),
        ],
        ["0s entered event", "1h left event", "2h entered event", "3h left event"],
    ),
    "without a number it can not be taken back": (
        "{did: Order Completed}",
        [("0s", "Order Completed", {"revenue": 10}), ("1h", "Order Refunded", {"revenue": 10})],
        ["0s entered event"],
    ),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """All of them in one dry run, each a segment and a user of its own."""
    lab = Lab(tmp_path_factory.mktemp("by_hand"))
    lab.files({"project.yaml": "name: shop\ntimezone: Europe/Kyiv", "events.yaml": EVENTS})
    messages = []
    for number, (when, story, _) in enumerate(CASES.values()):
        lab.segment(f"case_{number}", when)
        for place, (after, name, *said) in enumerate(story):
            told = {"traits": said[0]} if name == "traits" else {"properties": said[0] if said else {}}
            told["messageId"] = f"{number}-{place}"
            messages.append(
                identify(_at(after), f"u{number}", **told)
                if name == "traits"
                else track(name, _at(after), f"u{number}", **told)
            )
    return lab.simulate(sorted(messages, key=lambda message: message["timestamp"]), _at("100d"))


@pytest.mark.parametrize("name", CASES)
def test_what_follows(run: Simulated, name: str) -> None:
    number = list(CASES).index(name)
    key = (person_id(f"user_id:u{number}"), f"case_{number}")
    changes = [one for one in run.memberships if (one["person_id"], one["segment"]) == key]
    assert [f"{_after(one['at'])} {one['change']} {one['cause']}" for one in changes] == CASES[name][2]


def _at(after: str) -> str:
    """An instant so long (`1d1s`) after the first."""
    passed = sum(duration(part) for part in re.findall(r"\d+[a-z]+", after))
    return (START + timedelta(milliseconds=passed)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _after(instant: str) -> str:
    return spoken(round((datetime.fromisoformat(instant) - START).total_seconds() * 1000))
