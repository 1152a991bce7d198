"""Flows: the steps people take after one thing, before another, between both, or from the beginning of their paths.

A path is all that a person did, cut where a silence is longer than `gap`. It is anchored at the first event or node
named as start, or the first named as end (after the start, where there is one); paths without the anchors don't count.
With `every` each occurrence is an anchor: paths are cut before each start, or behind each end, so that nothing counts
twice. An anchor is a node by its own name. Steps are counted from the start, or up to the end, whose step is the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.arrays import Halves, Numbers, changes, person_id
from sinks.clickhouse.paths.filters import BadQuestion, Filters, apart, on_events
from sinks.clickhouse.paths.reading import Names, read
from sinks.clickhouse.paths.tally import UNTIMED, Tally
from sinks.clickhouse.paths.touches import END, KEY, OTHER, START, Nodes, Source, nodes
from sinks.clickhouse.paths.walks import NO_TIME, Codes, Question, Walks, walks

#: stands for what lies between when there are more steps than were asked for
MORE = "(more)"


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
    edges, tally = _edges(warehouse, asked, question, filters), Tally()
    tally.add(edges.step, edges.origin, edges.target, edges.person, edges.took)
    found = [
        Flow(step, edges.names[origin], edges.names[target], count, people, median)
        for step, origin, target, count, people, median in tally.told()
    ]
    return sorted(found, key=lambda flow: (flow.step, -flow.count, flow.origin.encode(), flow.target.encode()))


def followers(
    warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters, step: int, origin: str, target: str
) -> list[Follower]:
    """The people behind a step of flows, those who took it most often first. Raises BadQuestion."""
    edges = _edges(warehouse, asked, question, filters)
    number = {name: number for number, name in enumerate(edges.names)}
    some = (edges.step == step) & (edges.origin == number.get(origin, -1)) & (edges.target == number.get(target, -1))
    people, which, counts = np.unique(edges.person[some], return_inverse=True, return_counts=True)
    first = np.full(len(people), 2**62)
    np.minimum.at(first, which, edges.at[some])
    found = [
        Follower(person_id(edges.people, person), count, at)
        for person, count, at in zip(people.tolist(), counts.tolist(), first.tolist(), strict=True)
    ]
    return sorted(found, key=lambda follower: (-follower.count, follower.person_id))


@dataclass(frozen=True, slots=True)
class _Edges:
    """Steps of all paths. `person`, `origin` and `target` are places in `people` and `names`; `took` is milliseconds,
    UNTIMED where an end of the path has no time, `at` (milliseconds) is that of the later node, else of the other."""

    step: Numbers
    person: Numbers
    origin: Numbers
    target: Numbers
    took: Numbers
    at: Numbers
    people: Halves
    names: list[str]


def _edges(warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters) -> _Edges:
    """What is not among the largest nodes of its place is (other)."""
    if question.depth < 1 or question.top < 1:
        raise BadQuestion("--depth and --top are at least 1")
    if question.start and question.start == question.end:
        raise BadQuestion("--start and --end are two different events")
    if any(time is not None and time <= 0 for time in (question.gap, question.within)):
        raise BadQuestion("--max-gap and --within are longer than nothing, for example 7d")
    names = Names(asked.named)
    anchors = [names.number(anchor) if anchor else -1 for anchor in (question.start, question.end)]
    codes = Codes(*anchors, *map(names.number, (START, END, MORE)))
    columns = ("node", "apart") if any(code >= 0 for code in anchors) and asked.by != "event" else ("node",)
    parts, people = [_NOWHERE], [np.empty((0, 2), np.uint64)]
    for rows in read(warehouse, _source(warehouse, asked, question, filters), columns, names):
        found = walks(rows, question, codes)
        parts.append(replace(found, person=found.person + sum(map(len, people))))
        people.append(rows.people)
    person, node, at, place, going = (
        np.concatenate([getattr(part, column) for part in parts])
        for column in ("person", "node", "at", "place", "going")
    )
    node = _named(node, place, question.top, names, codes)
    here = np.flatnonzero(going)
    since, until = at[here], at[here + 1]
    return _Edges(
        step=place[here],
        person=person[here],
        origin=node[here],
        target=node[here + 1],
        took=np.where((since == NO_TIME) | (until == NO_TIME), UNTIMED, until - since),
        at=np.where(until == NO_TIME, since, until),
        people=np.concatenate(people),
        names=list(names.known),
    )


_NOTHING = np.empty(0, np.int64)
_NOWHERE = Walks(_NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING > 0)


def _named(node: Numbers, place: Numbers, top: int, names: Names, codes: Codes) -> Numbers:
    """The nodes, where only the most frequent of each place and the anchors have names; the first by name of equals."""
    other = names.number(OTHER)
    alphabet = np.argsort(np.argsort(np.array([name.encode() for name in names.known], dtype=object)))
    kinds, which, counts = np.unique(place * len(names.known) + node, return_inverse=True, return_counts=True)
    places, nodes_ = np.divmod(kinds, len(names.known))
    order = np.lexsort((alphabet[nodes_], -counts, places))
    begins = np.flatnonzero(changes(places[order]))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    large = (rank < top) | np.isin(nodes_, [codes.start, codes.end, codes.beginning, codes.ending, codes.more])
    named: Numbers = np.where(large[which], node, other)
    return named


def _source(warehouse: Warehouse, asked: Nodes, question: Question, filters: Filters) -> Source:
    """Nodes, and the events that are anchors as rows of their own, which are no touches then."""
    source = nodes(warehouse, asked, filters)
    if asked.by == "event" or not (question.start or question.end):
        return source
    anchors = apart(on_events(warehouse, filters), "anchors")
    visit = ("visit, ", "toLowCardinality(''), ") if source.gap is not None else ("", "")
    return replace(
        source,
        sql=(
            f"(SELECT person_id, at, id, node, {visit[0]}false AS apart FROM {source.sql}"
            f" UNION ALL SELECT {KEY}, name, {visit[1]}true FROM pathline.events"
            f" WHERE {anchors.sql} AND name != '' AND name IN ({{start:String}}, {{end:String}}))"
        ),
        parameters=source.parameters | anchors.parameters | {"start": question.start, "end": question.end},
    )
