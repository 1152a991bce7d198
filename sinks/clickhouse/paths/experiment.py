"""Experiments: do the arms of a journey's split differ in how many people convert?

A person belongs to the arm it was given first, from that instant on, whatever it got then; so arms are compared as they
were drawn. It converts by an event of the goal later than that (the event that it entered by does not count), within
the goal's time. `holdout`, else the first arm, is what the others are compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.definitions.model import Split
from schemas.definitions.steps import all_steps
from schemas.reasons import ARM, ENTERED, HELD_OUT
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import BadQuestion, Filters, apart, on_events
from sinks.clickhouse.paths.statistics import difference, interval, p_value, ratio_p_value

if TYPE_CHECKING:
    from schemas.definitions.expressions import Expression
    from schemas.definitions.model import Journey, Project

#: those who are not held out, of a journey that is measured by the project's control group
TREATED = "treated"


@dataclass(frozen=True, slots=True)
class Question:
    """`shares` by arm in order, as percents; `split` is the id of the step, empty for the project's control group.

    A conversion is an event of one of these names for which `where` holds, at most `within` milliseconds later.
    """

    journey: str
    split: str
    shares: tuple[tuple[str, float], ...]
    conversions: tuple[str, ...]
    where: Expression | None = None
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """`rate`, `low` and `high` (95 %) are shares from 0 to 1; `difference` is to the arm compared with, with its 95 %
    interval, `p_value` says how probable so large a one is by chance. All are None where nothing can be told.

    `expected` is the share of people the arm should have; `ratio_p_value`, the same in all rows, says how probable the
    numbers of people are by chance: below 0.001 something loses people of an arm, and the rest is worth nothing.
    """

    arm: str
    people: int
    expected: float
    converted: int
    rate: float | None
    low: float
    high: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_value: float | None
    ratio_p_value: float | None


def question_of(
    project: Project, name: str, split: str = "", conversions: Sequence[str] = (), within: int | None = None
) -> Question:
    """What to measure of a journey: its split (the only one, or that of this step id), else the project's control
    group; by the events named, else by its goal. Raises BadQuestion."""
    journey = project.journeys.get(name)
    if journey is None:
        raise BadQuestion(f"there is no journey {name!r}; there are {', '.join(sorted(project.journeys)) or 'none'}")
    where = None
    names = tuple(conversions)
    if not names:
        goal = journey.goal
        if goal is None or not goal.trigger.events:
            raise BadQuestion(f"journey {name} has no event as its goal: say what counts by --conversion EVENT")
        names, where = goal.trigger.events, goal.trigger.where
        within = goal.within if within is None else within
        if where is not None and where.roots - {"event"}:
            raise BadQuestion(f"the goal of {name} is about more than its event: say what counts by --conversion EVENT")
    return Question(name, *_arms(project, journey, split), names, where, within)


def experiment(warehouse: Warehouse, question: Question, filters: Filters) -> list[Arm]:
    """A row for each arm, in order. People count who got their arm in the time asked about; an expression narrows what
    converts. Raises BadQuestion."""
    goal = apart(on_events(warehouse, Filters(segment=filters.segment, where=question.where)), "goal")
    chosen = apart(on_events(warehouse, Filters(where=filters.where)), "chosen")
    asked = on_events(warehouse, Filters(filters.since, filters.until, filters.segment))
    rows = warehouse.rows(
        _SQL.format(
            events=f"{goal.sql} AND {chosen.sql}",
            asked=asked.sql.replace("occurred_at", "given_at"),
            arms=_OF_SPLIT if question.split else _OF_CONTROL_GROUP,
            held_out=HELD_OUT,
        ),
        goal.parameters
        | chosen.parameters
        | asked.parameters
        | {
            "journey": question.journey,
            "split": question.split,
            "names": list(question.conversions),
            "within": question.within if question.within is not None else 2**60,
        },
    )
    counted = {row["arm"]: (row["converted"], row["people"]) for row in rows}
    shares = dict(question.shares)
    # arms of earlier versions of the journey are shown too
    arms = [*shares, *sorted(counted.keys() - shares.keys())]
    base = HELD_OUT if HELD_OUT in arms else arms[0]
    drawn = [counted.get(arm, (0, 0))[1] for arm in shares]
    ratio = ratio_p_value(drawn, list(shares.values()))
    return [_row(arm, counted, base, shares.get(arm, 0.0) / sum(shares.values()), ratio) for arm in arms]


def _row(arm: str, counted: dict[str, tuple[int, int]], base: str, expected: float, ratio: float | None) -> Arm:
    own, other = counted.get(arm, (0, 0)), counted.get(base, (0, 0))
    converted, people = own
    low, high = interval(*own)
    compared = arm != base and people > 0 and other[1] > 0
    by = difference(own, other) if compared else (None, None)
    return Arm(
        arm=arm,
        people=people,
        expected=expected,
        converted=converted,
        rate=converted / people if people else None,
        low=low,
        high=high,
        difference=converted / people - other[0] / other[1] if compared else None,
        difference_low=by[0],
        difference_high=by[1],
        p_value=p_value(own, other) if compared else None,
        ratio_p_value=ratio,
    )


def _arms(project: Project, journey: Journey, split: str) -> tuple[str, tuple[tuple[str, float], ...]]:
    splits = {step.id: step for step in all_steps(journey.steps) if isinstance(step, Split)}
    if split and split not in splits:
        raise BadQuestion(f"journey {journey.name} has no split {split!r}; there are {', '.join(splits) or 'none'}")
    if len(splits) > 1 and not split:
        raise BadQuestion(f"journey {journey.name} has several splits, choose one by --split: {', '.join(splits)}")
    if splits:
        step = splits[split] if split else next(iter(splits.values()))
        return step.id, tuple((name, share) for name, share, _ in step.arms)
    holdout = project.holdout
    if holdout is None or holdout.exempt & {journey.category, journey.name}:
        raise BadQuestion(f"journey {journey.name} has no split, and no control group of the project")
    return "", ((TREATED, 100 - holdout.share), (HELD_OUT, holdout.share))


# whoever is in the control group got nothing in any arm
_OF_SPLIT = f"""
SELECT person_id AS person_then, detail AS arm, at, offset FROM pathline.decisions
WHERE journey = {{journey:String}} AND reason = '{ARM}' AND step = {{split:String}} AND person_id NOT IN
    (SELECT person_id FROM pathline.decisions WHERE journey = {{journey:String}} AND reason = '{ARM}' AND step = '')
