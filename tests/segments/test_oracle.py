"""Whatever happens in whatever order, the answer is that of the raw events: at every instant, through every merge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from processors.segments.plan import leaves
from schemas import lists
from schemas.definitions.expressions import compile, iso
from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    Did,
    EventRule,
    InList,
    InOrder,
    InSegment,
    Measure,
    Measured,
    Not,
    Percent,
    TraitIs,
    Window,
)
from tests.segments.lab import Line, event, project
from tests.segments.oracle import Happened, amount, members

SLOTS = {"user_id:u#0": "U", "anonymous_id:a#0": "A", "anonymous_id:b#0": "B"}
T = 1_700_000_000_000
ORDERS = EventRule("Order", same="properties.order_id", revenue="properties.total", undo=("Refund",))

spans = st.integers(1, 12)
windows = st.one_of(
    st.just(Window()),
    st.builds(lambda far: Window(far=far), spans),
    st.builds(lambda near, more: Window(near=near, far=near + more), spans, spans),
    st.builds(lambda since, more: Window(since=T + since, until=T + since + more), spans, spans),
)
bounds = st.sampled_from([(1, None), (2, None), (3, None), (0, 0), (0, 1), (0, 2), (1, 1), (2, 3)])


@st.composite
def counting(draw: st.DrawFn, *choices: tuple[str, ...], each: bool = False) -> Did:
    low, high = draw(bounds)
    names = draw(st.sampled_from(choices))
    if each:
        return Did(names, compile("item.price > 20"), low, high, draw(windows), "properties.products")
    where = compile("event.properties.total > 20") if names == ("Order",) and draw(st.booleans()) else None
    return Did(names, where, low, high, draw(windows))


@st.composite
def ordered(draw: st.DrawFn, *names: str) -> InOrder:
    """Two or three steps; `Order` is reported by several systems and taken back."""
    steps = draw(st.lists(st.sampled_from([*((name,) for name in names), names]), min_size=2, max_size=3))
    same = draw(st.sampled_from([None, None, "properties.order_id"]))
    return InOrder(tuple(Did(step) for step in steps), draw(windows), same)


@st.composite
def measures(draw: st.DrawFn) -> Measure:
    """Of orders (that are taken back in parts), of their lines, and of events that count one by one."""
    function: Any = draw(
        st.sampled_from(["sum", "average", "min", "max", "distinct", "most_frequent", "first", "last"])
    )
    window = Window() if function in ("first", "last") and draw(st.booleans()) else draw(windows)
    names, of, each = draw(
        st.sampled_from(
            [
                (("Order",), "properties.total", None),
                (("Refund",), "properties.total", None),
                (("Order", "Refund"), "properties.total", None),
                (("Order",), "item.price", "properties.products"),
                (("View",), "properties.order_id", None),
            ]
        )
    )
    if of == "properties.order_id" and function in ("sum", "average", "min", "max"):
        function = "most_frequent"
    return Measure(function, names, of, None, window, each)


@st.composite
def measured(draw: st.DrawFn) -> Measured:
    measure = draw(measures())
    op = draw(st.sampled_from(["equals", "not_equals", "at_least", "at_most"]))
    wanted: Any = draw(st.sampled_from([1, 2, 3] if measure.function == "distinct" else [0, 5, 15, 30, 45, 60]))
    if measure.of == "properties.order_id" and measure.function != "distinct":
        op, wanted = draw(st.sampled_from(["equals", "not_equals"])), draw(st.sampled_from(["1", "2"]))
    if measure.function not in ("first", "last") or measure.window != Window() or draw(st.booleans()):
        return Measured(measure, ((op, wanted),))
    dated = (draw(st.sampled_from(["within", "before", "after"])), draw(spans))
    return Measured(measure, draw(st.sampled_from([(dated,), (dated, (op, wanted))])), draw(windows))


#: Computed traits, and what is asked of them.
TRAITS = {
    "visits": Measure("count", ("View",)),
    "spent": Measure("sum", ("Order",), "properties.total", window=Window(far=6)),
    "dearest": Measure("max", ("Order",), "item.price", window=Window(near=2, far=8), each="properties.products"),
    "favourite": Measure("most_frequent", ("View",), "properties.order_id", window=Window(far=5)),
    "rhythm": Measure("interval", ("Order", "View"), window=Window(far=12)),
    "latest": Measure("last", ("Refund",), "properties.total", window=Window(far=4)),
}
asking = st.one_of(
    st.builds(TraitIs, st.just("visits"), st.sampled_from(["at_least", "at_most"]), st.integers(0, 3)),
    st.builds(
        TraitIs,
        st.sampled_from(["spent", "dearest", "latest"]),
        st.sampled_from(["equals", "at_least", "at_most"]),
        st.sampled_from([0, 15, 30, 45]),
    ),
    st.builds(TraitIs, st.just("favourite"), st.just("equals"), st.sampled_from(["1", "2"])),
    st.builds(TraitIs, st.just("rhythm"), st.just("at_least"), st.sampled_from([2 / 86_400_000, 4 / 86_400_000])),
)


def traits_in(segments: Mapping[str, Condition]) -> dict[str, Measure]:
    """The computed traits that segments ask for."""
    asked = {leaf.trait for condition in segments.values() for leaf in leaves(condition) if isinstance(leaf, TraitIs)}
    return {name: measure for name, measure in TRAITS.items() if name in asked}


def city(op: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[TraitIs]:
    return st.builds(TraitIs, st.just("city"), st.just(op), value)


#: What a history is mostly about: event names, and conditions that ask for them.
TOPICS: dict[str, tuple[list[str], st.SearchStrategy[Any]]] = {
    "counts": (["View", "Click"], counting(("View",), ("View", "Click"))),
    "orders": (["Order", "Refund"], counting(("Order",), ("Order", "View"))),
    "lines": (["Order", "Refund"], counting(("Order",), each=True)),
    "sequences": (["View", "Click"], ordered("View", "Click")),
    "sequences of orders": (["Order", "Refund", "View"], st.one_of(ordered("View", "Order"), ordered("Order", "View"))),
    "traits": (["Identify"], st.one_of(city("equals", st.sampled_from(["Kyiv", "Lviv"])), city("held_for", spans))),
    "dates": (
        ["Identify"],
        st.builds(TraitIs, st.just("expires"), st.sampled_from(["within", "before", "after"]), st.integers(0, 12)),
    ),
    "lists": (["Listed", "Unlisted", "View"], st.just(InList("list"))),
    "measures": (["Order", "Refund", "View"], measured()),
    "computed traits": (["Order", "Refund", "View"], asking),
    "chance": (["View"], st.builds(lambda low: Percent(low, low + 30, "of"), st.integers(0, 70))),
    "all": (["View", "Order", "Refund", "Identify"], counting(("View", "Order"), ("Refund",), ("Order",))),
}


def conditions(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Condition]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(All, st.lists(inner, min_size=2, max_size=2).map(tuple)),
            st.builds(AnyOf, st.lists(inner, min_size=2, max_size=2).map(tuple)),
        ),
        max_leaves=3,
    )


@st.composite
def histories(draw: st.DrawFn, topic: str, moves: bool = True) -> tuple[dict[str, Condition], list[dict[str, Any]]]:
    """Segments and what happens to the people in them."""
    events, leaves = TOPICS[topic]
    one, two, three = draw(leaves), draw(conditions(leaves)), draw(conditions(leaves))
    segments = {"one": one, "two": All((two, Not(InSegment("one")))), "three": AnyOf((three, InSegment("two")))}
    step = st.fixed_dictionaries(
        {
            "slot": st.sampled_from(sorted(SLOTS)),
            "name": st.sampled_from([*events * 3, "Move"] if moves else events),
            "to": st.sampled_from(sorted(set(SLOTS.values()))),
            "late": st.sampled_from([0, 0, 0, 1, 3, 8, 20, -2]),
            "order": st.sampled_from(["1", "1", "2", None]),
            "amount": st.sampled_from([30, 30, 15, None]),
            "city": st.sampled_from(["Kyiv", "Lviv"]),
            "lines": st.sampled_from([(), (), (30,), (30, 5), (30, 40)]),
            "wait": st.sampled_from([0, 0, 1, 2, 5]),
        }
    )
    return segments, draw(st.lists(step, min_size=4, max_size=24))


class Story:
    """Plays steps on the real stage and remembers what is true."""

    def __init__(self, segments: dict[str, Condition]) -> None:
        self.segments = segments
        self.computed = traits_in(segments)
        self.line = Line(project(segments, [ORDERS], traits=self.computed))
        self.now = T
        self.homes = dict(SLOTS)
        self.versions = dict.fromkeys(SLOTS, 1)
        self.events: list[Happened] = []
        self.traits: set[int] = set()
        self.checkpoints: list[tuple[int, dict[str, list[Happened]]]] = []

    def play(self, script: list[dict[str, Any]]) -> None:
        for number, step in enumerate(script):
            self.remember(step["wait"])
            if step["name"] == "Move":
                self._move(step["slot"], step["to"])
            else:
                self._event(number, step)
        self.remember(40)
        self.line.until(self.now)

    def remember(self, wait: int) -> None:
        """What each person has until the next step; true at every instant before it."""
        owned: dict[str, list[Happened]] = defaultdict(list)
        for one in self.events:
            owned[self.homes[one.slot]].append(one)
        self.checkpoints += [(instant, owned) for instant in range(self.now, self.now + wait)]
        self.now += wait
        self.line.until(self.now - 1)

    def _move(self, slot: str, to: str) -> None:
        if self.homes[slot] == to:
            return
        self.versions[slot] += 1
        self.line.move(self.homes[slot], to, {slot: self.versions[slot]}, at=self.now)
        self.homes[slot] = to

    def _event(self, number: int, step: dict[str, Any]) -> None:
        name, at = step["name"], self.now - step["late"]
        if name == "Identify":
            if at in self.traits:
                return  # two values of one instant: there is no right answer
            self.traits.add(at)
        order = step["order"] if name != "Identify" else None
        amount = step["amount"] if order is not None and name in ("Order", "Refund") else None
        city = step["city"] if name == "Identify" else None
        lines = step["lines"] if name == "Order" else ()
        expires = self.now + 5 - len(lines or step["lines"]) * 4 if name == "Identify" else None
        happened = Happened(step["slot"], name, at, self.now, number, order, amount, city, lines, expires)
        self.events.append(happened)
        products = [{"price": price} for price in lines] or None
        told = {"order_id": order, "total": amount, "products": products}
        properties = {key: value for key, value in told.items() if value is not None}
        identifier = step["slot"].partition("#")[0]
        said = event(
            name,
            at,
            received_at=self.now,
            event_id=f"{number:03d}",
            type="identify" if name == "Identify" else "track",
            identifiers=[identifier],
            properties=properties,
            traits={"city": city, "expires": iso(expires)} if expires is not None else {},
        )
        if name in ("Listed", "Unlisted"):
            said = replace(lists.change("list", identifier, name == "Listed", at), received_at=self.now)
        slot = step["slot"]
        self.line.happen(said, person=self.homes[slot], slot=slot, version=self.versions[slot])

    def check(self) -> None:
        published: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for person, change in self.line.changes:
            published[person].append((change.at, change.segment, change.change))
        for person in set(SLOTS.values()):
            for instant, owned in self.checkpoints:
                inside: set[str] = set()
                for at, segment, change in published[person]:
                    if at <= instant:
                        assert (segment in inside) == (change == "left"), "entered and left alternate"
                        (inside.remove if change == "left" else inside.add)(segment)
                expected = members(self.segments, owned.get(person, []), instant, self.computed)
                assert inside == expected, f"{person} at {instant - T}: {inside}, not {expected}"
            times = [at for at, _, _ in published[person]]
            assert times == sorted(times)

    def check_traits(self) -> None:
        """The profile published last at every instant has the values that computed traits have then."""
        profiles: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for update in self.line.updates:
            if update.profile is not None:
                profiles[update.person_id].append((update.at, orjson.loads(update.profile)["traits"]))
        for instant, owned in self.checkpoints if self.computed else ():
            for person, events in owned.items():
                told = [traits for at, traits in profiles[person] if at <= instant][-1]
                found = {name: amount(measure, events, instant) for name, measure in self.computed.items()}
                found = {name: value for name, value in found.items() if value is not None}
                assert told == found, f"{person} at {instant - T}: {told}, not {found}"


@pytest.mark.parametrize("topic", TOPICS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_at_every_instant_the_answer_is_that_of_the_raw_events(topic: str, data: st.DataObject) -> None:
    segments, script = data.draw(histories(topic))
    story = Story(segments)
    story.play(script)
    story.check()
    story.check_traits()


@pytest.mark.parametrize("topic", ["all", "sequences of orders", "measures", "computed traits"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_history_over_linked_identifiers_ends_like_the_same_history_under_one(
    topic: str, data: st.DataObject
) -> None:
    segments, script = data.draw(histories(topic, moves=False))
    spread, single = Story(segments), Story(segments)
    spread.play(script)
    single.play([{**step, "slot": "user_id:u#0"} for step in script])
    for slot in SLOTS:
        spread._move(slot, "U")
    spread.line.until(spread.now + 60)
    single.line.until(single.now + 60)
    assert spread.line.person("U").member.keys() == single.line.person("U").member.keys()
    assert spread.line.person("U").computed == single.line.person("U").computed
