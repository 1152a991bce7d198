"""Who is one person: a pure function of the set of links, whatever order they arrived in.

Links are taken in a fixed order (rank of the weaker end, then oldest first, for `newest` types newest first, then
values) and joined greedily; one that would break a limit is refused. Hubs and ambiguous identifiers are isolated.
The greedy order is that of Kruskal's algorithm, with limits in place of cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NamedTuple

from processors.graph.periods import takeovers
from schemas.definitions.durations import spoken
from schemas.definitions.model import IdentityRules
from schemas.identifiers import admissible, split
from schemas.sightings import span, thinned

Pair = tuple[str, str]


class Edge(NamedTuple):
    """Two identifiers seen together: `a` is the stronger; first and last sighting in milliseconds since 1970 UTC.

    `again` are further sightings, at each of which a limit with a period may let it join if it did not before.
    """

    a: str
    b: str
    first: int
    last: int
    again: tuple[int, ...] = ()


class Said(NamedTuple):
    """What people asserted: pairs that are one person whatever limits say, in the order in which they are taken, and
    pairs that never are; of each the stronger first."""

    always: Sequence[Pair] = ()
    never: Collection[Pair] = ()


NOTHING = Said()


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of links. `root` names a group by one of its members; `tree` are the links that joined two groups,
    `obeyed` the asserted pairs that did; `refused` has the reason of each link that does not count; `ambiguous` are
    isolated `separate` identifiers."""

    root: dict[str, str]
    members: dict[str, list[str]]
    tree: set[Pair]
    obeyed: set[Pair]
    refused: dict[Pair, str]
    ambiguous: set[str]


class Strength:
    """Ranks and limits of identifier types, looked up by identifier.

    A type that links are kept of but the rules know no more is weaker than all others and without limit.
    """

    def __init__(self, rules: IdentityRules) -> None:
        self._types = rules.types
        self.hub = rules.hub
        self.separates = any(type.shared == "separate" for type in rules.types.values())
        self.rank = lru_cache(maxsize=65_536)(self._rank)
        #: why an identifier may not count under these rules; empty when it may
        self.barred = lru_cache(maxsize=65_536)(partial(admissible, rules))
        #: types with a limit, strongest first, so that the reason of a refusal names the strongest one exceeded
        self.limits = tuple(
            (type.name, type.limit, type.per)
            for type in sorted(rules.types.values(), key=lambda type: type.rank)
            if type.limit is not None
        )
        self._limited = {name for name, _, _ in self.limits}
        self.windowed = tuple(name for name, _, per in self.limits if per is not None)

    def shared(self, identifier: str) -> str:
        """keep, newest or separate."""
        type = self._types.get(split(identifier)[0])
        return "keep" if type is None else type.shared

    def per(self, identifier: str) -> int | None:
        """For how long, in milliseconds, an identifier of this type counts after it was seen; None is for ever."""
        type = self._types.get(split(identifier)[0])
        return None if type is None else type.per

    def span(self, pair: Pair) -> int | None:
        """As `schemas.sightings.span`, of a link."""
        return span(*(self._types.get(split(end)[0]) for end in pair)) if self.windowed else None

    def sightings(self, pair: Pair, seen: Sequence[int]) -> list[int]:
        """Those of a link's sightings, oldest first, that matter."""
        every = self.span(pair)
        return list(seen) if every is None else thinned(seen, every)

    def edge(self, pair: Pair, seen: Sequence[int], since: int = 0) -> Edge:
        """A link with these sightings, oldest first, of which those from `since` on count, or the last if none does."""
        if self.span(pair) is None:
            return Edge(*pair, seen[0], seen[-1])
        counting = [at for at in self.sightings(pair, seen) if at >= since] or [seen[-1]]
        return Edge(*pair, counting[0], counting[-1], tuple(counting[1:]))

    def pair(self, one: str, other: str) -> Pair:
        """Both, the stronger first; of one type the smaller first."""
        return (one, other) if (self.rank(one), one) <= (self.rank(other), other) else (other, one)

    def _rank(self, identifier: str) -> int:
        """0 is the strongest."""
        type = self._types.get(split(identifier)[0])
        return len(self._types) if type is None else type.rank

    def counts(self, identifier: str) -> dict[str, int]:
        """What one identifier counts towards limits."""
        type = split(identifier)[0]
        return {type: 1} if type in self._limited else {}

    def exceeded(self, left: dict[str, int], right: dict[str, int], dates: Callable[[str], list[int]]) -> str:
        """`type limit` of the strongest limit that the two together would break; empty when they may join.

        `dates` tells since when, oldest first, the identifiers of a type with a period belong to either.
        """
        for type, limit, per in self.limits:
            here, there = left.get(type, 0), right.get(type, 0)
            # what an assertion joined beyond a limit keeps only more of that type away
            if here and there and here + there > limit:
                if per is None:
                    return f"{type} {limit}"
                if _crowded(dates(type), here + there, limit, per):
                    return f"{type} {limit} per {spoken(per)}"
        return ""

    def order(self, edge: Edge) -> tuple[int, int, str, str]:
        """The order in which links are taken."""
        seen = -edge.last if self.shared(edge.b) == "newest" else edge.first
        return self.rank(edge.b), seen, edge.a, edge.b


