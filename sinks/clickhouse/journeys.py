"""How far people are in a journey: how many came to each step, went on, are there now, were sent something, and reached
the goal.

Everything is read from the decisions: each step that somebody comes to leaves at least one (`journey_steps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.reasons import ARM, BRANCH, ENTERED, EXITED, FINISHED, GOAL, LATE, MERGED, NOT_ENTERED, SENT, WINNER
from sinks.clickhouse.engine import Warehouse

#: what an instance's story begins and ends with, beside its steps
START, END = "(start)", "(end)"
ENDS = frozenset({FINISHED, EXITED, MERGED})


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Instances at a step. `came` were there at some time, `here` are there now, `ended` never got further. `sent`
    counts messages, of which so many were `delivered`, `opened` and `clicked`; `converted` are instances that reached
    the goal after a message of this step. `skipped` counts, by reason, what was not sent."""

    step: str
    came: int = 0
    here: int = 0
    ended: int = 0
    sent: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    converted: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Instances that went on to another step or came to the end."""
        return self.came - self.here - self.ended


@dataclass(frozen=True, slots=True)
class JourneyFigures:
    """A journey as a whole. `inside` now; of those who entered so many `finished`, `exited` before the end or went on
    as another's (`merged`); `goals` is how many reached the goal. `refused` counts entries that were not let in."""

    journey: str
    entered: int = 0
    inside: int = 0
    finished: int = 0
    exited: int = 0
    merged: int = 0
    sent: int = 0
    goals: int = 0
    refused: int = 0


def journeys(warehouse: Warehouse, since: int | None = None, until: int | None = None) -> dict[str, JourneyFigures]:
    """Figures of all journeys by name, of instances that entered in `since <= at < until` (milliseconds UTC)."""
    asked = _times(since, until)
    found = {row["journey"]: row for row in warehouse.rows(_JOURNEYS, asked)}
    for row in warehouse.rows(_REFUSED, asked):
        found.setdefault(row["journey"], {}).update(row)
    return {journey: JourneyFigures(**row) for journey, row in found.items()}


def steps(
    warehouse: Warehouse, journey: str, since: int | None = None, until: int | None = None
) -> dict[str, StepFigures]:
    """Figures of each step that somebody came to, by step id, of instances that entered in that time."""
    asked = _times(since, until) | {"journey": journey, "ends": sorted(ENDS)}
    found: dict[str, dict[str, Any]] = {}
    for row in warehouse.rows(_CAME, asked):
        found[row["step"]] = row
    for row in warehouse.rows(_WHERE, asked):
        found.setdefault(row["step"], {"step": row["step"]}).update(row)
    for row in warehouse.rows(_SKIPPED, asked):
        found[row["step"]].setdefault("skipped", {})[row["reason"]] = row["times"]
    for row in warehouse.rows(_SENDS, asked):
        if row["step"] in found:
            found[row["step"]].update(row)
    return {step: StepFigures(**row) for step, row in found.items()}


def ways(
    warehouse: Warehouse, journey: str, since: int | None = None, until: int | None = None
) -> dict[tuple[str, str], int]:
    """How many instances went from one step to another, START and END among them."""
    rows = warehouse.rows(_WAYS, _times(since, until) | {"journey": journey, "ends": sorted(ENDS)})
    return {(row["origin"], row["target"]): row["count"] for row in rows}


def taken(
    warehouse: Warehouse, journey: str, since: int | None = None, until: int | None = None
) -> dict[tuple[str, str], int]:
    """How many instances took each arm of a branch or split, by step and what decisions call the arm."""
    rows = warehouse.rows(_TAKEN, _times(since, until) | {"journey": journey})
    return {(row["step"], row["arm"]): row["count"] for row in rows}