"""
_OF_CONTROL_GROUP = f"""
SELECT person_id AS person_then, if(reason = '{ARM}', detail, '{TREATED}') AS arm, at, offset FROM pathline.decisions
WHERE journey = {{journey:String}} AND (reason = '{ENTERED}' OR (reason = '{ARM}' AND step = ''))
"""

# decisions keep the person of their time: who that is now, its events say; entered and arm have one instant
_SQL = """
WITH given AS
(
    SELECT person_id, argMin(arm, (at, arm != '{held_out}', offset)) AS arm, min(at) AS given_at
    FROM
    (
        SELECT if(m.now = toUUID('00000000-0000-0000-0000-000000000000'), d.person_then, m.now) AS person_id,
               d.arm AS arm, d.at AS at, d.offset AS offset
        FROM ({arms}) AS d
        LEFT JOIN
        (
            SELECT person_at, if(countIf(person_id = person_at) > 0, person_at,
                                 argMax(person_id, (occurred_at, toUInt128(event_id)))) AS now
            FROM pathline.events WHERE person_at IN (SELECT from_person FROM pathline.moves)
            GROUP BY person_at
        ) AS m ON d.person_then = m.person_at
    )
    GROUP BY person_id
)
SELECT arm, count() AS people, countIf(person_id IN
(
    SELECT e.person_id
    FROM (SELECT person_id, occurred_at FROM pathline.events WHERE {events} AND has({{names:Array(String)}}, name)) AS e
    INNER JOIN given ON e.person_id = given.person_id
    WHERE e.occurred_at > given.given_at
        AND toUnixTimestamp64Milli(e.occurred_at) - toUnixTimestamp64Milli(given.given_at) < {{within:Int64}}
)) AS converted
FROM given
WHERE {asked}
GROUP BY arm
"""
