"""What a simulated line did, as the five files of `pathline simulate`.

One JSON object a line, times in UTC ISO 8601 (design section 10).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from processors.runtime.memory import MemoryLine
from schemas import lists, reasons, topics
from schemas.audiences import CATEGORY
from schemas.codec import Codec
from schemas.identifiers import identifier_of, person_id
from schemas.records import Assignment, Decision, Event, Refusal, SendCommand, Update

Row = dict[str, Any]


def iso(ms: int) -> str:
    """An instant in UTC ISO 8601; milliseconds are written only where there are any."""
    instant = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{instant}.{ms % 1000:03d}Z" if ms % 1000 else f"{instant}Z"


def write(line: MemoryLine, channels: Iterable[str], folder: Path) -> dict[str, int]:
    """Write the files, empty ones too; the number of rows in each. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(line, list(channels))
    counts = {}
    for name, rows in outcome.files().items():
        lines = [orjson.dumps(row) for row in rows]
        (folder / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        counts[name] = len(lines)
    return counts


class Outcome:
    """The outputs of a line, read once."""

    def __init__(self, line: MemoryLine, channels: list[str]) -> None:
        self._line = line
        self._codec = Codec()
        self._channels = channels
        self.updates = self._read(topics.UPDATES, Update)

    def files(self) -> dict[str, Iterable[Row]]:
        """Rows by file name, without its ending."""
        return {
            "people": self.people(),
            "memberships": self.memberships(),
            "sends": self.sends(),
            "decisions": self.decisions(),
            "links": self.links(),
        }

    def people(self) -> Iterator[Row]:
        """Persons that did something, as they are at the end."""
        events = [event for event in self._read(topics.EVENTS, Event) if event.type != lists.TYPE]
        owner = self._owners({identifier for event in events for identifier in event.identifiers})
        identifiers = defaultdict(list)
        for identifier, person in owner.items():
            identifiers[person].append(identifier)
        profiles = {u.person_id: orjson.loads(u.profile) for u in self.updates if u.profile is not None}
        placed = self._slots()
        active = {
            placed[u.slot] if u.slot in placed else owner[identifier_of(u.slot)]
            for u in self.updates
            if u.kind == "event"
        }
        for person in sorted(active):
            profile = profiles[person]
            yield {
                "person_id": person,
                "identifiers": sorted(identifiers[person]),
                "traits": profile["traits"],
                "segments": visible(profile["segments"]),
                "consents": [{**consent, "at": iso(consent["at"])} for consent in profile["consents"]],
            }

    def memberships(self) -> Iterator[Row]:
        changes = [(change.at, update.person_id, change) for update in self.updates for change in update.changes]
        for at, person, change in sorted(changes, key=lambda item: item[0]):
            if visible([change.segment]):
                yield {
                    "at": iso(at),
                    "person_id": person,
                    "segment": change.segment,
                    "change": change.change,
                    "cause": change.cause,
                }

    def sends(self) -> Iterator[Row]:
        names = [topics.outbound(c, transactional) for c in self._channels for transactional in (False, True)]
        commands = [command for name in names for command in self._read(name, SendCommand)]
        for command in sorted(commands, key=lambda c: c.at):
            if command.category == CATEGORY:
                continue  # who joins an audience is sent nothing; it stands in the decisions
            yield {
                "at": iso(command.at),
                "person_id": command.person_id,
                "journey": command.journey,
                "step": command.step,
                "channel": command.channel,
                "template": command.template,
                "to": command.to,
                "send_id": command.send_id,
            }

    def decisions(self) -> Iterator[Row]:
        """The fixed reasons only: that an instance finished or reached its goal is for the warehouse."""
        decisions = [d for d in self._read(topics.DECISIONS, Decision) if d.reason in reasons.FIXED]
        for decision in sorted(decisions, key=lambda d: d.at):
            yield {
                "at": iso(decision.at),
                "person_id": decision.person_id,
                "journey": decision.journey,
                "step": decision.step,
                "channel": decision.channel,
                "reason": decision.reason,
                "detail": decision.detail,
                "instance_id": decision.instance_id,
                "send_id": decision.send_id,
            }

    def links(self) -> Iterator[Row]:
        last = {(r.a, r.b): r for r in self._read(topics.REFUSALS, Refusal)}
        for refusal in sorted(last.values(), key=lambda r: (r.at, r.a, r.b)):
            if refusal.refused:
                yield {"a": refusal.a, "b": refusal.b, "reason": refusal.reason, "at": iso(refusal.at)}

    def _owners(self, identifiers: set[str]) -> Mapping[str, str]:
        owner = {identifier: person_id(identifier) for identifier in identifiers}
        for assignment in self._read(topics.ASSIGNMENTS, Assignment):
            owner[assignment.identifier] = assignment.periods[-1].person_id
        return owner

    def _slots(self) -> Mapping[str, str]:
        return {
            period.slot: period.person_id
            for assignment in self._read(topics.ASSIGNMENTS, Assignment)
            for period in assignment.periods
        }

    def _read(self, topic: str, kind: type[Any]) -> list[Any]:
        return [self._codec.decode(kind, record.value) for record in self._line.outputs.get(topic, [])]


def visible(segments: Iterable[str]) -> list[str]:
    """Segments people wrote; those that begin with ~ stand for conditions inside journeys."""
    return [name for name in segments if not name.startswith("~")]
