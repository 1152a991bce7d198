"""Merges, splits, half-arrived state, versions of the definitions."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.runtime.partitioner import partition_of
from processors.segments.model import NEVER, Person, State, join, suppressed
from processors.segments.waiting import WAITING
from schemas import topics
from schemas.codec import BadRecord
from schemas.consent import allowed
from schemas.definitions.expressions import compile
from schemas.definitions.model import All, Channel, Did, HasConsent, InSegment, Not, TraitIs, Window
from schemas.erasure import Erased, mark
from schemas.records import Erasure, HandedSlot, Handoff, PersonEnvelope
from tests.segments.lab import CHANNELS, H, Line, S, event, identify, project

T = 1_700_000_000_000
COOKIE, USER = "anonymous_id:c#0", "user_id:u1#0"
BOTH = {"seen": Did(("View",)), "both": All((Did(("View",)), Did(("Order",)))), "quiet": Not(Did(("Order",)))}


def visitor(name: str, at: int, **more: object) -> object:
    return event(name, at, identifiers=["anonymous_id:c"], **more)


def test_a_merge_moves_history_and_tells_both_sides() -> None:
    line = Line(project(BOTH))
    line.happen(visitor("View", T), person="C", slot=COOKIE)
    line.happen(event("Order", T + 1))
    line.move("C", "P", {COOKIE: 2}, at=T + 2)
    assert line.story("seen", "C") == [(T, "entered", "event"), (T + 2, "left", "merge")]
    assert line.story("quiet", "C") == [(T, "entered", "event"), (T + 2, "left", "merge")]
    assert line.story("seen") == line.story("both") == [(T + 2, "entered", "merge")]
    assert [(u.kind, u.person_id) for u in line.updates] == [
        ("event", "C"),
        ("event", "P"),
        ("move", "C"),
        ("handoff", "P"),
    ]
    assert line.profile()["addresses"] == {"anonymous_id": ["c"], "user_id": ["u1"]}
    assert line.profile("C")["addresses"] == {}


def test_a_slot_that_repeats_itself_after_another_said_something_else_is_heard() -> None:
    line = Line(project({"kyiv": TraitIs("city", "equals", "Kyiv")}))
    line.happen(identify(T, traits={"city": "Kyiv"}, identifiers=["anonymous_id:c"]), slot=COOKIE)
    line.happen(identify(T + 1, traits={"city": "Lviv"}))
    line.happen(identify(T + 2, traits={"city": "Kyiv"}, identifiers=["anonymous_id:c"]), slot=COOKIE)
    assert [at - T for at, _, _ in line.story("kyiv")] == [0, 1, 2]


def test_a_split_gives_back_what_the_merge_brought() -> None:
    line = Line(project(BOTH))
    line.happen(visitor("View", T), person="C", slot=COOKIE)
    line.happen(event("Order", T + 1))
    line.move("C", "P", {COOKIE: 2}, at=T + 2)
    line.move("P", "C", {COOKIE: 3}, at=T + 3, reason="split")
    assert line.story("both") == [(T + 2, "entered", "merge"), (T + 3, "left", "split")]
    assert line.story("seen", "C")[-1] == (T + 3, "entered", "split")
    assert line.story("quiet", "C")[-1] == (T + 3, "entered", "split")


def test_an_address_stays_refused_and_suppressed_when_the_device_that_told_it_is_split_off_and_when_it_leaves() -> None:
    address, mail = "a@example.com", "email:a@example.com#0"
    line = Line(project({"mailable": HasConsent("email")}))
    line.move("E", "P", {mail: 2}, at=T)
    banner = {"consent": {"categoryPreferences": {"email": True}}}
    line.happen(identify(T + 1, identifiers=["user_id:u1", f"email:{address}"], context=banner))
    about = {"properties": {"email": address}, "channel": "email"}
    line.happen(visitor("Unsubscribed", T + 2, **about), visitor("Email Marked as Spam", T + 3, **about), slot=COOKIE)
    line.move("P", "C", {COOKIE: 2}, at=T + 4, reason="split")
    assert line.story("mailable") == [(T + 1, "entered", "event"), (T + 2, "left", "event")]
    line.move("P", "Q", {mail: 3}, at=T + 5, reason="split")
    line.happen(event("View", T + 6, identifiers=[f"email:{address}"]), person="Q", slot=mail, version=3)
    for person in ("P", "Q"):
        profile = line.profile(person)
        assert address in profile["addresses"]["email"]
        assert not allowed(profile["consents"], "opt_out", "email", "", address)[0]
        assert profile["suppressed"] == {address: "marketing"}
    line.happen(identify(T + 7, identifiers=["user_id:u1", f"email:{address}"], context=banner))
    assert line.story("mailable")[-1] == (T + 7, "entered", "event"), "a newer grant counts"


def test_an_address_that_came_back_is_not_dead_again_for_whoever_gets_one_of_its_slots() -> None:
    telegram = Channel("telegram", identifiers=("telegram",))
    line = Line(dataclasses.replace(project({}), channels={**CHANNELS, "telegram": telegram}))
    line.move("E", "P", {"telegram:7#0": 2}, at=T)
    line.happen(identify(T + 1, identifiers=["user_id:u1", "telegram:7"]))
    line.happen(event("Telegram Bounced", T + 2, identifiers=["telegram:7"]), slot="telegram:7#0")
    assert line.profile("P")["suppressed"] == {"7": "all"}
    line.happen(event("Telegram Started", T + 3, identifiers=["anonymous_id:c", "telegram:7"]), slot=COOKIE)
    assert line.profile("P")["suppressed"] == {}
    line.move("P", "C", {"telegram:7#0": 3}, at=T + 4, reason="split")
    line.happen(event("View", T + 5, identifiers=["telegram:7"]), person="C", slot="telegram:7#0", version=3)
    assert "7" in line.profile("C")["addresses"]["telegram"]
    assert line.profile("C")["suppressed"] == {}


TIMES = st.dictionaries(st.sampled_from("ab"), st.integers(1, 4))
STATES = st.builds(
    State,
    first_seen=st.just(NEVER),
    suppressed=st.dictionaries(st.sampled_from("ab"), st.sampled_from(["marketing", "all"])),
    died=TIMES,
    alive=TIMES,
)


@given(STATES, STATES, STATES)
def test_what_is_suppressed_does_not_hang_on_which_slots_met_first(a: State, b: State, c: State) -> None:
    together = suppressed([a, b, c])
    for joined in (join(join(a, b), c), join(c, join(b, a)), join(a, join(b, join(c, a)))):
        assert suppressed([joined]) == together


def test_a_state_of_before_addresses_came_back_is_read_and_its_dead_can_come_back() -> None:
    earlier = msgspec.msgpack.encode(msgspec.to_builtins(State(first_seen=1, suppressed={"7": "all"}))[:-2])
    state = msgspec.msgpack.decode(earlier, type=State)
    assert suppressed([state]) == {"7": "all"}
    assert suppressed([state, State(first_seen=NEVER, alive={"7": T})]) == {}


def test_a_window_goes_on_at_the_person_who_got_the_slot() -> None:
    line = Line(project({"recent": Did(("View",), window=Window(far=10 * H))}))
    line.happen(visitor("View", T), person="C", slot=COOKIE)
    line.happen(event("Order", T + 1))
    line.move("C", "P", {COOKIE: 2}, at=T + 5 * H)
    line.until(T + 20 * H)
    assert line.story("recent", "C") == [(T, "entered", "event"), (T + 5 * H, "left", "merge")]
    assert line.story("recent") == [(T + 5 * H, "entered", "merge"), (T + 10 * H, "left", "timer")]


def test_an_event_that_was_stamped_before_the_merge_follows_its_slot() -> None:
    line = Line(project({"twice": Did(("View",), at_least=2)}))
    line.happen(visitor("View", T), person="C", slot=COOKIE)
    line.move("C", "P", {COOKIE: 2}, at=T + 1)
    line.happen(visitor("View", T + 2), person="C", slot=COOKIE)
    assert line.story("twice") == [(T + 2, "entered", "event")]
    assert line.story("twice", "C") == []
    assert [(u.person_id, u.version) for u in line.updates if u.kind == "event"] == [("C", 1), ("P", 2)]


def handoffs(line: Line) -> list[Handoff]:
    return [line.codec.decode(Handoff, r.value) for r in line.line.outputs[topics.SEGMENTS_HANDOFF]]


def event_first(line: Line, at: int) -> None:
    """An event of the moved slot overtakes the handoff that brings the slot's earlier state."""
    line.happen(visitor("View", at), slot=COOKIE, version=2)


