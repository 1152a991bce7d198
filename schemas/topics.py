"""The topic catalogue: every topic of a line, with its key, partitions and clean-up (design: one line, one direction).

Topics are created from here by `pathline topics apply`, never by auto-creation. N is the line's partition count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DAY_MS = 86_400_000
#: Internal topics and producers allow this many bytes a record; the edge admits `EDGE_BYTES` an event.
INTERNAL_BYTES = 8 * 1024 * 1024
EDGE_BYTES = 256 * 1024
#: What the topics take: the largest record with room for headers and framing around it.
MESSAGE_BYTES = INTERNAL_BYTES + 1024 * 1024
#: `dead-letters` and producers take more: such a record, and what is said of it.
LARGEST_MESSAGE_BYTES = MESSAGE_BYTES + 1024 * 1024

EVENTS = "events"
LINKS = "identity.links"
ASSIGNMENTS = "identity.assignments"
REFUSALS = "identity.refusals"
PEOPLE = "people"
SEGMENTS_HANDOFF = "segments.handoff"
SEGMENTS_BACKFILL = "segments.backfill"
JOURNEYS_HANDOFF = "journeys.handoff"
UPDATES = "updates"
DECISIONS = "journeys.decisions"
DEFINITIONS = "definitions"
LISTS = "lists"
ACCESSES = "profiles.accesses"
PROMOS = "promos"
DEAD_LETTERS = "dead-letters"


def outbound(channel: str, transactional: bool = False) -> str:
    """Topic of a channel's send commands."""
    return f"outbound.{channel}.transactional" if transactional else f"outbound.{channel}"


def ledger(channel: str) -> str:
    """Topic of what became of a channel's sends."""
    return f"{channel}.ledger"


def receipts(channel: str) -> str:
    """Topic of what providers tell by ids of their own."""
    return f"{channel}.receipts"


def changelog(app: str) -> str:
    """Topic of an app's state."""
    return f"{app}.changelog"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: `partitions` None means N; `schema` names the Avro record in it, None for state and dead letters."""

    name: str
    key: str
    partitions: int | None
    compact: bool
    schema: str | None
    about: str
    retention_ms: int = 7 * DAY_MS


#: commands and decisions stay as long as a message may lie in an inbox (`Channel.stays`)
_INBOX_MS = 30 * DAY_MS


def catalogue(channels: Iterable[str]) -> list[Topic]:
    """All topics of a line that has these channels."""
    topics = [
        Topic(EVENTS, "the event's strongest identifier", None, False, "event", "what people did", 30 * DAY_MS),
        Topic(LINKS, "constant", 1, False, "link", "identifiers seen together; assertions", 30 * DAY_MS),
        Topic(ASSIGNMENTS, "identifier", None, True, "assignment", "who an identifier belongs to"),
        Topic(REFUSALS, "identifier", None, False, "refusal", "links refused, with reason"),
        Topic(PEOPLE, "person_id", None, False, "person", "events, moves, erasures, definition markers", 30 * DAY_MS),
        Topic(SEGMENTS_HANDOFF, "destination person_id", None, False, "handoff", "segment state that changes owner"),
        Topic(JOURNEYS_HANDOFF, "destination person_id", None, False, "handoff", "journey state that changes owner"),
        Topic(SEGMENTS_BACKFILL, "person_id", None, False, "backfill", "history that new definitions lacked"),
        Topic(UPDATES, "person_id", None, False, "update", "events with what they changed", 30 * DAY_MS),
        Topic(DECISIONS, "person_id", None, False, "decision", "decisions of journeys, with their reasons", _INBOX_MS),
        Topic(DEFINITIONS, "version", 1, True, "definitions", "the published project, a record a version"),
        Topic(LISTS, "list/identifier", 1, True, "event", "who is in static lists, by the event that says so"),
        Topic(PROMOS, "promo/code", None, True, "promo", "codes of pools, each where it is to be given"),
        Topic(ACCESSES, "person_id", None, False, "access", "who asked for which person's profile"),
        Topic(DEAD_LETTERS, "as the source", None, False, None, "records that could not be used", 90 * DAY_MS),
    ]
    for app, partitions in (("identity", None), ("graph", 1), ("segments", None), ("journeys", None)):
        topics.append(Topic(changelog(app), "state key", partitions, True, None, f"state of {app}"))
    for channel in channels:
        topics += [
            Topic(outbound(channel), "person_id", None, False, "send", f"marketing by {channel}", _INBOX_MS),
            Topic(outbound(channel, True), "person_id", None, False, "send", f"transactional by {channel}", _INBOX_MS),
            Topic(ledger(channel), "send_id", None, True, "ledger", f"state of each send by {channel}"),
            Topic(receipts(channel), "provider's id", None, False, "receipt", f"provider's receipts by {channel}"),
        ]
        for app in dispatch_apps(channel):
            topics.append(Topic(changelog(app), "state key", None, True, None, f"state of {app}"))
    return topics


def dispatch_apps(channel: str) -> tuple[str, str]:
    """The two apps that send for a channel: marketing and transactional, with groups of their own."""
    return f"dispatch-{channel}", f"dispatch-{channel}-transactional"
