"""Flows: the steps people take after one thing, before another, between both, or from the beginning of their paths.

A path is all that a person did, cut where a silence is longer than `gap`. It is anchored at the first event or node
named as start, or the first named as end (after the start, where there is one); paths without the anchors don't count.
With `every` each occurrence is an anchor: paths are cut before each start, or behind each end, so that nothing counts
twice. An anchor is a node by its own name. Steps are counted from the start, or up to the end, whose step is the last.
"""

from __future__ import annotations

from dataclasses import dataclass

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.filters import BadQuestion, Filters, apart, on_events
from sinks.clickhouse.paths.touches import END, KEY, OTHER, START, Nodes, Source, nodes
from sinks.clickhouse.paths.transitions import number

#: milliseconds longer than any silence
_NEVER = 2**62
#: stands for what lies between when there are more steps than were asked for
MORE = "(more)"


@dataclass(frozen=True, slots=True)
class Question:
    """`depth` is how many steps, `top` how many nodes each place of a path keeps by name; times are milliseconds.
    `within` is how long after the start, or before the end, a node counts."""

    start: str = ""
    end: str = ""
    depth: int = 5
    top: int = 10
    gap: int | None = None
    within: int | None = None
    collapse: bool = False
    every: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """`count` paths went from `origin` to `target` as their step with this number; the median is None at the ends."""

    step: int
    origin: str
    target: str
    count: int
    people: int
    median_seconds: float | None


@dataclass(frozen=True, slots=True)
class Follower:
    """Someone who took a step: how often, and when first (milliseconds)."""

    person_id: str
    count: int
    first_at: int


def flows(warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters) -> list[Flow]:
    """Steps by number, the most frequent first. Raises BadQuestion."""
    source = _edges(warehouse, asked, question, filters)
    rows = warehouse.rows(
        f"SELECT step, edge.1 AS origin, edge.2 AS target, count() AS count, uniqExact(person_id) AS people,"
        f" quantileExactInclusive(0.5)(edge.3) AS median FROM {source.sql}"
        " GROUP BY step, origin, target ORDER BY step, count DESC, origin, target",
        source.parameters,
    )
    return [
        Flow(row["step"], row["origin"], row["target"], row["count"], row["people"], number(row["median"]))
        for row in rows
    ]


def followers(
    warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters, step: int, origin: str, target: str
) -> list[Follower]:
    """The people behind a step of flows, those who took it most often first. Raises BadQuestion."""
    source = _edges(warehouse, asked, question, filters)
    rows = warehouse.rows(
        f"SELECT toString(person_id) AS person, count() AS count, min(edge.4) AS first FROM {source.sql}"
        " WHERE step = {step:Int64} AND edge.1 = {origin:String} AND edge.2 = {target:String}"
        " GROUP BY person ORDER BY count DESC, person",
        source.parameters | {"step": step, "origin": origin, "target": target},
    )
    return [Follower(row["person"], row["count"], row["first"]) for row in rows]


def _edges(warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters) -> Source:
    """A subquery with person_id, step and edge: (from, to, seconds, at). What is not among the largest is (other)."""
    if question.depth < 1 or question.top < 1:
        raise BadQuestion("--depth and --top are at least 1")
    if question.start and question.start == question.end:
        raise BadQuestion("--start and --end are two different events")
    if any(time is not None and time <= 0 for time in (question.gap, question.within)):
        raise BadQuestion("--max-gap and --within are longer than nothing, for example 7d")
    paths = _paths(warehouse, asked, question, filters)
    largest = warehouse.rows(
        f"SELECT place, node FROM {paths.sql} ARRAY JOIN names AS node, places AS place GROUP BY place, node"
        " ORDER BY place, count() DESC, node LIMIT {top:UInt32} BY place",
        paths.parameters | {"top": question.top},
    )
    named = [f"{row['place']} {row['node']}" for row in largest]
    anchors = [START, MORE, END, *(anchor for anchor in (question.start, question.end) if anchor)]
    return Source(f"({_STEPS.format(paths=paths.sql)})", paths.parameters | {"named": named, "anchors": anchors})


_STEPS = f"""
SELECT person_id, edge, step
FROM
(
    SELECT
        person_id,
        arrayMap((name, place) -> if(has({{{{anchors:Array(String)}}}}, name)
            OR has({{{{named:Array(String)}}}}, concat(toString(place), ' ', name)), name, '{OTHER}'),
            names, places) AS nodes,
        arrayZip(arrayPopBack(nodes), arrayPopFront(nodes),
                 arrayMap((a, b) -> if(a IS NULL OR b IS NULL, NULL, (b - a) / 1000),
                          arrayPopBack(times), arrayPopFront(times)),
                 arrayMap((a, b) -> assumeNotNull(coalesce(b, a)), arrayPopBack(times), arrayPopFront(times))) AS edges,
        arrayPopBack(places) AS steps
    FROM {{paths}}
)
ARRAY JOIN edges AS edge, steps AS step
"""