def handoff(line: Line, at: int, state: bytes | None = None) -> None:
    slot = HandedSlot(slot=COOKIE, version=2, complete=True, state=state)
    record = Handoff(person_id="P", origin="C", reason="merge", at=at, slots=[slot])
    line.line.publish(topics.SEGMENTS_HANDOFF, "P", line.codec.encode(record))
    line.line.drain()


def test_half_a_merge_changes_nothing_and_what_happens_meanwhile_counts_behind_it() -> None:
    line = Line(project({"quiet": Not(Did(("Order",))), "seen": Did(("View",)), "buyers": Did(("Order",))}))
    line.happen(visitor("Other", T - 1), person="C", slot=COOKIE)
    event_first(line, T)
    line.happen(event("Order", T + 9 * S))
    line.until(T + 29 * S)
    assert [who for who, _ in line.changes] == ["C"]
    assert [u.kind for u in line.updates if u.person_id == "P"] == ["awaiting", "awaiting"]
    line.move("C", "P", {COOKIE: 2}, at=T)
    assert line.story("quiet") == [(T, "entered", "merge"), (T + 9 * S, "left", "event")]
    assert line.story("seen") == [(T, "entered", "event")]
    assert line.story("buyers") == [(T + 9 * S, "entered", "event")]
    assert [u.kind for u in line.updates if u.person_id == "P"][2:] == ["handoff", "event", "event"]
    line.until(T + H)
    assert line.person().waiting == 0
    assert not list(line.line.states("segments", WAITING))