def _crowded(dates: Sequence[int], count: int, limit: int, per: int) -> bool:
    """Whether more than `limit` of `count` identifiers came within one period; those without a date are in each."""
    room = limit - (count - len(dates))
    return room < 0 or any(dates[n + room] - dates[n] < per for n in range(len(dates) - room))


def hubs(edges: Iterable[Edge], strength: Strength) -> set[str]:
    """Identifiers linked to more distinct identifiers of stronger types than a person could own."""
    if strength.hub is None:
        return set()
    stronger: dict[str, set[str]] = {}
    for edge in edges:
        if strength.rank(edge.a) < strength.rank(edge.b):
            stronger.setdefault(edge.b, set()).add(edge.a)
    return {identifier for identifier, owners in stronger.items() if len(owners) > strength.hub}


def owned_since(edges: Iterable[Edge], strength: Strength) -> dict[str, int]:
    """Since when identifiers belong to whoever has them now, of those that changed their owner after a period in which
    nobody was seen with them."""
    sightings: dict[str, list[tuple[int, str]]] = {}
    for edge in edges:
        if strength.per(edge.b) is not None and strength.rank(edge.a) < strength.rank(edge.b):
            seen = strength.sightings((edge.a, edge.b), (edge.first, *edge.again))
            sightings.setdefault(edge.b, []).extend((at, edge.a) for at in seen)
    changes = {one: takeovers(seen, strength.per(one) or 0) for one, seen in sightings.items()}
    return {one: found[-1] for one, found in changes.items() if found}


def outdated(pair: Pair, last: int, owned: Mapping[str, int], strength: Strength) -> str:
    """Why a link seen `last` then counts no more: an end has another owner since; empty when it counts."""
    end = next((end for end in (pair[1], pair[0]) if last < owned.get(end, 0)), "")
    return f"superseded: {split(end)[0]} per {spoken(strength.per(end) or 0)}" if end else ""


def resolve(edges: Collection[Edge], rules: IdentityRules, said: Said = NOTHING) -> Joined:
    """Persons of a whole set of links, each pair once, blocked values taken out."""
    strength = Strength(rules)
    isolated = hubs(edges, strength)
    apart = [edge for edge in edges if not isolated & {edge.a, edge.b}]
    owned = owned_since(apart, strength)
    lost: dict[Pair, str] = {}
    counting: list[Edge] = []
    for edge in apart:
        pair, seen = (edge.a, edge.b), (edge.first, *edge.again)
        if reason := outdated(pair, max(seen), owned, strength):
            lost[pair] = reason
        else:
            since = max(owned.get(edge.a, 0), owned.get(edge.b, 0))
            counting.append(strength.edge(pair, seen, since) if edge.again else edge)
    joined = join(counting, strength, said)
    alone = [*lost, *((edge.a, edge.b) for edge in edges if isolated & {edge.a, edge.b})]
    for pair in alone:
        joined.refused[pair] = lost.get(pair, f"hub: {rules.hub}")
        for identifier in pair:
            if identifier not in joined.root:
                joined.root[identifier] = identifier
                joined.members[identifier] = [identifier]
    return joined


def join(edges: Collection[Edge], strength: Strength, said: Said = NOTHING) -> Joined:
    """Join links none of which touches a hub; what was asserted comes first.

    An identifier of a `separate` type that a limit keeps from joining a second person is ambiguous: it is taken out
    with all its links, and the rest is joined again without it, until no more turn up.
    """
    again = [edge._replace(first=at) for edge in edges if strength.shared(edge.b) != "newest" for at in edge.again]
    ordered = sorted([*edges, *again], key=strength.order)
    ambiguous: dict[str, str] = {}
    while True:
        greedy = _Greedy(strength, said)
        for edge in ordered:
            apart = ambiguous.get(edge.b) or ambiguous.get(edge.a)
            greedy.refuse(edge, f"separate: {apart}") if apart else greedy.take(edge)
        if not greedy.ambiguous:
            break
        ambiguous |= greedy.ambiguous
    pairs = [*said.always, *((edge.a, edge.b) for edge in ordered)]
    roots = {identifier: greedy.find(identifier) for pair in pairs for identifier in pair}
    members: dict[str, list[str]] = {}
    for identifier, root in roots.items():
        members.setdefault(root, []).append(identifier)
    return Joined(roots, members, greedy.tree, greedy.obeyed, greedy.refused, set(ambiguous))