_END = f"argMaxIf(toString(reason), (at, offset), reason IN {tuple(sorted(ENDS))})"
_IN_TIME = "min(at) >= fromUnixTimestamp64Milli({since:Int64}) AND min(at) < fromUnixTimestamp64Milli({until:Int64})"
_JOURNEYS = f"""
SELECT journey, count() AS entered, countIf(end = '') AS inside, countIf(end = '{FINISHED}') AS finished,
    countIf(end = '{EXITED}') AS exited, countIf(end = '{MERGED}') AS merged, sum(sends) AS sent, countIf(goal) AS goals
FROM
(
    SELECT toString(journey) AS journey, instance_id, {_END} AS end, countIf(reason = '{SENT}') AS sends,
        countIf(reason = '{GOAL}') > 0 AS goal
    FROM pathline.decisions WHERE instance_id != ''
    GROUP BY journey, instance_id
    HAVING {_IN_TIME} AND countIf(reason = '{ENTERED}') > 0
)
GROUP BY journey
"""
_REFUSED = f"""
SELECT toString(journey) AS journey, count() AS refused FROM pathline.decisions
WHERE reason = '{NOT_ENTERED}'
    AND at >= fromUnixTimestamp64Milli({{since:Int64}}) AND at < fromUnixTimestamp64Milli({{until:Int64}})
GROUP BY journey
"""
#: what tells a step: neither the goal, which names a message, nor what is about the journey as a whole
_TOLD = f"step != '' AND reason != '{GOAL}'"
_INSTANCES = (
    "instance_id IN (SELECT instance_id FROM pathline.decisions WHERE journey = {journey:String} AND instance_id != ''"
    f" GROUP BY instance_id HAVING {_IN_TIME})"
)
_OF = f"journey = {{journey:String}} AND {_INSTANCES}"
_CAME = f"""
SELECT toString(step) AS step, uniqExactIf(instance_id, reason != '{GOAL}') AS came, countIf(reason = '{SENT}') AS sent,
    uniqExactIf(instance_id, reason = '{GOAL}') AS converted
FROM pathline.decisions WHERE {_OF} AND step != '' GROUP BY step HAVING came > 0
"""
_WHERE = f"""
SELECT step, countIf(end = '') AS here, countIf(end IN ('{EXITED}', '{MERGED}')) AS ended
FROM
(
    SELECT instance_id, argMaxIf(toString(step), (at, offset), {_TOLD}) AS step, {_END} AS end
    FROM pathline.decisions WHERE {_OF} GROUP BY instance_id
)
WHERE step != '' GROUP BY step
"""
_SKIPPED = f"""
SELECT toString(step) AS step, toString(reason) AS reason, count() AS times
FROM pathline.decisions
WHERE {_OF} AND step != ''
    AND reason IN ('no consent', 'unreachable', 'suppressed', 'capped', 'holdout', 'duplicate intent', 'lost priority',
        'withdrawn', '{LATE}', 'template error')
GROUP BY step, reason ORDER BY step, times DESC, reason
"""
_SENDS = f"""
SELECT toString(step) AS step, countIf(delivered_at IS NOT NULL) AS delivered, countIf(opened_at IS NOT NULL) AS opened,
    countIf(clicked_at IS NOT NULL) AS clicked
FROM pathline.sends WHERE {_OF} GROUP BY step
"""
_WAYS = f"""
SELECT origin, target, count() AS count
FROM
(
    SELECT arrayCompact(arrayConcat(
        ['{START}'],
        arrayMap(x -> x.3, arraySort(groupArrayIf((at, offset, toString(step)), {_TOLD}))),
        if(countIf(reason IN {{ends:Array(String)}}) > 0, ['{END}'], [])
    )) AS way
    FROM pathline.decisions WHERE {_OF} GROUP BY instance_id
)
ARRAY JOIN arrayPopBack(way) AS origin, arrayPopFront(way) AS target
GROUP BY origin, target
"""


_TAKEN = f"""
SELECT toString(step) AS step, detail AS arm, uniqExact(instance_id) AS count
FROM pathline.decisions WHERE {_OF} AND step != '' AND reason IN ('{ARM}', '{BRANCH}', '{WINNER}') GROUP BY step, arm
"""


def _times(since: int | None, until: int | None) -> dict[str, Any]:
    """Parameters; without bounds the first and the last year that a row can have."""
    return {
        "since": -2_208_988_800_000 if since is None else since,
        "until": 10_413_792_000_000 if until is None else until,
    }