def test_after_thirty_seconds_what_is_there_counts() -> None:
    line = Line(project({"seen": Did(("View",)), "brief": Did(("View",), window=Window(far=10 * S))}))
    event_first(line, T)
    line.until(T + H)
    assert line.story("seen") == [(T + 30 * S, "entered", "event")]
    assert line.story("brief") == []
    event_first(line, T + H)
    assert line.story("brief") == [(T + H, "entered", "event")], "the same slot is not waited for again"


def test_a_worker_that_was_away_waits_anew_for_what_came_meanwhile() -> None:
    line = Line(project({"quiet": Not(Did(("Order",))), "seen": Did(("View",))}))
    line.happen(visitor("Order", T - 1), person="C", slot=COOKIE)
    event_first(line, T)
    line.line.clock.at = T + 40 * S
    line.happen(event("View", T + 40 * S))
    assert line.story("seen") == []
    line.move("C", "P", {COOKIE: 2}, at=T)
    assert line.story("seen") == [(T, "entered", "event")]
    assert line.story("quiet") == [], "the order was on its way"


def test_what_waits_goes_with_a_slot_that_moves_on() -> None:
    line = Line(project({"seen": Did(("View",), at_least=2), "buyers": Did(("Order",))}))
    line.happen(visitor("View", T), person="C", slot=COOKIE)
    line.happen(visitor("View", T + 2), slot=COOKIE, version=2)
    line.happen(event("Order", T + 3))
    line.move("P", "Q", {COOKIE: 3}, at=T + 4, reason="split")
    assert line.story("buyers", "P") == [(T + 4, "entered", "event")], "nothing is on its way to P any more"
    assert len(line.changes) == 1
    line.move("C", "P", {COOKIE: 2}, at=T + 1)
    assert line.story("seen", "P") == []
    assert line.story("seen", "Q") == [(T + 4, "entered", "event")]


#: gap to the one before, whether the device tells, name; time alone changes nothing at who has the device: that person
#: does not go back behind it, and so moves later
HAPPENED = st.lists(
    st.tuples(st.integers(0, 3 * S), st.sampled_from([(True, "View"), (False, "View"), (False, "Order")])), max_size=6
)


