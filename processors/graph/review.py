"""Changed rules: whatever links are kept are judged again, in bounded steps, while the graph goes on with new ones.

Identifiers are gone through twice, in the order of their keys. First every link is brought to both of its ends, as
another end may be the weaker one now, or a hub no more. Then every person is settled together with all it was kept
from joining. A person that comes out as it was proves that no link to it is judged otherwise; one that changed takes
its neighbours in. So at the end each link has been judged by the new rules between persons as they are then, which
holds for new links in between too. The steps are ordinary turns: a kill repeats none and loses none.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from processors.graph.model import Known, Node
from processors.graph.policy import Strength
from processors.graph.settle import HUB, KEPT, Nodes, connect, forget, joined_to, settle
from processors.runtime.contract import Table
from schemas.definitions.model import IdentityRules

#: How many identifiers a step reads, more only to finish the person at hand.
STEP = 1_000
GATHER, JUDGE = "gather", "judge"


class Review(msgspec.Struct, frozen=True):
    """How far the graph is with the rules that `rules` is the fingerprint of: in `stage` (empty at rest) all
    identifiers up to `after` are done. `identifiers` were judged so far, `moved` changed their person."""

    rules: str
    stage: str = ""
    after: str = ""
    identifiers: int = 0
    moved: int = 0


#: under the empty key
REVIEW = Table("review", Review)


def fingerprint(rules: IdentityRules) -> str:
    """The same for the same rules."""
    return blake2b(msgspec.json.encode(rules, order="deterministic"), digest_size=16).hexdigest()


def gather(nodes: Nodes, identifier: str, strength: Strength) -> None:
    """Bring the links of an identifier to their other ends, but to no hub."""
    for other, known in nodes[identifier].links.items():
        if identifier in nodes[other].links or _is_hub(nodes, other, strength):
            continue
        connect(nodes, other, identifier, known)
        if len(nodes[other].links) > 2 * KEPT:
            forget(nodes, [other], strength)


def judge(nodes: Nodes, identifier: str, strength: Strength) -> None:
    """Settle the person of an identifier, once for each person, and whatever follows if it is a hub now or was one."""
    seeds = _rehub(nodes, identifier, strength)
    if seeds or _leads(nodes, identifier):
        settle(nodes, [identifier, *seeds], strength, wide=True)


def _rehub(nodes: Nodes, identifier: str, strength: Strength) -> list[str]:
    """Bring up to date whether an identifier is a hub; the identifiers whose persons that may change."""
    node, hub = nodes[identifier], _is_hub(nodes, identifier, strength)
    changed = msgspec.structs.replace(node, hub=hub, stronger=_owners(node, identifier, strength))
    if changed != node:
        nodes.change(identifier, changed)
    for other, known in node.links.items():
        reason = f"{HUB}{strength.hub}"
        if known.refused != reason and (hub or _is_hub(nodes, other, strength)):
            refused = Known(known.seen, known.source, known.event_id, reason)
            connect(nodes, identifier, other, refused)
            if identifier in nodes[other].links:
                connect(nodes, other, identifier, refused)
    return list(node.links) if hub != node.hub else []


def _is_hub(nodes: Nodes, identifier: str, strength: Strength) -> bool:
    return strength.hub is not None and _owners(nodes[identifier], identifier, strength) > strength.hub


def _owners(node: Node, identifier: str, strength: Strength) -> int:
    rank = strength.rank(identifier)
    return sum(strength.rank(other) < rank and not strength.barred(other) for other in node.links)


def _leads(nodes: Nodes, identifier: str) -> bool:
    """Whether this is the first of its person in the order of keys."""
    person, inside = [identifier], {identifier}
    for member in person:
        for other in joined_to(nodes[member]):
            if other < identifier:
                return False
            if other not in inside:
                inside.add(other)
                person.append(other)
    return True
