"""What changed rules would do to the persons there are: the graph's own review, on a copy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from processors.graph.model import Node
from processors.graph.policy import Strength
from processors.graph.review import gather, judge
from processors.graph.settle import Nodes
from schemas.definitions.model import IdentityRules


@dataclass(frozen=True, slots=True)
class Parts:
    """A person and the persons it is made of, or comes apart into: the identifiers of each that are concerned."""

    person_id: str
    parts: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Figures before and after. `moved` identifiers change their person, `refused` links count no more, `counted` ones
    do again; `merges` are persons after, `splits` persons before."""

    identifiers: int
    persons_before: int
    persons_after: int
    moved: int
    refused: int
    counted: int
    merges: list[Parts]
    splits: list[Parts]


def plan(nodes: Mapping[str, Node], rules: IdentityRules) -> Plan:
    """What these rules would change."""
    before, after = dict(nodes), _reviewed(nodes, rules)
    were = {one: node.person for one, node in before.items()}
    will = {one: node.person for one, node in after.items()}
    refused, refused_then = _refused(before), _refused(after)
    return Plan(
        identifiers=len(before),
        persons_before=len(set(were.values())),
        persons_after=len(set(will.values())),
        moved=sum(were[one] != will[one] for one in were),
        refused=len(refused_then - refused),
        counted=len(refused - refused_then),
        merges=_parts(will, were),
        splits=_parts(were, will),
    )


def _reviewed(nodes: Mapping[str, Node], rules: IdentityRules) -> dict[str, Node]:
    after, strength = dict(nodes), Strength(rules)
    for work in (gather, judge):
        for identifier in sorted(after):
            seen = Nodes(after.get)
            work(seen, identifier, strength)
            after.update((other, node) for other, _, node in seen.changed())
    return after


def _parts(persons: Mapping[str, str], others: Mapping[str, str]) -> list[Parts]:
    """Persons whose identifiers belong to several on the other side, the largest first."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for identifier in sorted(persons):
        found[persons[identifier]][others[identifier]].append(identifier)
    several = [Parts(person, dict(parts)) for person, parts in found.items() if len(parts) > 1]
    return sorted(several, key=lambda one: (-sum(map(len, one.parts.values())), one.person_id))


def _refused(nodes: Mapping[str, Node]) -> set[frozenset[str]]:
    return {
        frozenset((one, other)) for one, node in nodes.items() for other, known in node.links.items() if known.refused
    }