@given(HAPPENED, HAPPENED, st.integers(0, 7))
def test_a_handoff_that_is_overtaken_comes_to_the_same(
    before: list[tuple[int, tuple[bool, str]]], after: list[tuple[int, tuple[bool, str]]], overtaken: int
) -> None:
    """The first event behind the move is one of the slot that moved: by that the person knows that it waits."""
    segments = {
        **BOTH,
        "buyers": Did(("Order",), at_least=2),
        "busy": Did(("Order",), at_least=2, window=Window(far=4 * S)),
        "tired": All((InSegment("buyers"), Not(InSegment("busy")))),
    }
    told = []
    for late in (0, overtaken):
        line, now, moved = Line(project(segments)), T, 0
        for gap, (device, name) in before:
            now += gap
            one = visitor(name, now) if device else event(name, now)
            line.happen(one, person="C" if device else "P", slot=COOKIE if device else USER)
        line.until(moved := now + 1)
        now += 1
        for number, (gap, (device, name)) in enumerate([(1, (True, "View")), *after]):
            if number == late:
                line.move("C", "P", {COOKIE: 2}, at=moved)
            now += gap
            one = visitor(name, now) if device else event(name, now)
            line.happen(one, slot=COOKIE if device else USER, version=2 if device else 1)
        if late > len(after):
            line.move("C", "P", {COOKIE: 2}, at=moved)
        line.until(now + H)
        told.append(([one for one in line.changes if one[0] == "P"], line.profile()))
    assert told[0] == told[1]


def test_an_empty_slot_that_comes_first_makes_nobody_exist() -> None:
    line = Line(project({"quiet": Not(Did(("Order",)))}))
    line.move("E", "P", {"email:a@example.com#0": 2}, at=T)
    assert line.changes == []
    line.happen(event("View", T + 1))
    assert line.story("quiet") == [(T + 1, "entered", "event")]


def test_the_same_move_twice_is_one_move() -> None:
    line = Line(project(BOTH))
    line.happen(visitor("View", T), person="C", slot=COOKIE)
    for _ in range(2):
        line.move("C", "P", {COOKIE: 2}, at=T + 2)
    assert line.story("seen") == [(T + 2, "entered", "merge")]
    assert len(handoffs(line)) == 1


def test_a_handoff_that_finds_the_slot_gone_goes_on_behind_it() -> None:
    line = Line(project(BOTH))
    line.happen(visitor("View", T), person="C", slot=COOKIE)
    line.move("P", "Q", {COOKIE: 3}, at=T + 1)
    line.move("C", "P", {COOKIE: 2}, at=T + 2)
    assert line.story("seen", "P") == []
    assert line.story("seen", "Q") == [(T + 2, "entered", "merge")]


def test_a_large_handoff_travels_in_parts_and_changes_nothing_before_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.segments.step.PART_BYTES", 300)
    line = Line(project({"quiet": Not(Did(("Order",))), "many": Did(("Order",), at_least=6)}))
    slots = [f"anonymous_id:c{n}#0" for n in range(6)]
    for number, slot in enumerate(slots):
        line.happen(event("Order", T + number, identifiers=[slot[:-2]]), person="C", slot=slot)
    line.move("C", "P", dict.fromkeys(slots, 2), at=T + 10)
    assert len(handoffs(line)) > 1
    assert [(u.person_id, c.segment, c.change) for u in line.updates for c in u.changes if c.cause == "merge"] == [
        ("C", "many", "left"),
        ("P", "many", "entered"),
    ]


def test_a_late_instant_of_one_person_is_not_lost_on_the_other() -> None:
    line = Line(project({"recent": Did(("View",), window=Window(far=H))}))
    line.happen(visitor("View", T), visitor("Other", T + 2 * H), person="C", slot=COOKIE)
    line.happen(event("Order", T))
    line.move("C", "P", {COOKIE: 2}, at=T)
    assert line.story("recent") == [], "C has seen the window end, so has P"


