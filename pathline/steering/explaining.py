"""Why identifiers are one person: every link and assertion about them, those that do not count too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from processors.graph.assertions import ALWAYS, REVOKE
from processors.graph.model import Known, Node
from processors.graph.policy import Strength
from schemas.identifiers import person_id


@dataclass(frozen=True, slots=True)
class Link:
    """Two identifiers seen together, the stronger first; times in milliseconds since 1970 UTC. `joins` is whether it
    made two groups one (the others only confirm), `reason` why it does not count, empty when it does. `source` and
    `event_id` are of the oldest sighting."""

    a: str
    b: str
    first_seen: int
    last_seen: int
    source: str
    event_id: str
    joins: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """An assertion; `b` is empty when it is about one identifier. `holds` is false when it was revoked, or could not
    be obeyed because of another one."""

    verb: str
    a: str
    b: str
    at: int
    author: str
    reason: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Period:
    """Whose a shared identifier is from `since` (milliseconds since 1970 UTC) on."""

    identifier: str
    since: int
    person_id: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One person. `earlier_ids` are ids that lead to it now, by the identifier each came from."""

    person_id: str
    identifiers: list[str]
    earlier_ids: dict[str, str] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    refused: list[Link] = field(default_factory=list)
    assertions: list[Decision] = field(default_factory=list)
    periods: list[Period] = field(default_factory=list)


def explain(nodes: Mapping[str, Node], who: str, strength: Strength) -> Explanation:
    """The person of a normalised identifier, which may be one that stands alone."""
    if who not in nodes:
        return Explanation(person_id(who), [who])
    person = nodes[who].person
    members = sorted(
        (one for one, node in nodes.items() if node.person == person), key=lambda one: (strength.rank(one), one)
    )
    found = sorted(_links(nodes, set(members), strength), key=lambda link: (link.first_seen, link.a, link.b))
    return Explanation(
        person_id=person,
        identifiers=members,
        earlier_ids={derived: one for one in members if (derived := person_id(one, nodes[one].generation)) != person},
        links=[link for link in found if not link.reason],
        refused=[link for link in found if link.reason],
        assertions=sorted(_decisions(nodes, members, strength), key=lambda said: (said.at, said.a, said.b)),
        periods=[
            Period(one, placement.since, placement.person)
            for one in members
            if len(nodes[one].placements) > 1
            for placement in nodes[one].placements
        ],
    )


def identifier_behind(nodes: Mapping[str, Node], id: str) -> str | None:
    """The identifier that a person id, also an earlier one, came from; None when it came from none known here."""
    return next((one for one, node in nodes.items() if person_id(one, node.generation) == id), None)


def _links(nodes: Mapping[str, Node], members: set[str], strength: Strength) -> Iterable[Link]:
    """Every link that touches one of these; the one of a hub may stand at its other end only."""
    known: dict[tuple[str, str], Known] = {}
    for identifier, node in nodes.items():
        for other, link in node.links.items():
            if identifier in members or other in members:
                known[strength.pair(identifier, other)] = link
    for (a, b), link in known.items():
        yield Link(a, b, link.first, link.last, link.source, link.event_id, link.tree, link.refused)


def _decisions(nodes: Mapping[str, Node], members: Iterable[str], strength: Strength) -> Iterable[Decision]:
    told: set[tuple[str, str]] = set()
    for identifier in members:
        for other, said in nodes[identifier].assertions.items():
            a, b = strength.pair(identifier, other) if other else (identifier, "")
            if (a, b) in told:
                continue
            told.add((a, b))
            # nothing else can stand between two of whom it was said that they are one person
            holds = nodes[a].person == nodes[b].person if said.verb == ALWAYS else said.verb != REVOKE
            yield Decision(said.verb, a, b, said.at, said.author, said.reason, holds)
