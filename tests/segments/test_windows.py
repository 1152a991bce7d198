"""Windows, counts and absence: when a person enters and leaves, to the millisecond."""

from __future__ import annotations

from processors.segments.step import SegmentsStage
from schemas.definitions.expressions import compile
from schemas.definitions.model import All, AnyOf, Did, InSegment, Not, TraitIs, Window
from tests.segments.lab import D, H, Line, S, event, identify, project

T = 1_700_000_000_000


def test_a_window_is_left_exactly_when_its_length_has_passed() -> None:
    line = Line(project({"recent": Did(("Order Completed",), window=Window(far=30 * D))}))
    line.happen(event("Order Completed", T))
    line.until(T + 30 * D - 1)
    assert line.story("recent") == [(T, "entered", "event")]
    line.until(T + 30 * D)
    assert line.story("recent") == [(T, "entered", "event"), (T + 30 * D, "left", "timer")]


def test_a_worker_that_comes_late_publishes_the_same() -> None:
    punctual, late = (Line(project({"recent": Did(("A",), window=Window(far=H))})) for _ in range(2))
    first, second = event("A", T), event("A", T + 5 * H)
    punctual.happen(first, second)
    for one in (first, second):
        late.line.clock.at = T + 9 * H
        late.happen(one)
    punctual.until(T + 9 * H)
    late.until(T + 9 * H)
    assert late.story("recent") == punctual.story("recent")
    assert [update.at for update in late.updates] == [T, T + H, T + 5 * H, T + 6 * H]


def test_an_event_at_the_very_end_of_a_window_comes_before_the_timer() -> None:
    line = Line(project({"recent": Did(("A",), window=Window(far=H))}))
    line.happen(event("B", T), event("A", T), event("B", T + H), event("A", T + H))
    line.until(T + 3 * H)
    assert line.story("recent") == [(T, "entered", "event"), (T + 2 * H, "left", "timer")]


def test_at_least_two_at_most_one_and_exactly_one_over_the_same_events() -> None:
    window = Window(far=10 * D)
    line = Line(
        project(
            {
                "twice": Did(("A",), at_least=2, window=window),
                "few": Did(("A",), at_least=0, at_most=1, window=window),
                "one": Did(("A",), at_least=1, at_most=1, window=window),
            }
        )
    )
    line.happen(*(event("A", T + d * D) for d in (0, 6, 12)))
    line.until(T + 40 * D)
    assert line.story("twice") == [
        (T + 6 * D, "entered", "event"),
        (T + 10 * D, "left", "timer"),
        (T + 12 * D, "entered", "event"),
        (T + 16 * D, "left", "timer"),
    ]
    assert line.story("few") == [
        (T, "entered", "event"),
        (T + 6 * D, "left", "event"),
        (T + 10 * D, "entered", "timer"),
        (T + 12 * D, "left", "event"),
        (T + 16 * D, "entered", "timer"),
    ]
    assert line.story("one")[-1] == (T + 22 * D, "left", "timer")


def test_between_is_entered_and_left_by_time() -> None:
    line = Line(project({"middle": Did(("A",), window=Window(near=2 * D, far=5 * D))}))
    line.happen(event("A", T))
    line.until(T + 9 * D)
    assert line.story("middle") == [(T + 2 * D, "entered", "timer"), (T + 5 * D, "left", "timer")]


def test_absence_is_true_of_someone_new_and_again_at_the_very_end_of_the_window() -> None:
    line = Line(project({"quiet": Not(Did(("A",), window=Window(far=40 * D)))}))
    line.happen(event("B", T), event("A", T + D))
    line.until(T + 60 * D)
    assert line.story("quiet") == [
        (T, "entered", "event"),
        (T + D, "left", "event"),
        (T + 41 * D, "entered", "timer"),
    ]


def test_fixed_dates_bound_when_it_happened_and_nothing_changes_with_time() -> None:
    line = Line(project({"may": Did(("A",), window=Window(since=T, until=T + D))}))
    for at, person in ((T - 1, "before"), (T, "first"), (T + D - 1, "last"), (T + D, "after")):
        line.happen(event("A", at), person=person)
    line.until(T + 100 * D)
    assert [person for person, _ in line.changes] == ["first", "last"]


def test_a_late_event_counts_by_its_own_time() -> None:
    line = Line(project({"recent": Did(("A",), window=Window(far=10 * D))}))
    line.happen(event("B", T), event("A", T - 4 * D, received_at=T + D), event("A", T - 20 * D, received_at=T + 2 * D))
    line.until(T + 20 * D)
    assert line.story("recent") == [(T + D, "entered", "event"), (T + 6 * D, "left", "timer")]