def test_a_marker_puts_a_version_in_force() -> None:
    old = project({"gone": Did(("View",)), "stays": Did(("View",)), "city": TraitIs("city", "exists", True)})
    new = project(
        {
            "stays": Did(("View",)),
            "named": TraitIs("city", "equals", "Kyiv"),
            "views": Did(("View",), at_least=2),
        },
        version="v2",
    )
    line = Line(new, old)
    line.happen(event("View", T), identify(T, traits={"city": "Kyiv"}))
    line.mark("v2", T + 5)
    line.happen(event("View", T + 10), event("View", T + 11))
    assert line.story("gone") == [(T, "entered", "event"), (T + 5, "left", "definition")]
    assert line.story("stays") == [(T, "entered", "event")]
    assert line.story("named") == [(T + 5, "entered", "definition")]
    assert line.story("views") == [(T + 11, "entered", "event")], "what is new starts empty"


def test_each_partition_changes_over_at_its_own_marker() -> None:
    old, new = project({"old": Did(("View",))}), project({"new": Did(("View",))}, version="v2")
    line = Line(new, old, partitions=2)
    line.mark("v1", T, partition=0)
    line.mark("v2", T, partition=1)
    people = {partition_of(name.encode(), 2): name for name in "ABCDEF"}
    for name in people.values():
        line.happen(event("View", T + 1), person=name)
    assert {(person, change.segment) for person, change in line.changes} == {(people[0], "old"), (people[1], "new")}
    markers = [(r.partition, u.marker.version) for r, u in line.published if u.marker is not None]
    assert markers == [(0, "v1"), (1, "v2")]


def test_what_time_changed_before_the_marker_follows_the_old_version() -> None:
    old = project({"recent": Did(("View",), window=Window(far=H))})
    new = project({"recent": Did(("View",), window=Window(far=3 * H))}, version="v2")
    line = Line(new, old)
    line.happen(event("View", T))
    line.line.clock.at = T + 2 * H
    line.mark("v2", T + 2 * H)
    line.happen(event("View", T + 2 * H + 1))
    assert line.story("recent") == [
        (T, "entered", "event"),
        (T + H, "left", "timer"),
        (T + 2 * H + 1, "entered", "event"),
    ]


def test_state_that_no_definition_needs_is_dropped() -> None:
    line = Line(project({}, version="v2"), project({"a": Did(("View",)), "b": InSegment("a")}))
    line.happen(event("View", T))
    line.mark("v2", T + 1)
    line.happen(event("View", T + 2))
    state = line.person().slots.held["user_id:u1#0"].state
    assert state is not None
    assert state.counted == {}
    assert line.person().member == {}


def test_a_line_without_definitions_lets_events_pass() -> None:
    line = Line()
    line.happen(event("View", T))
    line.source.publish(project(BOTH))
    line.happen(event("View", T + 1))
    assert [u.kind for u in line.updates] == ["event", "timer", "event"]
    assert line.story("quiet") == [(T, "entered", "definition")]
    assert line.story("seen") == [(T + 1, "entered", "event")]


def test_erasure_drops_the_person_and_passes_on() -> None:
    line = Line(project(BOTH))
    line.happen(event("View", T))
    erasure = Erasure(identifiers=["user_id:u1"], slots=["user_id:u1#0"], at=T + 1)
    line.publish(PersonEnvelope(kind="erasure", person_id="P", erasure=erasure))
    assert line.updates[-1].erasure == erasure
    assert line.person() == Person(asked=line.person().asked, erased={mark("user_id:u1#0"): Erased(T + 1, 0)})


def test_a_record_that_makes_no_sense_is_a_dead_letter_and_the_line_goes_on() -> None:
    line = Line(project({"seen": Did(("View",)), "big": Did(("View",), where=compile("event.properties.x > 1"))}))
    for kind in ("event", "dance"):
        line.publish(PersonEnvelope(kind=kind, person_id="P"))
    handoff(line, T, state=b"\xff\x00")
    broken = event("View", T)
    line.happen(type(broken)(**{**{f: getattr(broken, f) for f in broken.__struct_fields__}, "properties": b"{,"}))
    line.happen(event("View", T + 1))
    assert len(line.line.outputs[topics.DEAD_LETTERS]) == 4
    assert line.story("seen") == [(T + 1, "entered", "event")]
    assert BadRecord.__name__ in str(line.line.outputs[topics.DEAD_LETTERS][0].headers)
