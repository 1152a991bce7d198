"""Records that nobody can use, and who has to bury each of them."""

from __future__ import annotations

import random
import re
import struct
from dataclasses import dataclass

from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.step import JourneysStage
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.codec import Codec
from schemas.records import LedgerEntry
from sinks.clickhouse import writer
from sinks.profiles import fold, following

#: header by which a record of ours is known again
MARK = "campaign.poison"
_UNKNOWN_SCHEMA = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Poison:
    """A record for a topic."""

    topic: str
    key: str
    value: bytes | None


def readers(topic: str) -> set[str]:
    """The apps that read a topic: each makes a dead letter of what it can't use."""
    found = {stage.app for stage in (IdentityStage, GraphStage, SegmentsStage, JourneysStage) if topic in stage.inputs}
    for lane, app in enumerate(topics.dispatch_apps("email")):
        if topic in (topics.outbound("email", bool(lane)), topics.UPDATES):
            found.add(app)
    found |= {following.APP} if topic in fold.TOPICS else set()
    return found | ({writer.GROUP} if any(_matches(wanted, topic) for wanted in writer.TOPICS) else set())


def _matches(wanted: str, topic: str) -> bool:
    return re.match(wanted, topic) is not None if wanted.startswith("^") else wanted == topic


#: topics that are poisoned, a change log apart
TOPICS = (
    topics.EVENTS,
    topics.PEOPLE,
    topics.UPDATES,
    topics.LINKS,
    topics.ASSIGNMENTS,
    topics.REFUSALS,
    topics.SEGMENTS_HANDOFF,
    topics.JOURNEYS_HANDOFF,
    topics.DECISIONS,
    topics.outbound("email"),
    topics.outbound("email", True),
    topics.ledger("email"),
)


def draw(chance: random.Random, codec: Codec, good: bytes) -> Poison:
    """One record; `good` is an encoded event. Half of them go to `events`, as that is where strangers write."""
    topic = topics.EVENTS if chance.random() < 0.5 else chance.choice(TOPICS)
    return Poison(topic, f"poison-{chance.randrange(1_000)}", _value(chance, codec, topic, good))


def _value(chance: random.Random, codec: Codec, topic: str, good: bytes) -> bytes | None:
    match chance.choice(("truncated", "unknown", "foreign", "noise", "null")):
        case "truncated" if topic == topics.EVENTS:
            return good[: chance.randrange(5, len(good) - 1)]
        case "unknown":
            return struct.pack(">bI", 0, _UNKNOWN_SCHEMA) + good[5:]
        case "foreign":
            # a well-formed record of another kind
            stranger = LedgerEntry(send_id="s", person_id="p", channel="email", state="accepted", at=0)
            return good if topic == topics.ledger("email") else codec.encode(stranger)
        # in a compacted topic a null is a deletion, and no poison
        case "null" if topic not in (topics.ASSIGNMENTS, topics.ledger("email")):
            return None
        case _:
            return chance.randbytes(chance.randrange(1, 60))
