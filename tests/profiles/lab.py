"""A line in memory, and the read side that follows it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import orjson

from processors.journeys.model import PERSONS, PROFILES
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.runtime.store import MemoryStore, state_key
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.definitions.model import Project
from schemas.records import Assertion, Event, LinkEnvelope
from sinks.profiles.fields import EVERYTHING, Fields
from sinks.profiles.fold import JOURNEYS_STATE, Fold, topics_of
from sinks.profiles.people import Nobody, People
from sinks.profiles.projects import inboxes_of

CODEC = Codec()
FILES = {
    "project.yaml": "name: shop\ntimezone: Europe/Kyiv\n",
    "identity.yaml": "identifiers:\n  user_id: {limit: 1}\n  email: {limit: 2, normalize: email}\n"
    "  anonymous_id: {limit: 100}\nblocked: ['null']\n",
    "channels.yaml": "email: {cost: 0.001, connector: smtp, consent: opt_in}\n",
    "templates/hello.yaml": "subject: Hi\nbody: Hello there\n",
    "segments/buyers.yaml": "name: buyers\nwhen: {did: Order Completed}\n",
    "traits/spent.yaml": "name: spent\nsum: {of: properties.total, event: Order Completed}\n",
    "journeys/welcome.yaml": "name: welcome\nenter: {event: Signed Up}\nexit: [{event: Order Completed}]\n"
    "steps:\n  - wait: 1d\n    id: rest\n  - send: {template: hello, channels: [email]}\n",
}
START = 1_772_323_200_000  # 2026-03-01T00:00:00Z


class Lab:
    """One line and one read side. Times are milliseconds since 1970 UTC."""

    def __init__(self, files: dict[str, str] | None = None, events: int = 20) -> None:
        from connectors.outbound.dispatch import DispatchStage
        from connectors.outbound.inbox import Inbox
        from processors.graph.step import GraphStage
        from processors.identity.step import IdentityStage
        from processors.journeys.step import JourneysStage
        from processors.segments.step import SegmentsStage

        self.project: Project = parse({**FILES, **(files or {})})
        source = FixedDefinitions(self.project)
        self.clock = VirtualClock(START)
        stages = [IdentityStage(source, CODEC), GraphStage(source, CODEC), SegmentsStage(source, CODEC)]
        inboxes = [
            DispatchStage(source, CODEC, Inbox(name), transactional=lane)
            for name in inboxes_of(self.project)
            for lane in (False, True)
        ]
        self.line = MemoryLine([*stages, JourneysStage(source, CODEC), *inboxes], self.clock, partitions=2)
        self.store = MemoryStore()
        self.people = People(self.store, CODEC, source)
        self._events = events
        self._taken: dict[str, int] = {}
        self._count = 0

    def happen(self, name: str, seconds: float = 1.0, *, type: str = "track", **message: Any) -> Event:
        """A message of the Segment spec, so many seconds after the one before."""
        from connectors.inbound.segment import to_event

        self._count += 1
        at = self.clock.now() + round(seconds * 1000)
        self.line.advance(at)
        given = {"type": type, "event": name, "messageId": f"m{self._count}", **message}
        event = to_event(given, self.project.identity, received_at=at, source="test", use_sent_at=False)
        self.line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
        self.line.drain()
        return event

    def forget(self, identifier: str) -> None:
        assertion = Assertion(verb="erase", a=identifier, author="test", reason="asked", at=self.clock.now() + 1)
        self.assertion(assertion)

    def assertion(self, assertion: Assertion) -> None:
        self.line.advance(max(assertion.at, self.clock.now()))
        envelope = LinkEnvelope(kind="assertion", assertion=assertion)
        self.line.publish(topics.LINKS, "links", CODEC.encode(envelope))
        self.line.drain()

    # --- the read side ---------------------------------------------------------------------------------------------

    def records(self) -> dict[str, list[tuple[bytes | None, bytes | None]]]:
        """What the read side has not read yet, by topic and partition; of the journeys' state what there is now."""
        found: dict[str, list[tuple[bytes | None, bytes | None]]] = {}
        for topic in (topics.UPDATES, topics.ASSIGNMENTS, *topics_of(inboxes_of(self.project))):
            records = self.line.outputs[topic]
            for record in records[self._taken.get(topic, 0) :]:
                found.setdefault(f"{topic}/{record.partition}", []).append((record.key, record.value))
            self._taken[topic] = len(records)
        states = [
            (state_key(PERSONS, key), PERSONS.encode(each)) for key, each in self.line.states("journeys", PERSONS)
        ]
        states += [
            (state_key(PROFILES, key), PROFILES.encode(each)) for key, each in self.line.states("journeys", PROFILES)
        ]
        found[f"{JOURNEYS_STATE}/0"] = [*states]
        return found

    def follow(self, random: Random | None = None) -> None:
        """Read all there is: topic after topic, or the partitions in some interleaving."""
        found = self.records()
        while found:
            name = random.choice(sorted(found)) if random is not None else min(found)
            key, value = found[name].pop(0) if found[name] else (None, None)
            if not found[name]:
                del found[name]
            if key is not None:
                self.take(name.partition("/")[0], key, value)

    def take(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        fold = Fold(CODEC, self.store, events=self._events, inboxes=inboxes_of(self.project))
        fold.take(topic, key, value)
        self.store.apply(fold.changes.items())

    def ask(self, who: str, *fields: str, events: int = 20) -> dict[str, Any]:
        """The answer about an identifier or a person id; about nobody it is why."""
        found = self.people.by_identifier(who) if ":" in who else self.people.by_id(who)
        if isinstance(found, Nobody):
            return {"nobody": found.why}
        answer: dict[str, Any] = orjson.loads(orjson.dumps(Fields.of(fields or (EVERYTHING,)).answer(found, events)))
        return answer

    def inbox(self, who: str) -> list[str]:
        """Ids of the messages to read, the newest first."""
        found = self.people.by_identifier(who)
        return [] if isinstance(found, Nobody) else [m.command.send_id for m in found.inbox(self.clock.now())]

    def names(self, who: str) -> list[str]:
        """Names of the last events, the newest first."""
        return [event["name"] for event in self.ask(who, "events").get("events", ())]


def merged(lab: Lab, who: Iterable[str]) -> set[str]:
    """Ids of the persons these identifiers lead to."""
    return {lab.ask(each, "person_id").get("person_id", "") for each in who}
