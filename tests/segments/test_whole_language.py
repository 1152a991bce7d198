"""Merges over the whole language: a history over several identifiers that are linked ends like the same history under
one, and a split gives back what each would have been alone. Every kind of condition and of computed trait takes part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.step import SegmentsStage
from schemas import lists, topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.definitions.grammar.conditions import KINDS, OPERATORS
from schemas.definitions.grammar.measures import COMPUTED
from schemas.definitions.yaml12 import read as read_yaml
from schemas.identifiers import person_id
from schemas.records import Assertion, Event, LinkEnvelope, Update
from tests.examples import few

H = 3_600_000
T = 1_772_452_800_000  # Monday, 2026-03-02, noon UTC
USER = "user_id:u"
OTHERS = ("anonymous_id:a", "anonymous_id:b", "loyalty_card:c")
CODEC = Codec()

CONDITIONS = """
did: {did: View, within: 5h}
did_ever_two: {did: [View, Add], count: {at_least: 2}}
did_exactly: {did: Add, count: {exactly: 1}, within: 8h}
did_at_most: {did: View, count: {at_most: 2}, between: [9h, 2h]}
did_where: {did: Order, where: event.properties.total > 20, count: {at_least: 2}, within: 2d}
did_each: {did: Order, each: properties.products, where: item.price > 20, count: {at_least: 2}, within: 1d}
did_from: {did: View, from: 2026-03-02T18:00:00Z, to: 2026-03-03T06:00:00Z}
absence: {not: {did: Order, within: 6h}}
order: {did_in_order: [View, Add, Order], within: 10h}
order_same: {did_in_order: [View, {did: Add, where: event.properties.total > 5}], same: properties.product_id}
order_ever: {did_in_order: [Add, [View, Add]]}
sum: {sum: {event: Order, of: properties.total, within: 1d, at_least: 50}}
average: {average: {event: [Order, Add], of: properties.total, at_least: 20}}
min: {min: {event: Add, of: properties.total, within: 8h, at_most: 15}}
max: {max: {event: Order, of: item.price, each: properties.products, between: [2d, 3h], one_of: [30, 40]}}
distinct: {distinct: {event: View, of: properties.product_id, within: 12h, at_least: 2}}
most_frequent: {most_frequent: {event: [View, Add], of: properties.product_id, contains: "1"}}
first: {first: {event: View, within: 1d}}
first_of: {first: {event: Add, of: properties.product_id, equals: p1}}
last: {last: {event: Order, before: 4h}}
last_of: {last: {event: Order, of: properties.total, exists: true, not_equals: 15, after: 1d}}
last_between: {last: {event: View, between: [8h, 2h]}}
city: {trait: city, equals: Kyiv}
city_not: {trait: city, not_equals: Kyiv}
city_one: {trait: city, one_of: [Lviv, Odesa]}
city_exists: {trait: city, exists: false}
city_contains: {trait: city, contains: vi}
city_held: {trait: city, held_for: 5h}
age: {trait: age, at_least: 20, at_most: 40}
expires: {trait: expires, within: 6h}
expired: {trait: expires, before: 0s}
expires_after: {trait: expires, after: 2026-03-03}
birthday: {trait: birthday, anniversary: {within: 1d, after: 1d}}
cart: {trait: t_collect, contains: p1}
rhythm: {trait: t_interval, at_least: 0.1}
of_segment: {any: [{in: did}, {all: [{in: order}, {not: {in: sum}}]}]}
listed: {in: "list:vip"}
consent: {consent: email}
consent_purpose: {consent: {channel: email, purpose: promotions}}
consent_out: {consent: push}
reachable: {reachable: email}
prefers: {prefers: email}
prefers_not: {not: {prefers: sms}}
rfm: {rfm: {recency: [4, 5], frequency: [2, 3, 4, 5], monetary: [3, 4]}}
predicts: {predicts: {purchase: 1d, at_least: 0.5}}
predicts_value: {predicts: {value: 2d, at_least: 20, at_most: 80}}
predicts_churn: {predicts: {churn: ever, at_least: 0.3}}
hour: {trait: t_hour, at_least: 15}
time: {time: {from: "09:00", to: "18:00", days: [mon, wed]}}
percent: {percent: [32, 60], of: x}
"""
TRAITS = """
count: {count: {event: View, within: 1d}}
sum: {sum: {event: Order, of: properties.total}}
average: {average: {event: Order, of: properties.total, within: 1d}}
min: {min: {event: Add, of: properties.total}}
max: {max: {event: Order, of: properties.total, between: [1d, 1h]}}
distinct: {distinct: {event: [View, Add], of: properties.product_id}}
most_frequent: {most_frequent: {event: Order, each: properties.products, of: item.category}}
first: {first: {event: Add}}
last: {last: {event: Order, of: properties.total}}
interval: {interval: {event: [View, Order]}}
next_expected: {next_expected: {event: Order, by: properties.product_id}}
collect: {collect: {add: Add, remove: Remove, clear: Order, keep: [total, quantity], at_most: 2}}
predicts: {predicts: {value: 1d}}
hour: {best: hour}
channel: {best: channel}
"""
FILES = {
    "project.yaml": "{name: shop, timezone: Europe/Kyiv, exclude: {trait: tester, equals: true}}",
    "identity.yaml": "identifiers: {user_id: {limit: 1}, loyalty_card: {limit: 1}, email: {}, anonymous_id: {}}",
    "channels.yaml": "{email: {consent: opt_in}, sms: {consent: opt_in, identifiers: [email]}, "
    "push: {consent: opt_out, identifiers: [anonymous_id]}, web: {kind: session}}",
    "events.yaml": "Order: {same: properties.order_id, revenue: properties.total, undo: [Refund]}",
    "rfm.yaml": "{event: Order, of: properties.total, within: 2d}",
    "rfm_bounds.yaml": "{recency: [20h, 12h, 6h, 3h], frequency: [1, 2, 3, 4], monetary: [10, 20, 40, 80]}",
    "predict_parameters.yaml": "{purchases: {r: 1.2, alpha: 0.4, a: 0.7, b: 2}, values: {p: 4, q: 3, gamma: 9}}",
    **{
        f"segments/{one}.yaml": f"when: {text}"
        for one, text in (line.split(": ", 1) for line in CONDITIONS.split("\n") if line)
    },
    **{f"traits/t_{one}.yaml": text for one, text in (line.split(": ", 1) for line in TRAITS.split("\n") if line)},
}
PROJECT = parse(FILES)


def test_every_kind_of_condition_operator_and_computed_trait_takes_part() -> None:
    written = set[str]()

    def walk(part: object) -> None:
        if isinstance(part, dict):
            written.update(part)
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            walk(inner)

    for name, text in FILES.items():
        if name.startswith(("segments/", "traits/")):
            walk(read_yaml(name, text))
    assert written >= {*KINDS, *OPERATORS, *COMPUTED} - {"cel"}, "cel stands in journeys only"


class Line:
    """Resolver, graph and segments on a broker in memory."""

    def __init__(self) -> None:
        source = FixedDefinitions(PROJECT)
        self.line = MemoryLine(
            [stage(source, CODEC) for stage in (IdentityStage, GraphStage, SegmentsStage)], VirtualClock(T)
        )
        self._read, self._profiles = 0, dict[str, dict[str, Any]]()

    def play(self, events: Iterable[Event]) -> None:
        for event in events:
            self.line.advance(event.received_at - 1)
            self.line.clock.at = event.received_at
            self.line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
            self.line.drain()

    def tell(self, verb: str, at: int) -> None:
        """Somebody says of all identifiers that they are the user's, or takes it back."""
        self.line.advance(at)
        for other in OTHERS:
            said = Assertion(verb=verb, a=USER, b=other, author="ann", reason="as told", at=at)
            self.line.publish(topics.LINKS, "links", CODEC.encode(LinkEnvelope(kind="assertion", assertion=said)))
        self.line.drain()

    def profile(self, identifier: str, at: int) -> dict[str, Any]:
        """The profile of an identifier's person at an instant, without its addresses; empty for nobody."""
        self.line.advance(at)
        records = self.line.outputs[topics.UPDATES]
        updates = [CODEC.decode(Update, record.value) for record in records[self._read :]]
        self._read = len(records)
        self._profiles |= {one.person_id: orjson.loads(one.profile) for one in updates if one.profile is not None}
        return {
            name: value for name, value in self._profiles.get(person_id(identifier), {}).items() if name != "addresses"
        }


