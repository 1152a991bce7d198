"""Waiting for state on its way, in the corners: nobody waits for ever, and nothing stays behind."""

from __future__ import annotations

import msgspec
import pytest

from processors.segments.waiting import WAITING
from schemas import topics
from schemas.definitions.expressions import compile
from schemas.definitions.model import Did
from schemas.records import Erasure, HandedSlot, Handoff, PersonEnvelope
from tests.segments.lab import H, Line, S, event, project

T = 1_700_000_000_000
COOKIE, OTHER, USER = "anonymous_id:c#0", "anonymous_id:d#0", "user_id:u1#0"
SEEN = {"seen": Did(("View",)), "buyers": Did(("Order",))}


def hand(line: Line, *slots: str, part: int = 1, parts: int = 1, origin: str = "C", version: int = 2) -> None:
    """A part of a handoff to P; nothing is known of its slots."""
    line.line.clock.at = max(line.line.clock.at, T)
    handed = [HandedSlot(slot=slot, version=version, complete=True) for slot in slots]
    record = Handoff(person_id="P", origin=origin, reason="merge", at=T, slots=handed, part=part, parts=parts)
    line.line.publish(topics.SEGMENTS_HANDOFF, "P", line.codec.encode(record))
    line.line.drain()


def at_rest(line: Line) -> bool:
    """Time alone changes nothing any more."""
    line.until(T + H)
    return line.line.next_wake() is None and not list(line.line.states("segments", WAITING))


def test_whose_last_slot_leaves_between_the_parts_of_a_handoff_is_not_waited_for(line: Line) -> None:
    hand(line, COOKIE, part=1, parts=2)
    line.move("P", "Q", {COOKIE: 3}, at=T + S)
    assert at_rest(line)


def test_who_is_forgotten_while_state_is_on_its_way_is_not_waited_for(line: Line) -> None:
    line.happen(event("View", T))
    line.move("P", "Q", {USER: 2}, at=T + S, reason="split")
    line.happen(event("View", T + 2 * S, identifiers=["anonymous_id:c"]), slot=COOKIE, version=2)
    erasure = Erasure(identifiers=["anonymous_id:c"], slots=[COOKIE], persons=["P"], at=T + 3 * S, generations=[1])
    line.publish(PersonEnvelope(kind="erasure", person_id="P", erasure=erasure))
    assert at_rest(line)


def test_a_handoff_in_parts_is_waited_for_whatever_else_arrives_between_them(line: Line) -> None:
    hand(line, COOKIE, part=1, parts=2)
    line.happen(event("View", T + S))
    hand(line, OTHER, origin="D")
    hand(line, "email:a@x.io#0", origin="E", part=1, parts=2)
    hand(line, "email:b@x.io#0", origin="E", part=2, parts=2)
    assert line.changes == []
    hand(line, "phone:+380441234567#0", part=2, parts=2)
    assert line.story("seen") == [(T + S, "entered", "event")]
    assert at_rest(line)


def test_the_last_part_ends_the_wait_even_if_all_its_slots_have_left_already(line: Line) -> None:
    line.happen(event("View", T))
    hand(line, COOKIE, part=1, parts=2)
    line.move("P", "Q", {OTHER: 3}, at=T + S, reason="split")
    line.happen(event("Order", T + 2 * S))
    assert line.story("buyers") == []
    hand(line, OTHER, part=2, parts=2)
    assert line.story("buyers") == [(T + 2 * S, "entered", "event")]
    assert at_rest(line)


def test_an_event_that_can_not_be_read_is_refused_when_it_comes_and_not_when_it_counts() -> None:
    """Definitions change while it waits: what they read first may be what is no JSON."""
    spent = {**SEEN, "spenders": Did(("View",), where=compile("event.properties.total > 1"))}
    line = Line(project(SEEN), project(spent, version="v2"))
    line.mark("v1", T - S)
    line.happen(event("Order", T - 1, identifiers=["anonymous_id:c"]), person="C", slot=COOKIE)
    whole = event("View", T, identifiers=["anonymous_id:c"])
    line.happen(msgspec.structs.replace(whole, properties=b"{"), slot=COOKIE, version=2)
    assert len(line.line.outputs[topics.DEAD_LETTERS]) == 1
    line.mark("v2", T + S)
    line.move("C", "P", {COOKIE: 2}, at=T)
    assert len(line.line.outputs[topics.DEAD_LETTERS]) == 1
    assert line.story("buyers")[0][1:] == ("entered", "merge")


@pytest.fixture
def line() -> Line:
    return Line(project(SEEN))
