"""Walks: the parts of paths that flows are told of, anchored and shortened, of all people at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sinks.clickhouse.paths.arrays import Flags, Numbers, Rows, changes

#: stands for the time of what has none
NO_TIME = -(2**62)


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
class Codes:
    """Numbers of nodes: the anchors, -1 where there is none, and what stands for the ends and for what is left out."""

    start: int
    end: int
    beginning: int
    ending: int
    more: int


@dataclass(frozen=True, slots=True)
class Walks:
    """The nodes of walks one after the other: whose, what, when (milliseconds since 1970 UTC, or NO_TIME), in which
    place from 1 on, and whether another one follows."""

    person: Numbers
    node: Numbers
    at: Numbers
    place: Numbers
    going: Flags


def walks(rows: Rows, question: Question, codes: Codes) -> Walks:
    """The walks of these people. An anchor comes before the touch of its event, which counts no more."""
    rows = rows.only(~rows.again)
    rows, cut = _pieces(rows, question, codes)
    low, high = _anchored(rows, cut, question, codes)
    return _shortened(rows, low, high, question, codes)


def _pieces(rows: Rows, question: Question, codes: Codes) -> tuple[Rows, Flags]:
    """The rows that count, and which of them begin a piece of their own: at a silence, or at an anchor where each one
    counts."""
    cut = changes(rows.person)
    if question.gap is not None:
        cut |= np.diff(rows.key, prepend=0) > question.gap
    if question.collapse:
        some = cut | changes(rows.columns["node"])
        rows, cut = rows.only(some), cut[some]
    node = rows.columns["node"]
    if question.every and codes.start >= 0:
        cut = cut | (node == codes.start)
    elif question.every and codes.end >= 0:
        cut = cut | np.append(False, node[:-1] == codes.end)
    return rows, cut


def _anchored(rows: Rows, cut: Flags, question: Question, codes: Codes) -> tuple[Numbers, Numbers]:
    """The first row of each walk and the one behind its last."""
    node, key = rows.columns["node"], rows.key
    low = np.flatnonzero(cut)
    high = np.append(low[1:], len(node))
    for code, is_end in ((codes.start, False), (codes.end, True)):
        if code < 0:
            continue
        there = np.flatnonzero(node == code)
        first = np.append(there, len(node))[np.searchsorted(there, low)]
        some = first < high
        low, high, first = low[some], high[some], first[some]
        low, high = (low, first + 1) if is_end else (first, high)
    if question.within is None:
        return low, high
    within = min(question.within, rows.span)
    if codes.end >= 0 and codes.start < 0:
        return np.maximum(low, np.searchsorted(key, key[high - 1] - within, "right")), high
    near = np.minimum(high, np.searchsorted(key, key[low] + within))
    if codes.end >= 0:
        return low[near == high], high[near == high]
    return low, near


def _shortened(rows: Rows, low: Numbers, high: Numbers, question: Question, codes: Codes) -> Walks:
    """At most as many steps as were asked for, with the ends of paths."""
    most, length = question.depth + 1, high - low
    anchored = codes.start >= 0, codes.end >= 0
    match anchored:
        case True, True:
            before, size = np.zeros_like(length), np.minimum(length, most)
        case False, True:
            before, size = (length < most).astype(np.int64), np.minimum(length + 1, most)
            low = np.maximum(low, high - most)
        case _:
            before = np.full_like(length, not anchored[0])
            size = np.minimum(before + length + 1, most)
    walk = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(walk)) - np.repeat(np.cumsum(size) - size, size)
    row = low[walk] + place - before[walk]
    node = rows.columns["node"][np.minimum(row, len(rows.key) - 1)]
    beginning, ending = place < before[walk], row >= high[walk]
    node = np.where(beginning, codes.beginning, np.where(ending, codes.ending, node))
    timeless = beginning | ending
    if all(anchored):
        long = (length > most)[walk]
        last, left_out = long & (place == most - 1), long & (place == most - 2) & (place > 0)
        row = np.where(last, high[walk] - 1, row)
        node = np.where(last, codes.end, np.where(left_out, codes.more, node))
        timeless = left_out
    if anchored == (False, True):
        # up to an end the last step is the same for all
        place = place + (most - size)[walk]
    at = np.where(timeless, NO_TIME, rows.at[np.minimum(row, len(rows.key) - 1)])
    going = np.ones(len(walk), dtype=bool)
    going[np.cumsum(size) - 1] = False
    person = rows.person[low][walk]
    return Walks(person, node, at, place + 1, going)