#: What happens to people: (name or kind, properties, traits, context).
HAPPENINGS = st.one_of(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["View", "Add", "Remove", "View", "Add"]),
            "properties": st.fixed_dictionaries(
                {"product_id": st.sampled_from(["p1", "p2", "p3"]), "total": st.sampled_from([5, 15, 25])}
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["Order", "Order", "Refund"]),
            "properties": st.fixed_dictionaries(
                {"order_id": st.sampled_from(["1", "2"])},
                optional={
                    "total": st.sampled_from([15, 30]),
                    "product_id": st.sampled_from(["p1", "p2"]),
                    "products": st.just([{"price": 30, "category": "tea"}, {"price": 5, "category": "cup"}]),
                },
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "name": st.just("Identify"),
            "traits": st.fixed_dictionaries(
                {},
                optional={
                    "city": st.sampled_from(["Kyiv", "Lviv", None]),
                    "age": st.sampled_from([19, 30]),
                    "expires": st.sampled_from(["2026-03-02T20:00:00Z", "2026-03-03T12:00:00Z", "2026-03-05"]),
                    "birthday": st.sampled_from(["1990-03-04", "--03-02"]),
                    "tester": st.sampled_from([True, False, False]),
                    "timezone": st.sampled_from(["America/New_York", "Asia/Tokyo"]),
                },
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "name": st.just("Page"),
            "context": st.sampled_from(
                [
                    {"timezone": "Asia/Tokyo"},
                    {"timezone": "Europe/London"},
                    {"consent": {"categoryPreferences": {"promotions": False}}},
                    {"consent": {"categoryPreferences": {"email": True}}},
                    {"consent": {"categoryPreferences": {"email": False, "promotions": True}}},
                ]
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(
                ["Email Opened", "SMS Opened", "Email Link Clicked", "Email Replied", "Listed", "Unlisted"]
            )
        }
    ),
)
HISTORIES = st.lists(
    st.tuples(st.sampled_from([USER, *OTHERS]), st.integers(1, 300), HAPPENINGS), min_size=8, max_size=30
)


