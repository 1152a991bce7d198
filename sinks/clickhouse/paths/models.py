"""Models of attribution: how the credit for conversions is divided among the touches before them.

- `first`, `last`, `linear`: as they say;
- `last_non_direct`: the last touch whose source is not direct, the last one where all are (Google Analytics);
- `position`: 40 % to the first and to the last touch, 20 % divided among those between; of two touches each gets half;
- `time_decay`: a touch weighs half as much with each half-life that it is older than the last one;
- `shapley`: the Shapley value of the game in which a set of nodes wins the conversions of the paths that touch no
  other; it divides a conversion equally among the distinct nodes of its path (Zhao, Mahboobi and Bagheri 2018);
- `markov`: the removal effect in the chain of first order (Anderl, Becker, von Wangenheim and Schumann 2016).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sinks.clickhouse.paths.arrays import Flags, Floats, Numbers
from sinks.clickhouse.paths.filters import BadQuestion

MARKOV = "markov"
MODELS = ("first", "last", "last_non_direct", "linear", "position", "time_decay", MARKOV, "shapley")
WEEK_MS = 7 * 86_400_000
#: how many nodes a chain may have: its matrix is as large as their square
MOST_NODES = 2_000
START, CONVERSION, NULL = -1, -2, -3

Edges = Counter[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Paths:
    """Touches of paths, all of the first one in order of time, then those of the next: `path` is the number of theirs,
    `place` where they are in it. `length` is by path."""

    path: Numbers
    place: Numbers
    length: Numbers
    node: Numbers
    direct: Flags
    key: Numbers

    @property
    def starts(self) -> Numbers:
        """Where each path begins."""
        return np.cumsum(self.length) - self.length


def weights(model: str, paths: Paths, half_life: int) -> Floats:
    """What part of its conversion each touch gets; the half-life is in milliseconds."""
    length, last = paths.length[paths.path], paths.length[paths.path] - 1
    weight: Floats
    match model:
        case "first":
            weight = (paths.place == 0).astype(float)
        case "last":
            weight = (paths.place == last).astype(float)
        case "last_non_direct":
            chosen = np.maximum.reduceat(np.where(paths.direct, -1, paths.place), paths.starts)[paths.path]
            weight = (paths.place == np.where(chosen < 0, last, chosen)).astype(float)
        case "linear":
            weight = 1 / length
        case "position":
            ends = (paths.place == 0) | (paths.place == last)
            weight = np.where(length < 3, 1 / length, np.where(ends, 0.4, 0.2 / np.maximum(length - 2, 1)))
        case "time_decay":
            age = paths.key[paths.starts + paths.length - 1][paths.path] - paths.key
            weight = np.exp2(-age / half_life)
            weight /= np.bincount(paths.path, weight)[paths.path]
        case "shapley":
            pair = paths.path * (int(paths.node.max()) + 1) + paths.node
            _, first = np.unique(pair, return_index=True)
            distinct = np.bincount(paths.path[first], minlength=len(paths.length))
            weight = np.zeros(len(pair))
            weight[first] = 1 / distinct[paths.path[first]]
        case _:
            raise ValueError(f"{model} is none of {', '.join(MODELS)}")
    return weight


def edges(paths: Paths, end: int) -> Edges:
    """Steps of the chain: from START along the paths to CONVERSION or NULL."""
    first = np.zeros(len(paths.path), dtype=bool)
    first[paths.starts] = True
    origins = np.concatenate([np.where(first, START, np.roll(paths.node, 1)), paths.node[np.roll(first, -1)]])
    targets = np.concatenate([paths.node, np.full(len(paths.length), end)])
    pairs, counts = np.unique(np.stack([origins, targets]), axis=1, return_counts=True)
    return Counter({(int(a), int(b)): int(n) for a, b, n in zip(*pairs, counts, strict=True)})


def removal_shares(chain: Edges) -> dict[int, float]:
    """The share of each node by its removal effect, 1 - P(conversion without it) / P(conversion).

    What would go to the removed node goes to NULL; so what is lost are the walks that come by it and convert:
    P(ever there) * P(conversion from there), with P(ever there) = N[start, node] / N[node, node] in the fundamental
    matrix N = (I - Q)^-1.
    """
    found = sorted({node for edge in chain for node in edge if node >= 0})
    if len(found) > MOST_NODES:
        raise BadQuestion(f"a Markov chain of more than {MOST_NODES:,} nodes; join some with --clean or --exclude")
    place = {node: index for index, node in enumerate(found)}
    start, size = len(found), len(found) + 1
    moves, converting = np.zeros((size, size)), np.zeros(size)
    leaving = Counter[int]()
    for (origin, _), count in chain.items():
        leaving[origin] += count
    for (origin, target), count in chain.items():
        row = place.get(origin, start)
        if target >= 0:
            moves[row, place[target]] = count / leaving[origin]
        elif target == CONVERSION:
            converting[row] = count / leaving[origin]
    fundamental: NDArray[Any] = np.linalg.inv(np.eye(size) - moves)
    lost = fundamental[start] / np.diag(fundamental) * (fundamental @ converting)
    effects = lost[:start]
    total = effects.sum()
    return {node: float(effects[place[node]] / total) if total else 0.0 for node in found}
