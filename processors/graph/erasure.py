"""Erasure: all identifiers of a person leave the graph, and what is kept of each is a mark.

Slots of the person are dead from then on, wherever they are or were: their names never come again, as an identifier
that is seen later begins anew, with another generation and a slot of its own. An identifier that belonged to others in
other periods stays theirs: only the periods of the person are dead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from processors.graph.model import NOBODY, NODES, Node, Placement, assignment, new_node
from processors.graph.policy import Strength
from processors.runtime.contract import Table, Turn
from schemas import topics
from schemas.codec import Codec
from schemas.erasure import mark
from schemas.identifiers import person_id, slot_of
from schemas.records import LATEST, Erasure, Link, PersonEnvelope

#: the verb of an assertion
ERASE = "erase"


class Forgotten(msgspec.Struct, frozen=True, array_like=True):
    """An identifier erased at an instant (milliseconds since 1970 UTC): the generation and the version of assignments
    with which it goes on if it is seen again."""

    at: int
    generation: int
    version: int


#: by mark
FORGOTTEN = Table("forgotten", Forgotten)
#: by identifier: persons that its slots have left, without the derived one
FORMER = Table("former", list[str])


def loader(turn: Turn) -> Callable[[str], Node | None]:
    """Reads nodes; an identifier that was erased is there as it begins anew."""

    def load(identifier: str) -> Node | None:
        node = turn.get(NODES, identifier)
        if node is None and (gone := turn.get(FORGOTTEN, mark(identifier))) is not None:
            return _anew(identifier, gone)
        return node

    return load


def remember(turn: Turn, identifier: str, node: Node, left: str) -> None:
    """A slot of this identifier leaves a person: erasure will have to look there too."""
    known = turn.get(FORMER, identifier) or []
    if left != person_id(identifier, node.generation) and left not in known:
        turn.put(FORMER, identifier, [*known, left])


def outlived(turn: Turn, codec: Codec, link: Link) -> bool:
    """Whether a link is older than the erasure of one of its ends, so that it does not count; the other end is told, as
    it would not send the link again."""
    ends = ((link.a, link.b), (link.b, link.a))
    known = {end: turn.get(FORGOTTEN, mark(end)) for end, _ in ends}
    gone = [end for end, one in known.items() if one is not None and link.seen_at <= one.at]
    for end, other in ends:
        if other in gone and end not in gone:
            node = loader(turn)(end) or new_node(end, link.seen_at)
            _tell(turn, codec, end, node, [other])
    return bool(gone)


def erase(turn: Turn, codec: Codec, identifier: str, at: int, strength: Strength) -> set[str]:
    """Forget the person of an identifier as of `at`, and tell everybody who may have something of it.

    Returns the identifiers whose persons have to be settled now.
    """
    load = loader(turn)
    members = _members(identifier, load, at)
    person = members[identifier].person
    around = _around(members, load)
    shared = {name for name, node in members.items() if any(p.person not in (person, NOBODY) for p in node.placements)}
    own = [name for name in members if name not in shared]
    dead = _dead(members | around, person)
    told = _told(turn, members | around, dead, person)
    _announce(turn, codec, at, person, members, own, dead, told)
    for name in own:
        _forget(turn, codec, name, members[name], at)
    touched = [*sorted(shared), *sorted(name for name in around if dead.get(name) or _knows(around[name], own))]
    for name in touched:
        node = _without(name, around.get(name) or members[name], own, strength)
        node = _cut(name, node, person, at, name in shared)
        _tell(turn, codec, name, node, [other for other in own if name in members[other].links])
    return {*touched, *(other for name in touched for other in _neighbours(load(name)))}


def _members(identifier: str, load: Callable[[str], Node | None], at: int) -> dict[str, Node]:
    """The person: identifiers with their nodes."""
    found = {identifier: load(identifier) or new_node(identifier, at)}
    queue = [identifier]
    for name in queue:
        node = found[name]
        joined = [other for other, known in node.links.items() if known.tree]
        joined += [other for other, asserted in node.assertions.items() if asserted.tree]
        for other in joined:
            if other not in found and (known_node := load(other)) is not None:
                found[other] = known_node
                queue.append(other)
    return found


def _around(members: dict[str, Node], load: Callable[[str], Node | None]) -> dict[str, Node]:
    """Identifiers of others that were linked with the person's, counted or not."""
    names = {other for node in members.values() for other in _neighbours(node)} - set(members)
    return {name: node for name in sorted(names) if (node := load(name)) is not None}


