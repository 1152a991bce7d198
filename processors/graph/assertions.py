"""What people decided about identifiers: `never` and `always` one person, and `unlink`, which makes one stand alone.

Of what is said about the same identifiers the newest counts, whatever order it arrives in. An unlinked identifier's
links count again once they are seen later than that.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from processors.graph.model import Asserted, Known, Node
from processors.graph.policy import Pair, Said, Strength
from processors.runtime.contract import BadRecord
from schemas.records import Assertion

NEVER, ALWAYS, UNLINK, REVOKE = "never", "always", "unlink", "revoke"
#: about how many identifiers each is; a revocation is about as many as what it revokes
_ABOUT = {NEVER: {2}, ALWAYS: {2}, UNLINK: {1}, REVOKE: {1, 2}}
UNLINKED = "unlinked: "


def check(assertion: Assertion, strength: Strength) -> None:
    """Raises BadRecord for what can't be obeyed."""
    if assertion.verb not in _ABOUT:
        raise BadRecord(f"no assertion known here: {assertion.verb}")
    ends = [assertion.a, assertion.b] if assertion.b else [assertion.a]
    if len(ends) not in _ABOUT[assertion.verb]:
        raise BadRecord(f"{assertion.verb} is about another number of identifiers than {len(ends)}")
    if assertion.a == assertion.b:
        raise BadRecord(f"{assertion.verb} {assertion.a} with itself")
    for end in ends:
        if reason := strength.barred(end):
            raise BadRecord(f"{end}: {reason}")


def heard(node: Node, other: str, assertion: Assertion) -> Node:
    """The node after an assertion about it and `other` (empty: about it alone)."""
    said = Asserted(assertion.verb, assertion.at, assertion.author, assertion.reason)
    known = node.assertions.get(other)
    seen = min(node.seen, assertion.at)
    if known is not None and _newness(known) >= _newness(said):
        return msgspec.structs.replace(node, seen=seen)
    return msgspec.structs.replace(node, seen=seen, assertions={**node.assertions, other: said})


def unlinked_at(node: Node) -> int | None:
    """Until when (milliseconds since 1970 UTC) the links of an identifier were told not to count; None if they were
    not."""
    said = node.assertions.get("")
    return said.at if said is not None and said.verb == UNLINK else None


def cut(pair: Pair, ends: tuple[Node, Node], known: Known, strength: Strength) -> str:
    """Why a link takes no part at all: an end may not count by the rules, or was told to stand alone; else empty."""
    for end in pair:
        if reason := strength.barred(end):
            return reason
    for end, node in zip(pair, ends, strict=True):
        until = unlinked_at(node)
        if until is not None and known.last <= until:
            return f"{UNLINKED}{end}"
    return ""


def said(nodes: Iterable[tuple[str, Node]], strength: Strength) -> Said:
    """What holds among these identifiers, the newest `always` first."""
    known = dict(nodes)
    never: set[Pair] = set()
    always: dict[Pair, int] = {}
    for identifier, node in known.items():
        for other, asserted in node.assertions.items():
            if other not in known or strength.barred(identifier) or strength.barred(other):
                continue
            pair = strength.pair(identifier, other)
            if asserted.verb == NEVER:
                never.add(pair)
            elif asserted.verb == ALWAYS and not _alone_since(asserted, (node, known[other])):
                always[pair] = asserted.at
    return Said(sorted(always, key=lambda pair: (-always[pair], pair)), never)


def _alone_since(asserted: Asserted, ends: Iterable[Node]) -> bool:
    """Whether one of these was told to stand alone after that."""
    return any((until := unlinked_at(node)) is not None and until >= asserted.at for node in ends)


def _newness(asserted: Asserted) -> tuple[int, str, str, str]:
    """Orders what was said; at one instant the order is any, but always the same."""
    return asserted.at, asserted.verb, asserted.author, asserted.reason
