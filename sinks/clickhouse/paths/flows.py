"""Flows: the steps people take after one thing, before another, between both, or from the beginning of their paths.

A path is all that a person did, cut where a silence is longer than `gap`. It is anchored at the first event or node
named as start, or the first named as end (after the start, where there is one); paths without the anchors don't count.
With `every` each occurrence is an anchor: paths are cut before each start, or behind each end, so that nothing counts
twice. An anchor is a node by its own name. Steps are counted from the start, or up to the end, whose step is the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.arrays import Names, Numbers, parts
from sinks.clickhouse.paths.filters import BadQuestion, Filters, apart, on_events
from sinks.clickhouse.paths.models import Floats
from sinks.clickhouse.paths.touches import END, KEY, OTHER, START, Nodes, Source, nodes

#: milliseconds longer than any silence
_NEVER = 2**62
#: stands for the time of what has none
_NO_TIME = -(2**62)
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
    edges = _edges(warehouse, asked, question, filters)
    if not len(edges.step):
        return []
    kind = np.stack([edges.step, edges.origin, edges.target])
    kinds, which, counts = np.unique(kind, axis=1, return_inverse=True, return_counts=True)
    which = which.ravel()
    people = np.unique(np.stack([which, edges.person]), axis=1)[0]
    people = np.bincount(people, minlength=len(counts))
    told = ~np.isnan(edges.seconds)
    order = np.lexsort((edges.seconds[told], which[told]))
    seconds, number = edges.seconds[told][order], np.bincount(which[told], minlength=len(counts))
    first = np.cumsum(number) - number
    found = []
    for place, (step, origin, target) in enumerate(kinds.T.tolist()):
        size, start = int(number[place]), int(first[place])
        # of an even number the mean of the middle two
        middle = seconds[start + (size - 1) // 2 : start + size // 2 + 1]
        median = float(middle.mean()) if size else None
        names = edges.names[origin], edges.names[target]
        found.append(Flow(step, *names, int(counts[place]), int(people[place]), median))
    return sorted(found, key=lambda flow: (flow.step, -flow.count, flow.origin.encode(), flow.target.encode()))


def followers(
    warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters, step: int, origin: str, target: str
) -> list[Follower]:
    """The people behind a step of flows, those who took it most often first. Raises BadQuestion."""
    edges = _edges(warehouse, asked, question, filters)
    names = dict(zip(edges.names, range(len(edges.names)), strict=True))
    some = (edges.step == step) & (edges.origin == names.get(origin, -1)) & (edges.target == names.get(target, -1))
    people, which, counts = np.unique(edges.person[some], return_inverse=True, return_counts=True)
    first = np.full(len(people), np.inf)
    np.minimum.at(first, which, edges.at[some])
    found = [
        Follower(edges.people[person], int(count), int(at))
        for person, count, at in zip(people.tolist(), counts, first, strict=True)
    ]
    return sorted(found, key=lambda follower: (-follower.count, follower.person_id))


@dataclass(frozen=True, slots=True)
class _Edges:
    """Steps of all paths. `person`, `origin` and `target` are places in `people` and `names`; `seconds` is NaN where an
    end of the path has no time, `at` (milliseconds) is that of the later node, else of the other."""

    step: Numbers
    person: Numbers
    origin: Numbers
    target: Numbers
    seconds: Floats
    at: Floats
    people: list[str]
    names: list[str]


def _edges(warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters) -> _Edges:
    """What is not among the largest nodes of its place is (other)."""
    if question.depth < 1 or question.top < 1:
        raise BadQuestion("--depth and --top are at least 1")
    if question.start and question.start == question.end:
        raise BadQuestion("--start and --end are two different events")
    if any(time is not None and time <= 0 for time in (question.gap, question.within)):
        raise BadQuestion("--max-gap and --within are longer than nothing, for example 7d")
    paths = _paths(warehouse, asked, question, filters)
    known, people = Names(), Names()
    read = [_read(warehouse, paths, some, known, people) for some in parts(warehouse)]
    person, node, at, place, going = (np.concatenate([part[column] for part in read]) for column in range(5))
    anchors = (START, MORE, END, *(anchor for anchor in (question.start, question.end) if anchor))
    node = _named(node, place, question.top, known, anchors)
    here = np.flatnonzero(going)
    later = np.where(np.isnan(at[here + 1]), at[here], at[here + 1])
    return _Edges(
        step=place[here],
        person=person[here],
        origin=node[here],
        target=node[here + 1],
        seconds=(at[here + 1] - at[here]) / 1000,
        at=later,
        people=list(people.known),
        names=list(known.known),
    )


def _read(warehouse: Warehouse, paths: Source, some: str, known: Names, people: Names) -> tuple[Any, ...]:
    """Of each node of the paths of some people: whose it is, its name, time, place, and whether another follows."""
    found = warehouse.arrow(
        f"SELECT toString(person_id) AS person, names, arrayMap(time -> ifNull(time, {_NO_TIME}), times) AS at, places"
        f" FROM {paths.sql} WHERE {some}",
        paths.parameters,
    ).combine_chunks()
    if not found.num_rows:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing.astype(float), nothing, nothing.astype(bool)
    lists = {name: found.column(name).chunk(0) for name in ("names", "at", "places")}
    length = pc.list_value_length(lists["names"]).to_numpy().astype(np.int64)
    at = lists["at"].flatten().to_numpy()
    going = np.ones(len(at), dtype=bool)
    going[np.cumsum(length) - 1] = False
    return (
        np.repeat(people.numbers(found.column("person").chunk(0)), length),
        known.numbers(lists["names"].flatten()),
        np.where(at == _NO_TIME, np.nan, at),
        lists["places"].flatten().to_numpy(),
        going,
    )


def _named(node: Numbers, place: Numbers, top: int, known: Names, anchors: Sequence[str]) -> Numbers:
    """The nodes, where only the most frequent of each place and the anchors have names; the first by name of equals."""
    keeping = [known.number(anchor) for anchor in anchors]
    other = known.number(OTHER)
    alphabet = np.argsort(np.argsort(np.array([name.encode() for name in known.known], dtype=object)))
    pairs, which, counts = np.unique(np.stack([place, node]), axis=1, return_inverse=True, return_counts=True)
    order = np.lexsort((alphabet[pairs[1]], -counts, pairs[0]))
    begins = np.flatnonzero(np.diff(pairs[0][order], prepend=-(2**62)))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    large = (rank < top) | np.isin(pairs[1], keeping)
    named: Numbers = np.where(large[which.ravel()], node, other)
    return named


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
