"""The send decision: whether a message goes out now, through which channel and to which address, and if not, why.

Channels are tried in order; one that may not be used gives way to the next. Everything is judged at the very instant of
sending, again after quiet hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, NamedTuple

import orjson

from processors.journeys import ids, reading
from processors.journeys.allowance import address_for, capped
from processors.journeys.model import JOINING_MS, Instance, Sent
from processors.journeys.timing import turn
from processors.journeys.working import Working
from schemas import reasons, topics
from schemas.definitions.durations import SECOND_MS, spoken
from schemas.definitions.model import Channel, Journey, Project, Quiet, Send
from schemas.definitions.templates import TemplateError, render, render_text
from schemas.localtime import inside, next_time_of_day
from schemas.records import SendCommand

#: phases of a send in which a higher priority may take the place it would have had
WAITS = frozenset({"moment", "quiet"})


@dataclass(frozen=True, slots=True)
class Done:
    """The step is over, whether something was sent or not."""


@dataclass(frozen=True, slots=True)
class Later:
    """The step goes on at `due` at the latest: when identifiers were joined, at the time of day it chose, at the end of
    quiet hours, or when the receipt of a cascade did not come. `tried` are the channels it is done with."""

    due: int
    phase: Literal["joining", "moment", "quiet", "receipt"]
    tried: tuple[str, ...]


class Outcome(Enum):
    """What became of one channel. A message that can't be rendered is given up, in every channel."""

    SENT = "sent"
    SKIPPED = "skipped"
    FAILED = "failed"


class _Note(NamedTuple):
    """A decision to record."""

    reason: str
    detail: str
    channel: str
    send_id: str | None


class _QuietUntil(NamedTuple):
    """A channel that is quiet, when the person's turn after it is, and what becomes of the message."""

    due: int
    channel: Channel
    then: str


