"""Whatever happens in whatever order, the answer is that of the raw events: at every instant, through every merge."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.expressions import compile
from schemas.definitions.model import All, AnyOf, Condition, Did, EventRule, InSegment, Not, TraitIs, Window
from tests.segments.lab import Line, event, project
from tests.segments.oracle import Happened, members

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
names = st.sampled_from([("View",), ("Order",), ("View", "Order"), ("Refund",)])


@st.composite
def counting(draw: st.DrawFn) -> Did:
    low, high = draw(bounds)
    did_names = draw(names)
    where = compile("event.properties.total > 20") if did_names == ("Order",) and draw(st.booleans()) else None
    return Did(did_names, where, low, high, draw(windows))


leaves = st.one_of(
    counting(),
    counting(),
    st.builds(TraitIs, st.just("city"), st.just("equals"), st.sampled_from(["Kyiv", "Lviv"])),
    st.builds(TraitIs, st.just("city"), st.just("held_for"), spans),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)


@st.composite
def segment_sets(draw: st.DrawFn) -> dict[str, Condition]:
    first, second, third = draw(conditions), draw(conditions), draw(conditions)
    return {"one": first, "two": All((second, Not(InSegment("one")))), "three": AnyOf((third, InSegment("two")))}


steps = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "do": st.just("event"),
                "slot": st.sampled_from(sorted(SLOTS)),
                "name": st.sampled_from(["View", "Order", "Order", "Refund", "Identify"]),
                "late": st.integers(-4, 14),
                "order": st.sampled_from([None, "1", "2"]),
                "amount": st.sampled_from([None, 10, 30]),
                "city": st.sampled_from(["Kyiv", "Lviv"]),
                "wait": st.sampled_from([0, 0, 1, 2, 5]),
            }
        ),
        st.fixed_dictionaries(
            {
                "do": st.just("move"),
                "slot": st.sampled_from(sorted(SLOTS)),
                "to": st.sampled_from(sorted(set(SLOTS.values()))),
                "wait": st.sampled_from([0, 1, 3]),
            }
        ),
    ),
    max_size=14,
)


class Story:
    """Plays steps on the real stage and remembers what is true."""

    def __init__(self, segments: dict[str, Condition]) -> None:
        self.segments = segments
        self.line = Line(project(segments, [ORDERS]))
        self.now = T
        self.homes = dict(SLOTS)
        self.versions = dict.fromkeys(SLOTS, 1)
        self.events: list[Happened] = []
        self.traits: set[int] = set()
        self.checkpoints: list[tuple[int, dict[str, list[Happened]]]] = []

    def play(self, script: list[dict[str, Any]]) -> None:
        for number, step in enumerate(script):
            self.remember(step["wait"])
            if step["do"] == "move":
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
        order = step["order"] if name in ("Order", "Refund") else None
        amount = step["amount"] if order is not None else None
        happened = Happened(
            step["slot"], name, at, self.now, number, order, amount, step["city"] if name == "Identify" else None
        )
        self.events.append(happened)
        properties = {key: value for key, value in (("order_id", order), ("total", amount)) if value is not None}
        identifier = step["slot"].partition("#")[0]
        self.line.happen(
            event(
                name,
                at,
                received_at=self.now,
                event_id=f"{number:03d}",
                type="identify" if name == "Identify" else "track",
                identifiers=[identifier],
                properties=properties,
                traits={"city": happened.city} if happened.city else {},
            ),
            person=self.homes[step["slot"]],
            slot=step["slot"],
            version=self.versions[step["slot"]],
        )

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
                expected = members(self.segments, owned.get(person, []), instant)
                assert inside == expected, f"{person} at {instant - T}"
            times = [at for at, _, _ in published[person]]
            assert times == sorted(times)


@settings(max_examples=300, deadline=None)
@given(segment_sets(), steps)
def test_at_every_instant_the_answer_is_that_of_the_raw_events(
    segments: dict[str, Condition], script: list[dict[str, Any]]
) -> None:
    story = Story(segments)
    story.play(script)
    story.check()


@settings(max_examples=100, deadline=None)
@given(segment_sets(), steps)
def test_a_history_over_linked_identifiers_ends_like_the_same_history_under_one(
    segments: dict[str, Condition], script: list[dict[str, Any]]
) -> None:
    events = [step for step in script if step["do"] == "event"]
    spread, single = Story(segments), Story(segments)
    spread.play(events)
    single.play([{**step, "slot": "user_id:u#0"} for step in events])
    for slot in SLOTS:
        spread._move(slot, "U")
    spread.line.until(spread.now + 60)
    single.line.until(single.now + 60)
    if events:
        assert spread.line.person("U").member.keys() == single.line.person("U").member.keys()