def test_an_event_from_the_future_counts_when_its_time_comes() -> None:
    line = Line(project({"recent": Did(("A",), window=Window(far=D)), "ever": Did(("A",))}))
    line.happen(event("A", T + H, received_at=T))
    line.until(T + 3 * D)
    assert line.story("recent") == [(T + H, "entered", "timer"), (T + H + D, "left", "timer")]
    assert line.story("ever") == [(T + H, "entered", "timer")]


def test_where_and_each_count_what_matches() -> None:
    line = Line(
        project(
            {
                "big": Did(("A",), where=compile("event.properties.total > 20")),
                "books": Did(("A",), where=compile("item.kind == 'book'"), each="properties.products", at_least=2),
            }
        )
    )
    line.happen(
        event("A", T, properties={"total": 20, "products": [{"kind": "book"}, {"kind": "pen"}]}),
        event("A", T + 1, properties={"total": "many"}),
        event("A", T + 2, properties={"total": 20.5, "products": [{"kind": "book"}]}),
    )
    assert line.story("big") == line.story("books") == [(T + 2, "entered", "event")]


def test_flapping_within_one_poll_is_not_swallowed_whatever_dies_in_between() -> None:
    """Three changes of one instant, of three instants, and by a timer between two events of one poll."""
    conditions = {"odd": Did(("A",), at_least=1, at_most=1), "on": TraitIs("on", "equals", True)}
    line = Line(project({**conditions, "short": Did(("A",), window=Window(far=5 * S))}))
    polled = [
        *(identify(T, traits={"on": on}, event_id=f"{number}") for number, on in enumerate((True, False, True))),
        *(identify(T + 1 + number, traits={"on": on}) for number, on in enumerate((False, True))),
        *(event("A", T + second * S, event_id=f"A{second}") for second in (10, 10 + 6, 10 + 12)),
    ]
    line.line.clock.at = T + H  # the worker was away: all of it lies there
    for one in polled:
        line.happen(one)
        line.line.restart([SegmentsStage(line.source, line.codec)])
    line.until(T + H)
    assert [(at - T, change) for at, change, _ in line.story("on")] == [
        *((0, "entered"), (0, "left"), (0, "entered")),
        *((1, "left"), (2, "entered")),
    ]
    assert [((at - T) // S, change) for at, change, _ in line.story("odd")] == [(10, "entered"), (16, "left")]
    assert [((at - T) // S, change, cause) for at, change, cause in line.story("short")] == [
        *((10, "entered", "event"), (15, "left", "timer")),
        *((16, "entered", "event"), (21, "left", "timer")),
        *((22, "entered", "event"), (27, "left", "timer")),
    ]
    times = [change.at for _, change in line.changes]
    assert times == sorted(times)


def test_segments_of_segments_change_in_the_same_update() -> None:
    line = Line(
        project(
            {
                "buyers": Did(("A",), window=Window(far=D)),
                "viewers": Did(("B",)),
                "both": All((InSegment("buyers"), InSegment("viewers"))),
                "others": Not(InSegment("both")),
                "any": AnyOf((InSegment("both"), Did(("C",)))),
            }
        )
    )
    line.happen(event("B", T), event("A", T + 1))
    line.until(T + 9 * D)
    assert [(u.kind, u.at, [f"{c.change} {c.segment}" for c in u.changes]) for u in line.updates] == [
        ("event", T, ["entered viewers", "entered others"]),
        ("event", T + 1, ["entered buyers", "entered both", "left others", "entered any"]),
        ("timer", T + 1 + D, ["left buyers", "left both", "entered others", "left any"]),
    ]


def test_changes_say_why() -> None:
    line = Line(project({"recent": Did(("A",), at_least=2, window=Window(far=30 * D))}))
    line.happen(event("A", T), event("A", T + 1))
    line.until(T + 40 * D)
    assert [change.reason for _, change in line.changes] == ["A; A: 2 within 30d", "A: 1 within 30d"]


def test_one_wake_is_under_way_however_many_events_prolong_a_window() -> None:
    line = Line(project({"recent": Did(("A",), window=Window(far=D))}))
    line.happen(*(event("A", T + minute) for minute in range(50)))
    assert len(line.line._wakes) == 1


def test_state_is_as_small_as_the_answer_allows() -> None:
    line = Line(project({"twice": Did(("A",), at_least=2, window=Window(far=D)), "ever": Did(("A",))}))
    line.happen(*(event("A", T + minute) for minute in range(50)))
    counted = line.person().slots.held["user_id:u1#0"].state.counted  # type: ignore[union-attr]
    assert sorted(len(marks) for marks in counted.values()) == [1, 2]