@dataclass(slots=True)
class _Greedy:
    """Union-find that refuses what breaks a limit or what was asserted."""

    strength: Strength
    said: Said
    parent: dict[str, str] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    #: since when identifiers of types with a period belong to a group, oldest first, by type
    dates: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    tree: set[Pair] = field(default_factory=set)
    obeyed: set[Pair] = field(default_factory=set)
    refused: dict[Pair, str] = field(default_factory=dict)
    ambiguous: dict[str, str] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    #: with whom an identifier must not be one person; and of each group the members for whom there is anybody
    enemies: dict[str, set[str]] = field(default_factory=dict)
    wary: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for a, b in self.said.never:
            for one, other in ((a, b), (b, a)):
                self.enemies.setdefault(one, set()).add(other)
                self.wary[one] = {one}
        for a, b in self.said.always:
            left, right = self.find(a), self.find(b)
            if left != right and not self.kept_apart(left, right):
                self._unite(left, right)
                self.obeyed.add((a, b))
                self.owned.add(b)

    def find(self, identifier: str) -> str:
        root = self.parent.get(identifier)
        if root is None:
            self.parent[identifier], self.sizes[identifier] = identifier, 1
            self.counts[identifier] = self.strength.counts(identifier)
            return identifier
        while self.parent[root] != root:
            root = self.parent[root]
        self.parent[identifier] = root
        return root

    def take(self, edge: Edge) -> None:
        left, right = self.find(edge.a), self.find(edge.b)
        if left != right:
            apart = self.kept_apart(left, right)
            if apart:
                self.refuse(edge, f"never: {apart}")
                return
            at = edge.last if self.strength.shared(edge.b) == "newest" else edge.first
            dates = partial(self._dates, left, right, at)
            exceeded = self.strength.exceeded(self.counts[left], self.counts[right], dates)
            if exceeded:
                self._over(edge, exceeded)
                return
            dated = {type: dates(type) for type in self.strength.windowed}
            self._unite(left, right)
            if dated:
                self.dates[self.parent[left]] = dated
            self.tree.add((edge.a, edge.b))
        self.refused.pop((edge.a, edge.b), None)
        self.owned.add(edge.b)

    def kept_apart(self, left: str, right: str) -> str:
        """The first two of these groups of whom it was asserted that they are never one person; empty if none."""
        if left not in self.wary or right not in self.wary:
            return ""
        there = self.wary[right]
        pairs = [self.strength.pair(one, other) for one in self.wary[left] for other in self.enemies[one] & there]
        return " ".join(min(pairs, default=()))

    def refuse(self, edge: Edge, reason: str) -> None:
        self.find(edge.a), self.find(edge.b)
        self.refused[edge.a, edge.b] = reason

    def _over(self, edge: Edge, exceeded: str) -> None:
        """A limit is broken: by a second owner of what is owned already, or by one identifier too many."""
        shared = self.strength.shared(edge.b) if edge.b in self.owned else "keep"
        if shared == "separate":
            self.ambiguous.setdefault(edge.b, exceeded)
        self.refuse(edge, f"{'superseded' if shared == 'newest' else 'limit'}: {exceeded}")

    def _dates(self, left: str, right: str, at: int, type: str) -> list[int]:
        """Dates of a type in both; an identifier that is alone so far belongs there since `at`."""
        found: list[int] = []
        for root in (left, right):
            if self.sizes[root] == 1:
                found += [at] * self.counts[root].get(type, 0)
            else:
                found += self.dates.get(root, {}).get(type, [])
        return sorted(found)

    def _unite(self, left: str, right: str) -> None:
        if self.sizes[left] < self.sizes[right]:
            left, right = right, left
        self.parent[right] = left
        self.sizes[left] += self.sizes.pop(right)
        if right in self.wary:
            self.wary[left] = self.wary.get(left, set()) | self.wary.pop(right)
        merged = self.counts[left]
        for type, count in self.counts.pop(right).items():
            merged[type] = merged.get(type, 0) + count
