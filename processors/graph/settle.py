"""What one new link changes: persons are computed again where it can matter, and nowhere else.

The joining of links is greedy in a fixed order, so a person whose joining links stay the same has had the same groups
at every point of that order, and no refused link at it can turn out otherwise. Hence the region to compute starts with
the persons of the new link and grows over refused links only from persons that changed. A property test holds the
result against the function of the whole set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from processors.graph.assertions import ALWAYS, UNLINKED, cut, said, unlinked_at
from processors.graph.model import Known, Node
from processors.graph.periods import Sighting, Since, owners, place
from processors.graph.policy import Edge, Joined, Pair, Strength, join, outdated, owned_since
from schemas.identifiers import person_id

HUB = "hub: "
SEPARATE = "separate: "
#: Links refused to weaker identifiers that an identifier keeps, so that one card at every till stays a small state.
KEPT = 256


@dataclass(slots=True)
class Nodes:
    """Nodes as a turn sees them: read once, changed here, written by the stage at the end."""

    load: Callable[[str], Node | None]
    before: dict[str, Node | None] = field(default_factory=dict)
    now: dict[str, Node] = field(default_factory=dict)

    def __getitem__(self, identifier: str) -> Node:
        """The node, which exists."""
        if identifier not in self.now:
            node = self.load(identifier)
            assert node is not None, f"{identifier} is linked but not known"
            self.before[identifier] = self.now[identifier] = node
        return self.now[identifier]

    def was(self, identifier: str) -> Node | None:
        """The node as it was before the turn."""
        if identifier not in self.before:
            self.before[identifier] = self.load(identifier)
        return self.before[identifier]

    def change(self, identifier: str, node: Node) -> None:
        """The node is this from now on."""
        self.was(identifier)
        self.now[identifier] = node

    def changed(self) -> Iterable[tuple[str, Node | None, Node]]:
        """(identifier, before, after) of what is different, in order."""
        for identifier in sorted(self.now):
            if self.before[identifier] != self.now[identifier]:
                yield identifier, self.before[identifier], self.now[identifier]


def settle(nodes: Nodes, seeds: Iterable[str], strength: Strength, wide: bool = False) -> None:
    """Bring persons, verdicts on links and placements of slots up to date after the links of `seeds` changed.

    `wide` takes all in that they were kept from joining, as after a change of the rules.
    """
    region = _Region(nodes, strength)
    region.add(seeds)
    if wide:
        region.widen()
    joined = region.settled()
    _judge(nodes, joined, region.edges)
    _obey(nodes, region.members(), joined, strength)
    forget(nodes, region.members(), strength)
    moved = _name(nodes, region.members(), joined, strength)
    _place(nodes, region.members(), moved, joined, strength)


class _Region:
    """The identifiers that a change can reach: always whole persons, as they were before it."""

    def __init__(self, nodes: Nodes, strength: Strength) -> None:
        self._nodes = nodes
        self._strength = strength
        self._persons: list[list[str]] = []
        self._inside: set[str] = set()
        self.edges: list[Edge] = []

    def members(self) -> list[str]:
        return sorted(self._inside)

    def add(self, identifiers: Iterable[str]) -> None:
        """Take in whoever was one person with these."""
        for identifier in identifiers:
            if identifier in self._inside:
                continue
            self._inside.add(identifier)
            person = [identifier]
            for member in person:
                was = self._nodes.was(member)
                for other in joined_to(was) if was is not None else ():
                    if other not in self._inside:
                        self._inside.add(other)
                        person.append(other)
            self._persons.append(person)

    def widen(self) -> None:
        """Take in whoever those inside were kept from joining, for whatever reason, but hubs."""
        for member in self.members():
            node = self._nodes[member]
            refused = [] if node.hub else [other for other, known in node.links.items() if known.refused]
            told = [other for other, asserted in node.assertions.items() if asserted.verb == ALWAYS]
            self.add([*told, *(other for other in refused if not self._nodes[other].hub)])

    def settled(self) -> Joined:
        """The links inside joined, once no person that changed has a link to the outside."""
        while True:
            self.edges, reasons = self._links()
            taking_part = [edge for edge in self.edges if (edge.a, edge.b) not in reasons]
            inside = ((identifier, self._nodes[identifier]) for identifier in self._inside)
            joined = join(taking_part, self._strength, said(inside, self._strength))
            joined.refused.update(reasons)
            wider = self._reached(joined)
            if not wider:
                return joined
            self.add(wider)

    def _links(self) -> tuple[list[Edge], dict[Pair, str]]:
        """Links that touch no hub, and why some of them take no part."""
        edges: dict[Pair, Edge] = {}
        reasons: dict[Pair, str] = {}
        owned = {identifier: self._owned_since(identifier, self._nodes[identifier]) for identifier in self._inside}
        for identifier in self._inside:
            node = self._nodes[identifier]
            for other, known in () if node.hub else node.links.items():
                if other in self._inside and not self._nodes[other].hub:
                    pair = self._strength.pair(identifier, other)
                    if pair in edges:
                        continue
                    edges[pair] = self._strength.edge(pair, known.seen, max(owned[identifier], owned[other]))
                    ends = self._nodes[pair[0]], self._nodes[pair[1]]
                    reason = cut(pair, ends, known, self._strength)
                    if reason := reason or outdated(pair, known.last, owned, self._strength):
                        reasons[pair] = reason
        return list(edges.values()), reasons

    def _owned_since(self, identifier: str, node: Node | None) -> int:
        """Since when the identifier belongs to whoever has it now; 0 is always."""
        if node is None or node.hub or self._strength.per(identifier) is None:
            return 0
        edges = (
            self._strength.edge((other, identifier), known.seen)
            for other, known in node.links.items()
            if not known.refused.startswith(HUB) and self._strength.rank(other) < self._strength.rank(identifier)
        )
        return owned_since(edges, self._strength).get(identifier, 0)

    def _reached(self, joined: Joined) -> list[str]:
        """Neighbours whose links may now be judged otherwise."""
        reached: list[str] = []
        # what is ambiguous is found by joining several times, so one unchanged person proves nothing
        everywhere = bool(joined.ambiguous) or (
            self._strength.separates and any(self._apart(member) for member in self._inside)
        )
        for person in self._persons:
            outside = [other for member in person for other in self._waiting(member) if other not in self._inside]
            if outside and (everywhere or any(self._changed(member, joined) for member in person)):
                reached += outside
        return reached

    def _waiting(self, identifier: str) -> Iterable[str]:
        """Identifiers that this one was kept from joining, by something that may change."""
        node = self._nodes[identifier]
        for other, known in () if node.hub else node.links.items():
            if known.refused and not known.refused.startswith((HUB, UNLINKED)):
                yield other
        for other, asserted in node.assertions.items():
            if asserted.verb == ALWAYS and not asserted.tree:
                yield other

    def _apart(self, identifier: str) -> bool:
        was = self._nodes.was(identifier)
        return was is not None and any(known.refused.startswith(SEPARATE) for known in was.links.values())

    def _changed(self, identifier: str, joined: Joined) -> bool:
        was, node = self._nodes.was(identifier), self._nodes[identifier]
        before = {other: k.seen for other, k in was.links.items() if k.tree} if was is not None else {}
        after = {
            other: known.seen
            for other, known in node.links.items()
            if self._strength.pair(identifier, other) in joined.tree
        }
        told = {other for other, asserted in was.assertions.items() if asserted.tree} if was is not None else set()
        obeyed = {other for other in node.assertions if self._strength.pair(identifier, other) in joined.obeyed}
        owned = self._owned_since(identifier, was), self._owned_since(identifier, node)
        return (before, told) != (after, obeyed) or owned[0] != owned[1]


def joined_to(node: Node) -> Iterable[str]:
    """Identifiers that this one was joined with directly."""
    for other, known in node.links.items():
        if known.tree:
            yield other
    for other, asserted in node.assertions.items():
        if asserted.tree:
            yield other


def _judge(nodes: Nodes, joined: Joined, edges: Iterable[Edge]) -> None:
    """Write the verdicts to both ends of each link."""
    for edge in edges:
        pair = (edge.a, edge.b)
        verdict = (joined.refused.get(pair, ""), pair in joined.tree)
        known = nodes[edge.a].links.get(edge.b) or nodes[edge.b].links[edge.a]
        if (known.refused, known.tree) != verdict:
            judged = Known(known.seen, known.source, known.event_id, *verdict)
            for end, other in (pair, (edge.b, edge.a)):
                if not judged.refused or other in nodes[end].links:
                    connect(nodes, end, other, judged)


def _obey(nodes: Nodes, members: Iterable[str], joined: Joined, strength: Strength) -> None:
    """Write to both ends which assertions joined two groups."""
    for identifier in members:
        node = nodes[identifier]
        told = {
            other: msgspec.structs.replace(asserted, tree=strength.pair(identifier, other) in joined.obeyed)
            for other, asserted in node.assertions.items()
        }
        if told != node.assertions:
            nodes.change(identifier, msgspec.structs.replace(node, assertions=told))


def forget(nodes: Nodes, members: Iterable[str], strength: Strength) -> None:
    """Leave links refused of a stronger identifier to their weaker ends, but for the first `KEPT` in order: those
    would be the ones to take a place that becomes free."""
    for identifier in members:
        node = nodes[identifier]
        if len(node.links) <= KEPT:
            continue
        refused = [
            strength.edge((identifier, other), known.seen)
            for other, known in node.links.items()
            if known.refused
            and not known.refused.startswith((HUB, UNLINKED))
            and strength.pair(identifier, other)[0] == identifier
        ]
        gone = {edge.b for edge in sorted(refused, key=strength.order)[KEPT:]}
        if gone:
            kept = {other: known for other, known in node.links.items() if other not in gone}
            nodes.change(identifier, msgspec.structs.replace(node, links=kept))


def connect(nodes: Nodes, identifier: str, other: str, known: Known) -> None:
    """Keep a link at one of its ends."""
    node = nodes[identifier]
    nodes.change(identifier, msgspec.structs.replace(node, links={**node.links, other: known}))


def _name(nodes: Nodes, members: list[str], joined: Joined, strength: Strength) -> set[str]:
    """Give persons their ids, after their strongest identifier; returns whose person changed."""
    groups: dict[str, list[str]] = {}
    for member in members:
        groups.setdefault(joined.root.get(member, member), []).append(member)
    moved = set()
    for group in groups.values():
        strongest = min(group, key=lambda member: (strength.rank(member), nodes[member].seen, member))
        person = person_id(strongest, nodes[strongest].generation)
        for member in group:
            node = nodes[member]
            if node.person != person:
                nodes.change(member, msgspec.structs.replace(node, person=person))
                moved.add(member)
    return moved


def _place(nodes: Nodes, members: list[str], moved: set[str], joined: Joined, strength: Strength) -> None:
    """Place the slots of the region, and earlier periods of shared identifiers outside it whose owner moved."""
    for identifier in sorted({*members, *_formerly(nodes, moved, strength)}):
        node = nodes[identifier]
        periods = _periods(nodes, identifier, identifier in joined.ambiguous, strength)
        changed = msgspec.structs.replace(
            node,
            placements=place(identifier, node.generation, node.placements, periods),
            superseded=_superseded(identifier, node, strength),
        )
        if changed != node:
            nodes.change(identifier, changed)


def _formerly(nodes: Nodes, moved: set[str], strength: Strength) -> set[str]:
    """Identifiers that belonged to one of these before someone else took them."""
    return {
        other
        for identifier in moved
        for other, known in nodes[identifier].links.items()
        if known.refused
        and not known.refused.startswith(HUB)
        and (strength.shared(other) == "newest" or strength.per(other) is not None)
    }


def _periods(nodes: Nodes, identifier: str, ambiguous: bool, strength: Strength) -> list[Since]:
    node = nodes[identifier]
    shared = "keep" if node.hub else strength.shared(identifier)
    per = None if node.hub else strength.per(identifier)
    if (shared == "keep" and per is None) or _asserted(nodes, node):
        return [Since(0, node.person)]
    rank = strength.rank(identifier)
    sightings = [
        Sighting(at, other, not known.refused, nodes[other].person)
        for other, known in node.links.items()
        if strength.rank(other) < rank and not known.refused.startswith(HUB) and not strength.barred(other)
        for at in strength.sightings((other, identifier), known.seen)
        if at > max(_alone_until(node), _alone_until(nodes[other]))
    ]
    return owners(shared, per, sightings, ambiguous, node.person)


def _asserted(nodes: Nodes, node: Node) -> bool:
    """Whether an assertion says whose this identifier is; it is shared by nobody then."""
    return any(
        asserted.verb == ALWAYS and nodes[other].person == node.person for other, asserted in node.assertions.items()
    )


def _alone_until(node: Node) -> float:
    until = unlinked_at(node)
    return float("-inf") if until is None else until


def _superseded(identifier: str, node: Node, strength: Strength) -> list[str]:
    """Identifiers whose links to this one count again once seen later: the resolver of the stronger tells, among equals
    whichever was the key of the event."""
    return sorted(
        other
        for other, known in node.links.items()
        if (known.refused.startswith(UNLINKED) and strength.rank(identifier) <= strength.rank(other))
        or (
            known.refused
            and not known.refused.startswith(HUB)
            and strength.shared(other) == "newest"
            and strength.pair(identifier, other)[0] == identifier
        )
    )
