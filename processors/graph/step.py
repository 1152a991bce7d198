"""The graph: keeps the links of the line and says which identifiers are one person.

One partition, one writer, so links have one order; what it decides does not depend on that order
(`processors.graph.policy`). Only links that are new, or older than known, reach it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection
from contextlib import suppress
from itertools import islice

import msgspec

from processors.graph.assertions import check, heard
from processors.graph.erasure import ERASE, erase, loader, outlived, remember
from processors.graph.model import NODES, Known, Node, Placement, assignment, new_node
from processors.graph.policy import Pair, Strength
from processors.graph.review import GATHER, JUDGE, REVIEW, STEP, Review, fingerprint, gather, judge
from processors.graph.settle import HUB, Nodes, connect, settle
from processors.runtime.contract import BadRecord, Record, Turn
from processors.runtime.definitions import DefinitionsSource
from schemas import topics
from schemas.codec import Codec
from schemas.definitions import Invalid, parse
from schemas.definitions.model import Project
from schemas.identifiers import person_id, slot_of
from schemas.records import (
    Assertion,
    Definitions,
    Link,
    LinkEnvelope,
    Move,
    PersonEnvelope,
    Refusal,
    SlotVersion,
)


class GraphStage:
    """Links in; assignments, refusals and moves out."""

    app = "graph"
    inputs: tuple[str, ...] = (topics.LINKS, topics.DEFINITIONS)

    def __init__(self, source: DefinitionsSource, codec: Codec) -> None:
        self._source = source
        self._codec = codec
        self._project: Project | None = None
        self._strength: Strength | None = None
        self._fingerprint = ""

    def on_record(self, record: Record, turn: Turn) -> None:
        if record.topic == topics.DEFINITIONS:
            self._published(record.value, turn)
            return
        envelope = self._codec.decode(LinkEnvelope, record.value)
        if envelope.kind == "link" and envelope.link is not None:
            self._link(envelope.link, turn)
        elif envelope.kind == "assertion" and envelope.assertion is not None:
            self._assertion(envelope.assertion, turn)
        else:
            raise BadRecord(f"neither a link nor anything else known here: {envelope.kind}")

    def _link(self, link: Link, turn: Turn) -> None:
        strength = self._rules(turn)
        reason = _not_admissible(strength, link)
        if reason:
            self._refuse(turn, (link.a, link.b), Known([link.seen_at], link.source, link.event_id, reason), True)
            return
        if outlived(turn, self._codec, link):
            return
        nodes = Nodes(loader(turn))
        pair = strength.pair(link.a, link.b)
        seeds = _record(nodes, pair, link, strength, bool(_review(turn).stage))
        if seeds:
            settle(nodes, seeds, strength)
        self._publish(nodes, turn, strength)

    def _assertion(self, assertion: Assertion, turn: Turn) -> None:
        strength = self._rules(turn)
        nodes = Nodes(loader(turn))
        seeds: Collection[str]
        if assertion.verb == ERASE:
            seeds = erase(turn, self._codec, assertion.a, assertion.at, strength)
        else:
            check(assertion, strength)
            seeds = _hear(nodes, assertion)
        if seeds:
            settle(nodes, seeds, strength)
        self._publish(nodes, turn, strength)

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        """The next step of a review of all links; `key` is the fingerprint of its rules."""
        strength, review = self._rules(turn), _review(turn)
        if not review.stage or key != review.rules:
            return
        read = 0
        here = [identifier for identifier, _ in islice(turn.scan(NODES, after=review.after), STEP)]
        for identifier in here:
            nodes = Nodes(loader(turn))
            if review.stage == GATHER:
                gather(nodes, identifier, strength)
                for other, _, node in nodes.changed():
                    turn.put(NODES, other, node)
                review = msgspec.structs.replace(review, after=identifier)
            else:
                judge(nodes, identifier, strength)
                moved = sum(was is not None and was.person != node.person for _, was, node in nodes.changed())
                self._publish(nodes, turn, strength)
                done, moved = review.identifiers + 1, review.moved + moved
                review = msgspec.structs.replace(review, after=identifier, identifiers=done, moved=moved)
            read += len(nodes.before)
            if read >= STEP:
                break
        else:
            if len(here) < STEP:
                review = msgspec.structs.replace(review, after="", stage=JUDGE if review.stage == GATHER else "")
        turn.put(REVIEW, "", review)
        if review.stage:
            turn.wake(review.rules, turn.now + 1)

    def on_assigned(self, turn: Turn) -> None:
        """All state is read when it is needed."""

    def on_result(self, key: str, result: object, turn: Turn) -> None:
        """Calls nobody."""

    def _published(self, value: bytes | None, turn: Turn) -> None:
        """Many read `definitions`, each whole; what can't be used there becomes a dead letter here, once, as this stage
        has its one partition to itself. Changed rules hold from here on. Raises BadRecord."""
        if value is None:
            return
        published = self._codec.decode(Definitions, value)
        if published.journey is not None:
            return
        try:
            parse(published.files)
        except Invalid as invalid:
            raise BadRecord(f"not a project that can be used: {invalid.problems[0]}") from invalid
        with suppress(LookupError):
            # until it is known there, another is the latest
            self._source.project(published.version)
            self._rules(turn)

    def _rules(self, turn: Turn) -> Strength:
        """The rules published last; when they are others than before, the review of all links begins."""
        project = self._source.latest()
        if project is None:
            raise RuntimeError("no definitions are published, so no identifier has a rank: run `pathline apply`")
        if self._strength is None or project is not self._project:
            self._project, self._strength = project, Strength(project.identity)
            self._fingerprint = fingerprint(project.identity)
        review = turn.get(REVIEW, "")
        if review is None:
            turn.put(REVIEW, "", Review(self._fingerprint))
        elif review.rules != self._fingerprint:
            turn.put(REVIEW, "", Review(self._fingerprint, GATHER))
            turn.wake(self._fingerprint, turn.now + 1)
        return self._strength

    def _publish(self, nodes: Nodes, turn: Turn, strength: Strength) -> None:
        verdicts: dict[Pair, tuple[Known | None, Known]] = {}
        moves: dict[Pair, list[SlotVersion]] = {}
        heirs: dict[str, str] = {}
        for identifier, before, node in nodes.changed():
            heirs[person_id(identifier, node.generation)] = node.person
            for other, known in node.links.items():
                was = before.links.get(other) if before else None
                if was is not known:
                    verdicts[strength.pair(identifier, other)] = (was, known)
            start = before or new_node(identifier, node.seen)
            for placement, origin in _moved(identifier, start, node):
                remember(turn, identifier, node, origin)
                slot = SlotVersion(slot=slot_of(identifier, placement.since), version=placement.version)
                moves.setdefault((origin, placement.person), []).append(slot)
            if before is None or (before.placements, before.superseded) != (node.placements, node.superseded):
                node = msgspec.structs.replace(node, version=node.version + 1)
                turn.send(topics.ASSIGNMENTS, identifier, self._codec.encode(assignment(identifier, node)))
            turn.put(NODES, identifier, node)
        for pair, (was, known) in sorted(verdicts.items()):
            if known.refused and (was is None or was.refused != known.refused):
                self._refuse(turn, pair, known, True)
            elif was is not None and was.refused and not known.refused:
                self._refuse(turn, pair, was, False)
        for (origin, to), slots in sorted(moves.items()):
            # a person is absorbed when the identifier that gave it its id goes along; otherwise part of it is split off
            reason = "merge" if heirs.get(origin) == to else "split"
            move = Move(to=to, slots=slots, reason=reason, at=turn.now)
            envelope = PersonEnvelope(kind="move", person_id=origin, move=move)
            turn.send(topics.PEOPLE, origin, self._codec.encode(envelope))

    def _refuse(self, turn: Turn, pair: Pair, known: Known, refused: bool) -> None:
        a, b = pair
        refusal = Refusal(a=a, b=b, reason=known.refused, at=known.first, source=known.source, refused=refused)
        turn.send(topics.REFUSALS, a, self._codec.encode(refusal))


def _review(turn: Turn) -> Review:
    """How far the review is; there is one since the rules were asked for first."""
    review = turn.get(REVIEW, "")
    assert review is not None
    return review


def _not_admissible(strength: Strength, link: Link) -> str:
    if link.a == link.b:
        raise BadRecord(f"a link of {link.a} with itself")
    return strength.barred(link.a) or strength.barred(link.b)


def _hear(nodes: Nodes, assertion: Assertion) -> list[str]:
    """Add an assertion to the nodes; returns the identifiers whose persons it may change."""
    ends = [(assertion.a, assertion.b), (assertion.b, assertion.a)] if assertion.b else [(assertion.a, "")]
    seeds: list[str] = []
    for end, other in ends:
        node = nodes.was(end) or new_node(end, assertion.at)
        nodes.change(end, heard(node, other, assertion))
        seeds.append(end)
        if not other:
            seeds += [*node.links, *filter(None, node.assertions)]
    return seeds


def _record(nodes: Nodes, pair: Pair, link: Link, strength: Strength, reviewing: bool) -> list[str]:
    """Add a link to the nodes; returns the identifiers whose persons it may change. During a review of all links hubs
    keep theirs too: they may be none afterwards."""
    a, b = pair
    for end in pair:
        was = nodes.was(end)
        nodes.change(end, was or new_node(end, link.seen_at))
    known = nodes[a].links.get(b) or nodes[b].links.get(a)
    seen = _seen(known, link, pair, strength)
    if known is not None and seen == known.seen:
        return []
    seeds = _count_owner(nodes, pair, strength) if known is None else []
    earliest = known is None or link.seen_at < known.first
    source, event_id = (link.source, link.event_id) if known is None or earliest else (known.source, known.event_id)
    hub = nodes[a].hub or nodes[b].hub
    refused = f"{HUB}{strength.hub}" if hub else known.refused if known is not None else ""
    recorded = Known(seen, source, event_id, refused, not hub and known is not None and known.tree)
    for end, other in (pair, (b, a)):
        node = nodes[end]
        older = link.seen_at < node.seen
        if older:
            nodes.change(end, msgspec.structs.replace(node, seen=link.seen_at))
        if older or not hub:
            seeds.append(end)
        if reviewing or not node.hub or nodes[other].hub or other in node.links:
            connect(nodes, end, other, recorded)
    return seeds


def _seen(known: Known | None, link: Link, pair: Pair, strength: Strength) -> list[int]:
    if known is None:
        return [link.seen_at]
    newest = strength.shared(pair[1]) == "newest"
    if not newest and strength.span(pair) is None:
        return sorted({min(known.first, link.seen_at), max(known.last, link.seen_at)})
    seen = list(known.seen)
    if link.seen_at not in seen:
        insort(seen, link.seen_at)
    return seen if newest else sorted({*strength.sightings(pair, seen), seen[-1]})


def _count_owner(nodes: Nodes, pair: Pair, strength: Strength) -> list[str]:
    """Count the stronger end of a new link as an owner of the weaker one; one too many makes it a hub, none of whose
    links count. Returns the identifiers whose persons that may change."""
    a, b = pair
    node = nodes[b]
    if strength.hub is None or node.hub or strength.rank(a) == strength.rank(b):
        return []
    hub = node.stronger + 1 > strength.hub
    nodes.change(b, msgspec.structs.replace(node, stronger=node.stronger + 1, hub=hub))
    if not hub:
        return []
    for other, known in node.links.items():
        refused = Known(known.seen, known.source, known.event_id, f"{HUB}{strength.hub}")
        connect(nodes, b, other, refused)
        if b in nodes[other].links:
            connect(nodes, other, b, refused)
    return [b, *node.links]


def _moved(identifier: str, before: Node, node: Node) -> list[tuple[Placement, str]]:
    """Placements of slots that changed, each with the person the slot leaves."""
    derived = person_id(identifier, node.generation)
    were = {placement.since: placement.person for placement in before.placements}
    return [
        (placement, origin)
        for placement in node.placements
        if (origin := were.get(placement.since, derived)) != placement.person
    ]
