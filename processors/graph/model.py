"""State of the graph: one node an identifier, with its links and where its slots are placed."""

from __future__ import annotations

import msgspec

from processors.runtime.contract import Table
from schemas.identifiers import person_id, slot_of
from schemas.records import Assignment, Period


class Known(msgspec.Struct, frozen=True, array_like=True):
    """A link as one of its ends knows it; times in milliseconds since 1970 UTC.

    `seen` are the sightings reported, oldest first: all of them if the weaker end is of a `newest` type, those that
    matter if an end is of a type with a period, otherwise the oldest; and the newest. `refused` is the reason why the
    link does not count, empty when it does; `tree` whether it is one of the links that joined two groups (the others
    only confirm). `source` and `event_id` tell where it was seen first.
    """

    seen: list[int]
    source: str
    event_id: str
    refused: str = ""
    tree: bool = False

    @property
    def first(self) -> int:
        return self.seen[0]

    @property
    def last(self) -> int:
        return self.seen[-1]


class Asserted(msgspec.Struct, frozen=True, array_like=True):
    """What somebody decided last about two identifiers, or about one: `never`, `always`, `unlink`, or `revoke` when it
    holds no more. `at` is in milliseconds since 1970 UTC; `tree` whether it is what joined two groups."""

    verb: str
    at: int
    author: str
    reason: str
    tree: bool = False


#: has the slots of the forgotten
NOBODY = ""


class Placement(msgspec.Struct, frozen=True, array_like=True):
    """The person who has the slot of the period that begins at `since`; `version` 1 is the derived placement."""

    since: int
    person: str
    version: int


class Node(msgspec.Struct, frozen=True):
    """An identifier with at least one link. `person` is the one it belongs to now, `seen` its oldest link's sighting,
    `version` that of its last assignment (0: none yet), `superseded` and `generation` as in the assignment.
    `assertions` are by the other identifier, that about this one alone is under the empty text.

    A hub keeps the links it had when it became one, and every identifier only the first of those to weaker ones that
    were refused; the others stand at their other end. So no node grows without bound.
    """

    person: str
    seen: int
    placements: list[Placement]
    links: dict[str, Known] = {}
    stronger: int = 0
    hub: bool = False
    superseded: list[str] = []
    version: int = 0
    generation: int = 0
    assertions: dict[str, Asserted] = {}


def new_node(identifier: str, seen_at: int) -> Node:
    """An identifier as it is before its first link: a person by itself."""
    person = person_id(identifier)
    return Node(person=person, seen=seen_at, placements=[Placement(0, person, 1)])


def assignment(identifier: str, node: Node) -> Assignment:
    """The assignment that tells what a node says."""
    periods = [
        Period(since=at.since, person_id=at.person, slot=slot_of(identifier, at.since), version=at.version)
        for at in node.placements
    ]
    return Assignment(
        identifier=identifier,
        version=node.version,
        periods=periods,
        superseded=node.superseded,
        generation=node.generation,
    )


NODES = Table("node", Node)
