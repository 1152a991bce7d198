"""What can't change is not looked at: of a thousand segments only those that read what happened, also at a first event
and at a merge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.segments import draft
from processors.segments.marks import lasting, span, tally
from schemas.definitions.model import Condition, Did, InSegment, LocalTime, Not, TraitIs, Window
from tests.segments.lab import D, H, Line, event, identify, project

T = round(datetime(2026, 3, 2, 12).timestamp() * 1000)
COOKIE = "anonymous_id:c#0"
SEGMENTS: dict[str, Condition] = {
    **{f"did_{n}": Did((f"Event {n}",), window=Window(far=(n + 1) * D)) for n in range(300)},
    **{f"not_{n}": Not(Did((f"Event {n}",))) for n in range(300)},
    **{f"in_{n}": InSegment(f"did_{n}") for n in range(300)},
    "kyiv": TraitIs("city", "equals", "Kyiv"),
    "at_noon": LocalTime(11 * 60, 13 * 60),
    "not_at_noon": Not(InSegment("at_noon")),
}


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The conditions that were worked out since it was cleared."""
    asked: list[object] = []

    def answer(condition: Condition, *others: Any) -> Any:
        asked.append(condition)
        return original(condition, *others)

    original = draft.answer
    monkeypatch.setattr(draft, "answer", answer)
    return asked


def entered(line: Line, person: str) -> Mapping[str, str]:
    return {
        change.segment: change.reason for who, change in line.changes if who == person and change.change == "entered"
    }


def test_an_event_changes_only_what_reads_it(looked: list[object]) -> None:
    line = Line(project(SEGMENTS))
    line.happen(event("Event 7", T))
    assert len(looked) == 5, "who is new is asked what reads the event, what that changes, and the time of day"
    told = entered(line, "P")
    assert told.keys() == {"did_7", "in_7", "at_noon"} | {f"not_{n}" for n in range(300) if n != 7}
    assert told["did_7"] == "Event 7; Event 7: 1 within 8d"
    assert told["not_8"] == "Event 7; Event 8: 0"
    looked.clear()
    line.happen(event("Event 9", T + 1), identify(T + 2, traits={"city": "Kyiv"}), event("Nothing", T + 3))
    assert len(looked) == 4
    assert line.story("not_9") == [(T, "entered", "event"), (T + 1, "left", "event")]


def test_a_merge_changes_only_what_reads_the_slots_that_moved(looked: list[object]) -> None:
    line = Line(project(SEGMENTS))
    line.happen(event("Event 7", T))
    line.happen(event("Event 9", T + 1), person="C", slot=COOKIE)
    looked.clear()
    line.move("C", "P", {COOKIE: 2}, at=T + 2)
    assert len(looked) == 3, "nothing is asked of who is gone"
    assert line.story("did_9") == line.story("in_9") == [(T + 2, "entered", "merge")]
    assert line.person("C").member == {}
    looked.clear()
    line.move("P", "C", {COOKIE: 3}, at=T + H, reason="split")
    assert len(looked) < 15, "three of who stays, some more of who begins anew"
    assert line.person("P").member.keys() == {"did_7", "in_7", "at_noon"} | {f"not_{n}" for n in range(300) if n != 7}


def test_who_is_new_is_in_what_is_true_of_somebody_who_did_nothing_at_that_hour() -> None:
    line = Line(project(SEGMENTS))
    line.happen(event("Nothing", T + 5 * H))
    assert entered(line, "P").keys() == {f"not_{n}" for n in range(300)} | {"not_at_noon"}
    line.until(T + D)
    assert [change for _, change, _ in line.story("not_at_noon")] == ["entered", "left"]


marks = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 99)), max_size=6, unique_by=lambda mark: mark[1])


@given(marks, st.integers(0, 3), st.sampled_from([None, 0, 2]), st.sampled_from([None, 5, 12]), st.integers(0, 40))
def test_the_mark_that_decides_alone_says_what_all_together_say(
    found: list[tuple[int, int]], at_least: int, at_most: int | None, far: int | None, now: int
) -> None:
    did = Did(("View",), None, at_least, at_most, Window(far=far))
    quick = lasting(sorted(found), did, now)
    assert quick in (None, tally([span(did.window, at) for at, _ in found], did, now)[1:])