def _paths(warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters) -> Source:
    """A subquery with person_id and, of each path, names, times (NULL at (start) and (end)) and places from 1 on."""
    source = nodes(warehouse, asked, filters)
    parameters = source.parameters | {
        "start": question.start,
        "end": question.end,
        "depth": question.depth,
        "gap": question.gap or _NEVER,
        "within": question.within or _NEVER,
    }
    rows = f"SELECT person_id, at, id, node FROM {source.sql}"
    if asked.by != "event" and (question.start or question.end):
        anchors = apart(on_events(warehouse, filters), "anchors")
        parameters |= anchors.parameters
        own = (
            f"SELECT {KEY}, toString(name) AS node FROM pathline.events"
            f" WHERE {anchors.sql} AND name != '' AND name IN ({{start:String}}, {{end:String}})"
        )
        # the event that is an anchor is no touch besides
        rows = f"{rows} WHERE id NOT IN (SELECT id FROM ({own})) UNION ALL {own}"
    visited = _COLLAPSED if question.collapse else "piece"
    # up to an end the last step is the same for all
    skipped = " + {depth:Int64} + 1 - length(names)" if question.end and not question.start else ""
    return Source(
        f"""
(
    SELECT
        person_id, {_path(question)} AS path, path.1 AS times, path.2 AS names,
        arrayMap(n -> toInt64(n){skipped}, arrayEnumerate(names)) AS places
    FROM
    (
        SELECT person_id, {_kept(question)} AS kept
        FROM
        (
            SELECT person_id, {visited} AS visited, {_runs(question)} AS runs
            FROM
            (
                SELECT
                    person_id, arraySort(groupArray((at, id, node))) AS found,
                    arraySplit((step, since) -> since > {{gap:Int64}}, arrayZip(found.1, found.3),
                               arrayDifference(found.1)) AS pieces
                FROM ({rows})
                GROUP BY person_id
            )
            ARRAY JOIN pieces AS piece
        )
        ARRAY JOIN runs AS run
        WHERE {_anchored(question, "run")}
    )
    WHERE {_anchored(question, "kept")}
)
""",
        parameters,
    )


_COLLAPSED = "arrayFilter((step, last) -> step.2 != last, piece, arrayPopBack(arrayPushFront(piece.2, '')))"


def _runs(question: Question) -> str:
    """What of a piece begins or ends with an anchor of its own."""
    if question.every and question.start:
        return "arraySplit(step -> step.2 = {start:String}, visited)"
    if question.every and question.end:
        return "arrayReverseSplit(step -> step.2 = {end:String}, visited)"
    return "[visited]"


def _anchored(question: Question, run: str) -> str:
    """Whether the anchors are there."""
    there = [f"has({run}.2, {{{side}:String}})" for side in ("start", "end") if getattr(question, side)]
    return " AND ".join([f"notEmpty({run})", *there])


def _kept(question: Question) -> str:
    """The steps of a run between its anchors and within the time."""
    kept = "run"
    if question.start:
        kept = f"arraySlice({kept}, indexOf({kept}.2, {{start:String}}))"
    if question.end:
        kept = f"arraySlice({kept}, 1, indexOf({kept}.2, {{end:String}}))"
    if question.end and not question.start:
        return f"arrayFilter(step -> {kept}[-1].1 - step.1 < {{within:Int64}}, {kept})"
    return f"arrayFilter(step -> step.1 - {kept}[1].1 < {{within:Int64}}, {kept})"


def _path(question: Question) -> str:
    """The nodes that `depth` steps have, as (time or NULL, name)."""
    start, end, more = (f"[(NULL, '{name}')]" for name in (START, END, MORE))
    if question.start and question.end:
        head = f"arrayConcat(arraySlice(kept, 1, {{depth:Int64}} - 1), {more})"
        whole = "[kept[1]]" if question.depth == 1 else head
        path = f"if(length(kept) <= {{depth:Int64}} + 1, kept, arrayConcat({whole}, [kept[-1]]))"
    elif question.end:
        path = (
            f"if(length(kept) <= {{depth:Int64}}, arrayConcat({start}, kept), arraySlice(kept, -{{depth:Int64}} - 1))"
        )
    else:
        before = "kept" if question.start else f"arrayConcat({start}, kept)"
        path = f"arraySlice(arrayConcat({before}, {end}), 1, {{depth:Int64}} + 1)"
    return f"CAST({path} AS Array(Tuple(Nullable(Int64), String)))"
