"""Experiments: who is in which arm and who converts; and the statistics, against published and exact figures."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from schemas.definitions import Project, parse
from schemas.definitions.expressions import compile
from schemas.identifiers import person_id, slot_of
from schemas.reasons import ARM, ENTERED, HELD_OUT
from schemas.records import Assignment, Decision, Move, Period, SlotVersion, Update
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.experiment import TREATED, Question, experiment, question_of
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.statistics import difference, interval, p_value, ratio_p_value
from tests.examples import few
from tests.sinks.made import DAY, HOUR, T0, decision, event, fill, update

BUY = "Order Completed"
ASKED = Question("promo", "s", (("a", 45), ("b", 45), (HELD_OUT, 10)), (BUY,), within=7 * DAY)


def arm(who: str, name: str, at: int = T0, step: str = "s") -> Decision:
    made = decision(at, "promo", ARM, who=f"user_id:{who}")
    return msgspec.structs.replace(made, detail=name, step=step)


def bought(who: str, at: int) -> Update:
    return update(event(BUY, at, who=f"user_id:{who}"))


def counts(warehouse: Warehouse, asked: Question = ASKED, filters: Filters | None = None) -> dict[str, tuple[int, int]]:
    return {row.arm: (row.people, row.converted) for row in experiment(warehouse, asked, filters or Filters())}


def test_arms_are_compared_by_who_converts_in_time(warehouse: Warehouse) -> None:
    fill(
        warehouse,
        [
            *[arm(who, "a") for who in ("a1", "a2", "a3")],
            *[arm(who, "b") for who in ("b1", "b2")],
            arm("h1", HELD_OUT),
            # a later entry gives no second person, nor another start
            arm("a1", "a", T0 + 30 * DAY),
            arm("x1", "a", step="other split"),
            bought("a1", T0 + HOUR),
            bought("a1", T0 + 2 * HOUR),
            # what it entered by, what came too late, who was in no arm
            bought("a2", T0),
            bought("a3", T0 + 7 * DAY),
            bought("x1", T0 + HOUR),
            # the held out one converts too, though its instance ended at once
            bought("h1", T0 + 7 * DAY - 1),
        ],
    )
    assert counts(warehouse) == {"a": (3, 1), "b": (2, 0), HELD_OUT: (1, 1)}
    assert counts(warehouse, ASKED, Filters(until=T0)) == {
        "a": (0, 0), "b": (0, 0), HELD_OUT: (0, 0),
    }  # fmt: skip
    first, _, held = experiment(warehouse, ASKED, Filters())
    assert (first.rate, first.difference, held.difference, held.p_value) == (1 / 3, 1 / 3 - 1, None, None)
    assert first.p_value is not None


@given(
    arms=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", HELD_OUT]), st.integers(0, 9)),
        max_size=12,
        unique_by=lambda given: (given[0], given[2]),
    ),
    orders=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.integers(0, 2)), max_size=12),
    days=st.integers(1, 9),
    since=st.sampled_from([None, 3]),
    paid=st.sampled_from([None, 1]),
)
@few(8, but=[HealthCheck.function_scoped_fixture])
def test_arms_are_those_found_one_by_one(
    engine: Warehouse,
    arms: list[tuple[int, str, int]],
    orders: list[tuple[int, int, int]],
    days: int,
    since: int | None,
    paid: int | None,
) -> None:
    for table in ("events_raw", "decisions"):
        engine.command(f"TRUNCATE TABLE pathline.{table}")
    made = [
        event(BUY, T0 + at * DAY, id=f"o{n}", who=f"user_id:{who}", properties={"total": total})
        for n, (who, at, total) in enumerate(orders)
    ]
    fill(engine, [*(arm(str(who), name, T0 + at * DAY) for who, name, at in arms), *map(update, made)])
    expected: dict[str, list[int]] = {"a": [0, 0], "b": [0, 0], HELD_OUT: [0, 0]}
    for who in {who for who, _, _ in arms}:
        name, at = min(((name, at) for other, name, at in arms if other == who), key=lambda first: first[1])
        if since is None or at >= since:
            expected[name][0] += 1
            expected[name][1] += any(
                other == who and at < then < at + days and (paid is None or total > paid)
                for other, then, total in orders
            )
    chosen = Filters(
        since=None if since is None else T0 + since * DAY,
        where=None if paid is None else compile(f"event.properties.total > {paid}"),
    )
    asked = Question("promo", "s", ASKED.shares, (BUY,), within=days * DAY)
    assert counts(engine, asked, chosen) == {name: tuple(found) for name, found in expected.items()}


def test_a_person_that_was_merged_counts_once_with_its_first_arm(warehouse: Warehouse) -> None:
    cookie, user = "anonymous_id:c", "user_id:u"
    slot = slot_of(cookie)
    there = Period(since=0, person_id=person_id(user), slot=slot, version=2)
    early = msgspec.structs.replace(arm("x", "a"), person_id=person_id(cookie))
    move = Move(to=person_id(user), slots=[SlotVersion(slot=slot, version=2)], reason="merge", at=T0 + HOUR)
    fill(
        warehouse,
        [
            update(event("Visit", T0, who=cookie)),
            early,
            arm("u", "b", T0 + HOUR),
            Update(kind="move", person_id=person_id(cookie), at=T0 + HOUR, move=move),
            Assignment(identifier=cookie, version=2, periods=[there]),
            bought("u", T0 + 2 * HOUR),
        ],
    )
    assert counts(warehouse) == {"a": (1, 1), "b": (0, 0), HELD_OUT: (0, 0)}


def test_the_control_group_is_compared_with_everyone_else_who_entered(warehouse: Warehouse) -> None:
    fill(warehouse, [decision(T0, "promo", ENTERED, who=f"user_id:u{n}", instance=f"i{n}") for n in range(4)])
    fill(warehouse, [arm("u3", HELD_OUT, step=""), arm("u3", "a"), arm("u2", "a"), bought("u3", T0 + 1)], first=10)
    asked = Question("promo", "", ((TREATED, 95), (HELD_OUT, 5)), (BUY,))
    assert counts(warehouse, asked) == {TREATED: (3, 0), HELD_OUT: (1, 1)}
    # in the split it counts for no arm: it got nothing in any
    assert counts(warehouse) == {"a": (1, 0), "b": (0, 0), HELD_OUT: (0, 0)}


SPLIT = "- split: {a: 50, holdout: 50}\n  a: []\n"


def project(journey: str, more: str = "") -> Project:
    files = {"project.yaml": f"name: x\n{more}", "journeys/promo.yaml": f"enter: {{event: Go}}\n{journey}"}
    return parse(files)


def test_what_is_asked_of_a_journey_stands_in_its_definition() -> None:
    goal = "goal: {event: Bought, where: event.properties.total > 5, within: 7d}\n"
    asked = question_of(project(f"{goal}steps:\n{SPLIT}"), "promo")
    assert (asked.split, asked.shares, asked.within) == ("1", (("a", 50), (HELD_OUT, 50)), 7 * DAY)
    assert asked.conversions == ("Bought",)
    assert asked.where is not None
    assert question_of(project(f"{goal}steps:\n{SPLIT}"), "promo", conversions=["B"]).where is None
    control = question_of(project(f"{goal}steps:\n- exit: x\n", "holdout: {share: 5}\n"), "promo")
    assert (control.split, control.shares) == ("", ((TREATED, 95), (HELD_OUT, 5)))


@pytest.mark.parametrize(
    ("journey", "name", "split", "message"),
    [
        (f"steps:\n{SPLIT}", "prom", "", "there is no journey 'prom'; there are promo"),
        (f"steps:\n{SPLIT}", "promo", "", "no event as its goal: say what counts by --conversion EVENT"),
        (f"goal: {{event: B}}\nsteps:\n{SPLIT}", "promo", "x", "no split 'x'; there are 1"),
        (f"goal: {{event: B}}\nsteps:\n{SPLIT}{SPLIT}", "promo", "", "several splits, choose one by --split: 1, 2"),
        ("goal: {event: B}\nsteps: [{exit: x}]\n", "promo", "", "has no split, and no control group"),
    ],
)
def test_what_can_t_be_measured_is_told(journey: str, name: str, split: str, message: str) -> None:
    with pytest.raises(BadQuestion, match=message):
        question_of(project(journey), name, split)


def test_statistics_are_those_of_the_papers() -> None:
    # Newcombe 1998, Statistics in Medicine 17: 857-872 (one share), 873-890 (differences, table II, method 10)
    assert interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert difference((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference((9, 10), (3, 10)) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert difference((0, 10), (0, 10)) == pytest.approx((-0.2775, 0.2775), abs=5e-5)
    # z = 2.6502 by hand
    assert p_value((56, 70), (48, 80)) == pytest.approx(0.00804, abs=2e-5)
    assert p_value((0, 5), (0, 5)) is None


@pytest.mark.parametrize(
    ("distance", "degrees", "tail"),
    [(3.841, 1, 0.05), (5.991, 2, 0.05), (7.815, 3, 0.05), (9.488, 4, 0.05), (15.086, 5, 0.01), (10.828, 1, 0.001)],
)
def test_the_ratio_check_has_the_tail_of_the_tables(distance: float, degrees: int, tail: float) -> None:
    # two arms among equals that are off by as much as gives this distance
    arms, off = degrees + 1, (distance * 10_000 / 2) ** 0.5
    counts = [10_000.0 + off, 10_000.0 - off, *[10_000.0] * (arms - 2)]
    assert ratio_p_value(counts, [1.0] * arms) == pytest.approx(tail, rel=0.005)  # type: ignore[arg-type]


@given(successes=st.integers(0, 50), trials=st.integers(1, 50))
def test_an_interval_holds_its_share_and_is_that_of_the_opposite_mirrored(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    low, high = interval(successes, trials)
    assert -1e-12 <= low <= successes / trials + 1e-12 <= high + 2e-12 <= 1 + 3e-12
    assert interval(trials - successes, trials) == pytest.approx((1 - high, 1 - low))
