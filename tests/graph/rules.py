"""Identity rules and a graph in memory for the tests of identity."""

from __future__ import annotations

from collections.abc import Iterable

from processors.graph.step import GraphStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions.model import IdentifierType, IdentityRules, Project
from schemas.records import Assignment, Link, LinkEnvelope, PersonEnvelope, Refusal

CODEC = Codec()


def rules(hub: int | None = 50, **types: dict[str, object]) -> IdentityRules:
    """Rules with these types, strongest first."""
    made = {name: IdentifierType(name, rank, **given) for rank, (name, given) in enumerate(types.items())}  # type: ignore[arg-type]
    return IdentityRules(types=made, blocked=frozenset({"", "null"}), hub=hub)


def shop(shared: str = "keep", hub: int | None = 50) -> IdentityRules:
    """The rules of the design's example, with a policy for shared devices."""
    return rules(
        hub,
        user_id={"limit": 1},
        email={"limit": 5, "normalize": "email"},
        phone={"limit": 5, "normalize": "phone", "region": "UA"},
        anonymous_id={"limit": 100, "shared": shared},
    )


def project(identity: IdentityRules) -> Project:
    """A project that has nothing but these rules."""
    return Project("test", "UTC", "", None, identity, {}, {}, {}, {}, {}, "1", {})


def graph(identity: IdentityRules) -> MemoryLine:
    """The graph alone."""
    return MemoryLine([GraphStage(FixedDefinitions(project(identity)), CODEC)], VirtualClock())


def link(line: MemoryLine, a: str, b: str, at: int, source: str = "web") -> None:
    """A link arrives."""
    envelope = LinkEnvelope(kind="link", link=Link(a=a, b=b, seen_at=at, source=source))
    line.publish(topics.LINKS, "links", CODEC.encode(envelope))
    line.drain()


def assignments(line: MemoryLine) -> dict[str, Assignment]:
    """The newest assignment of each identifier."""
    found = (CODEC.decode(Assignment, record.value) for record in line.outputs[topics.ASSIGNMENTS])
    return {assignment.identifier: assignment for assignment in found}


def persons(line: MemoryLine, identifiers: Iterable[str] = ()) -> list[set[str]]:
    """Who is one person now."""
    groups: dict[str, set[str]] = {}
    for identifier, assignment in assignments(line).items():
        groups.setdefault(assignment.periods[-1].person_id, set()).add(identifier)
    return sorted(groups.values(), key=sorted)


def refusals(line: MemoryLine) -> dict[tuple[str, str], str]:
    """Links that do not count now, with their reasons."""
    found: dict[tuple[str, str], str] = {}
    for record in line.outputs[topics.REFUSALS]:
        refusal = CODEC.decode(Refusal, record.value)
        if refusal.refused:
            found[refusal.a, refusal.b] = refusal.reason
        else:
            del found[refusal.a, refusal.b]
    return found


def moves(line: MemoryLine) -> list[PersonEnvelope]:
    """Moves sent to people."""
    envelopes = [CODEC.decode(PersonEnvelope, record.value) for record in line.outputs[topics.PEOPLE]]
    return [envelope for envelope in envelopes if envelope.kind == "move"]