def told(history: Sequence[tuple[str, int, dict[str, Any]]], one: bool) -> list[Event]:
    """The history as events, each some minutes after the one before; with `one` all under the user. It begins with one
    of the user's, by which anybody is drawn in a lottery."""
    at, found = T, list[Event]()
    for number, (identifier, wait, happened) in enumerate([(USER, 0, {"name": "Page"}), *history]):
        at += wait * 60_000
        identifier, name = USER if one else identifier, happened["name"]
        if name in ("Listed", "Unlisted"):
            found.append(lists.change("vip", USER, name == "Listed", at))  # a list is of identifiers
            continue
        parts = {part: orjson.dumps(happened.get(part, {})) for part in ("properties", "traits", "context")}
        event = Event(
            message_id=f"m{number}",
            event_id=f"00000000-0000-0000-0000-{number:012}",
            type="identify" if name == "Identify" else "track",
            name=name,
            channel="web",
            identifiers=[identifier],
            occurred_at=at,
            received_at=at,
            source="site",
            **parts,
        )
        found.append(event)
    return found


def moments(history: Sequence[tuple[str, int, dict[str, Any]]]) -> tuple[int, list[int]]:
    """(a minute after the last event, instants after it at which what was in windows changes)."""
    end = T + (sum(wait for _, wait, _ in history) + 1) * 60_000
    return end, [end + 2, *itertools.accumulate([H, 2 * H, 3 * H, 7 * H, 20 * H, 40 * H], initial=end + H)]


@few(5)
@given(HISTORIES)
def test_a_history_over_linked_identifiers_ends_like_the_same_history_under_one(
    history: list[tuple[str, int, dict[str, Any]]],
) -> None:
    spread, single = Line(), Line()
    spread.play(told(history, one=False))
    single.play(told(history, one=True))
    linked, after = moments(history)
    spread.tell("always", linked)
    for at in after:
        assert spread.profile(USER, at) == single.profile(USER, at)


@few(4)
@given(HISTORIES, st.integers(1, 2_000))
def test_a_split_gives_back_what_everybody_would_have_been_alone(
    history: list[tuple[str, int, dict[str, Any]]], minutes: int
) -> None:
    joined, apart = Line(), Line()
    joined.play(told(history, one=False))
    apart.play(told(history, one=False))
    linked, after = moments(history)
    joined.tell("always", linked)
    joined.tell("revoke", linked + minutes * 60_000)
    for at in after:
        for identifier in (USER, *OTHERS):
            if at > linked + minutes * 60_000:
                assert joined.profile(identifier, at) == apart.profile(identifier, at)