class _Decision:
    """One send step of one instance at one instant."""

    def __init__(self, person: Working, instance: Instance, step: Send, names: Mapping[str, Any], at: int) -> None:
        self.person = person
        self.instance = instance
        self.step = step
        self.names = names
        self.at = at
        self.project: Project = person.project(instance)
        self.journey: Journey = person.journey(instance)
        self.zone = person.zone(self.project)
        self.marketing = self.journey.category == "marketing"
        self.tried = instance.tried
        self.quiet: list[_QuietUntil] = []
        self.intent = ""
        self.notes: list[_Note] = []

    def run(self) -> Done | Later:
        """Decide, and record what was decided."""
        outcome = self._run()
        if isinstance(outcome, Done) and self._may_be_joined():
            return Later(self.at + JOINING_MS, "joining", self.instance.tried)
        for note in self.notes:
            self.person.decide(
                self.at,
                note.reason,
                note.detail,
                journey=self.journey.name,
                instance=self.instance,
                step=self.step.id,
                channel=note.channel,
                send_id=note.send_id,
            )
        return outcome

    def _may_be_joined(self) -> bool:
        """Whether nobody could be written to because the event that led here is also the one that tells who it is: then
        what is known of its other identifiers is on its way."""
        unknown = all(note.reason in (reasons.UNREACHABLE, reasons.NO_CONSENT) for note in self.notes)
        return self.person.joining and bool(self.notes) and unknown

    def _run(self) -> Done | Later:
        if self.person.excluded:
            return self._over(reasons.SUPPRESSED, reasons.EXCLUDED)
        if self._held_out():
            return Done()
        try:
            self.intent = render_text(self.journey.intent, self.names, self.zone.key) if self.journey.intent else ""
        except TemplateError as error:
            return self._over(reasons.TEMPLATE_ERROR, f"intent: {error}")
        said = self._said_before()
        if said is not None:
            return self._over(reasons.DUPLICATE_INTENT, f"{self.intent!r} was sent by {said}")
        if self.step.moment is not None and self.instance.phase not in ("moment", "quiet", "receipt"):
            due = turn(self.person, self.step.moment, self.at, self.zone)
            if due > self.at:
                return Later(due, "moment", self.tried)
        channels = self._channels()
        for number, channel in enumerate(channels):
            outcome = self._send_by(channel)
            if outcome is Outcome.SKIPPED or self.step.choice == "all":
                continue
            if outcome is Outcome.SENT:
                self._note_quiet()
            cascades = outcome is Outcome.SENT and channels[number + 1 :]
            if cascades and self.step.until is not None and self.step.within is not None:
                # it goes on to the next, never back to one that gave way
                passed = (*self.tried, *(before.name for before in channels[:number]))
                return Later(self.at + self.step.within, "receipt", passed)
            return Done()
        return self._after_quiet()

    def _channels(self) -> list[Channel]:
        """Channels to try, in order, without those this step is done with."""
        known = self.project.channels
        named = self.step.channels or tuple(name for name, channel in known.items() if channel.kind == "send")
        channels = [known[name] for name in named if name not in self.tried]
        if self.step.choice in ("cheapest", "preferred", "best"):
            channels.sort(key=lambda channel: (channel.cost, channel.name))
        if self.step.choice == "preferred":
            order = {name: place for place, name in enumerate(self.person.profile.affinity)}
            channels.sort(key=lambda channel: order.get(channel.name, len(order)))
        if self.step.choice == "best":
            channels.sort(key=lambda channel: reading.rank(self.person, channel.name))
        return channels

    def _held_out(self) -> bool:
        holdout = self.project.holdout
        if holdout is None or not self.person.held_out(self.project, self.journey, self.at):
            return False
        self._decide(reasons.HOLDOUT, f"in the control group of {holdout.share:g} %")
        return True

    def _said_before(self) -> str | None:
        """Who said the same before: any send of this intent but those of this very step."""
        if not self.intent:
            return None
        own = (self.instance.id, self.step.id, self.instance.visit)
        same = [s for s in self.person.sends() if s.intent == self.intent and (s.instance_id, s.step, s.visit) != own]
        limit = self.journey.intent_for
        newest = max(same, key=lambda s: (s.at, s.send_id), default=None)
        if newest is None or (limit is not None and self.at - newest.at >= limit):
            return None
        return f"{newest.journey or 'another journey or step'} over {newest.channel}"

    def _send_by(self, channel: Channel) -> Outcome:
        """Send through a channel if that may be. What stands in the way is recorded."""
        found = address_for(self.person.profile, channel, self.journey)
        if found.address is None:
            return self._skip(channel, found.reason, found.detail)
        if self.marketing:
            cap = capped(self.person.sends(), channel, self.journey, self.project, self.at, self.zone)
            if cap is not None:
                return self._skip(channel, self._capped_reason(cap.counted), cap.detail)
            quiet = channel.quiet
            if quiet is not None and inside(self.at, (quiet.first, quiet.end), self.zone):
                end = next_time_of_day(self.at, quiet.end, self.zone)
                self.quiet.append(_QuietUntil(end + self._spread(quiet), channel, self.step.quiet or quiet.then))
                return Outcome.SKIPPED
        return self._send(channel, found.type, found.address)

    def _spread(self, quiet: Quiet) -> int:
        """How long after the end of quiet hours the person's turn is, in milliseconds of whole seconds. All that waits
        for a person goes at one instant, so that priorities count."""
        return int(ids.share("quiet", self.person.id) * quiet.spread) // SECOND_MS * SECOND_MS

    def _capped_reason(self, counted: list[Sent]) -> str:
        """A send that waited through quiet hours lost its place if a higher priority took it meanwhile."""
        if self.instance.phase not in WAITS:
            return reasons.CAPPED
        taken = (sent.priority > self.journey.priority and self.instance.since <= sent.at < self.at for sent in counted)
        return reasons.LOST_PRIORITY if any(taken) else reasons.CAPPED

    def _send(self, channel: Channel, type_: str, address: str) -> Outcome:
        template = self.project.templates[self.step.template]
        try:
            parts = render(template, channel.name, self.person.profile.language(), self.names, self.zone.key)
        except TemplateError as error:
            self.tried = (*self.tried, channel.name)
            self._decide(reasons.TEMPLATE_ERROR, f"{template.name}: {error}", channel)
            return Outcome.FAILED
        id_ = ids.send_id(self.instance.id, self.step.id, self.instance.visit, channel.name)
        command = SendCommand(
            send_id=id_,
            person_id=self.person.id,
            journey=self.journey.name,
            version=self.instance.version,
            instance_id=self.instance.id,
            step=self.step.id,
            channel=channel.name,
            category=self.journey.category,
            purpose=self.journey.purpose,
            template=template.name,
            to=address,
            identifier=f"{type_}:{address}",
            intent=self.intent,
            at=self.at,
            content=orjson.dumps(parts),
        )
        self.person.emit(topics.outbound(channel.name, not self.marketing), command)
        self.person.add_send(
            self.instance,
            Sent(
                send_id=id_,
                instance_id=self.instance.id,
                step=self.step.id,
                channel=channel.name,
                address=address,
                at=self.at,
                priority=self.journey.priority,
                counts=self.marketing,
                intent=self.intent,
                visit=self.instance.visit,
                journey=self.journey.name,
                purpose=self.journey.purpose,
                unseen=channel.pull,
            ),
        )
        if self.person.plan is not None and self.person.plan.reads:
            reading.sent(self.person, self.person.slot_of(self.instance), channel.name, self.at)
        self.tried = (*self.tried, channel.name)
        self._decide(reasons.SENT, f"{template.name} to {address}", channel, id_)
        return Outcome.SENT

    def _note_quiet(self) -> None:
        """Tell of the channels that gave way as they are quiet, before what was sent instead."""
        quiet = [_Note(reasons.QUIET_HOURS, "gives way", quiet.channel.name, None) for quiet in self.quiet]
        self.notes[-1:-1] = quiet

    def _after_quiet(self) -> Done | Later:
        """What is left when no channel was left to use: wait for the first quiet hours to end, or go on."""
        if not self.quiet:
            return Done()
        waiting = [quiet for quiet in self.quiet if quiet.then == "wait"]
        due, channel, _ = min(waiting or self.quiet, key=lambda quiet: (quiet.due, quiet.channel.name))
        if not waiting:
            self._decide(reasons.QUIET_HOURS, "is not sent", channel)
            return Done()
        self._decide(reasons.QUIET_HOURS, f"waits {spoken(due - self.at)} for their end", channel)
        return Later(due, "quiet", self.tried)

    def _skip(self, channel: Channel, reason: str, detail: str) -> Outcome:
        if self.step.choice == "all":
            self.tried = (*self.tried, channel.name)
        self._decide(reason, detail, channel)
        return Outcome.SKIPPED

    def _over(self, reason: str, detail: str) -> Done:
        self._decide(reason, detail)
        return Done()

    def _decide(self, reason: str, detail: str, channel: Channel | None = None, send_id: str | None = None) -> None:
        self.notes.append(_Note(reason, detail, channel.name if channel is not None else "", send_id))


def decide(person: Working, instance: Instance, step: Send, names: Mapping[str, Any], at: int) -> Done | Later:
    """Decide a send step at an instant: sends and records the decision; what becomes of the instance."""
    return _Decision(person, instance, step, names, at).run()