def _neighbours(node: Node | None) -> Iterable[str]:
    return () if node is None else (other for other in (*node.links, *node.assertions) if other)


def _knows(node: Node, names: Iterable[str]) -> bool:
    return any(name in node.links or name in node.assertions for name in names)


def _dead(nodes: dict[str, Node], person: str) -> dict[str, list[Placement]]:
    """The person's slots, by identifier."""
    return {name: [place for place in node.placements if place.person == person] for name, node in nodes.items()}


def _told(turn: Turn, nodes: dict[str, Node], dead: dict[str, list[Placement]], person: str) -> dict[str, list[str]]:
    """To whom the dead slots may have been on their way, with the identifiers that concern each: all that ever had
    them."""
    told: dict[str, list[str]] = {person: []}
    for name, slots in dead.items():
        if slots:
            had = {person, person_id(name, nodes[name].generation), *(turn.get(FORMER, name) or [])}
            for one in had:
                told.setdefault(one, []).append(name)
    return told


def _announce(
    turn: Turn,
    codec: Codec,
    at: int,
    person: str,
    members: dict[str, Node],
    own: list[str],
    dead: dict[str, list[Placement]],
    told: dict[str, list[str]],
) -> None:
    """Say on `people` which slots are dead; the person itself hears of all of them, and who else was told."""
    gone = {person_id(name, node.generation) for name, node in members.items()}
    for one in sorted(told, key=lambda one: (one == person, one)):
        slots = [
            (slot_of(name, place.since), members[name].generation + 1 if name in members else 0)
            for name in told[one]
            for place in dead[name]
        ]
        erasure = Erasure(
            identifiers=[name for name in told[one] if name in own],
            slots=[slot for slot, _ in slots],
            generations=[generation for _, generation in slots],
            at=at,
            persons=sorted(gone if one == person else gone & {one}),
            others=sorted(set(told) - {person}) if one == person else [person],
        )
        envelope = PersonEnvelope(kind="erasure", person_id=one, erasure=erasure)
        turn.send(topics.PEOPLE, one, codec.encode(envelope))


def _forget(turn: Turn, codec: Codec, name: str, node: Node, at: int) -> None:
    """An identifier leaves; its resolver is told, and then nothing of it stays in the compacted topic."""
    gone = Forgotten(at, node.generation + 1, node.version + 1)
    turn.put(NODES, name, None)
    turn.put(FORMER, name, None)
    turn.put(FORGOTTEN, mark(name), gone)
    _tell(turn, codec, name, msgspec.structs.replace(_anew(name, gone), version=node.version), [name], keep=False)
    turn.send(topics.ASSIGNMENTS, name, None)


def _anew(name: str, gone: Forgotten) -> Node:
    person = person_id(name, gone.generation)
    placements = [Placement(gone.at + 1, person, 1)]
    return Node(person, LATEST, placements, version=gone.version, generation=gone.generation)


def _without(name: str, node: Node, names: list[str], strength: Strength) -> Node:
    """The node without what it knows of these identifiers. A hub stays one."""
    owners = [other for other in names if other in node.links and strength.rank(other) < strength.rank(name)]
    return msgspec.structs.replace(
        node,
        links={other: known for other, known in node.links.items() if other not in names},
        stronger=node.stronger if node.hub else node.stronger - len(owners),
        assertions={other: said for other, said in node.assertions.items() if other not in names},
        superseded=[other for other in node.superseded if other not in names],
    )


def _cut(name: str, node: Node, person: str, at: int, member: bool) -> Node:
    """The node with the person's periods dead; one that was the person's last begins anew."""
    placements = [
        Placement(place.since, NOBODY, place.version + 1) if place.person == person else place
        for place in node.placements
    ]
    if not member:
        return msgspec.structs.replace(node, placements=placements)
    anew = person_id(name, node.generation + 1)
    return msgspec.structs.replace(
        node, person=anew, generation=node.generation + 1, placements=[*placements, Placement(at + 1, anew, 1)]
    )


def _tell(turn: Turn, codec: Codec, name: str, node: Node, forgotten: list[str], *, keep: bool = True) -> None:
    """Assign again, saying links to which identifiers count no more."""
    node = msgspec.structs.replace(node, version=node.version + 1)
    record = msgspec.structs.replace(assignment(name, node), forgotten=[mark(other) for other in forgotten])
    turn.send(topics.ASSIGNMENTS, name, codec.encode(record))
    if keep:
        turn.put(NODES, name, node)
