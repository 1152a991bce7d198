"""One person during one turn: what journeys read and change, and what they send."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import orjson

from processors.journeys import ids
from processors.journeys.model import (
    Belongings,
    Draw,
    InForce,
    Instance,
    Person,
    Recent,
    Sent,
    Standing,
    remembered,
    started_last,
)
from processors.journeys.plan import Plan, Plans
from processors.journeys.pools import Codes, NamedCode
from processors.journeys.snapshot import Snapshot
from processors.runtime.slots import Slots, with_state
from schemas import topics
from schemas.definitions.hoisting import EXCLUDED
from schemas.definitions.model import Entry, Journey, Project
from schemas.identifiers import identifier_of, person_id
from schemas.journey_states import PAUSED, RUNNING
from schemas.localtime import zone_of
from schemas.records import Decision, Wire

#: draws are parts of this
MILLION = 1_000_000
_NOTHING = Belongings()
_RUNS = Standing(RUNNING)


class Working:
    """The person at hand. Changes stay here until the turn stores `person` and sends `outputs` (topic, key, record)
    and `wakes` (due, priority)."""

    def __init__(
        self,
        id_: str,
        person: Person,
        profile: Snapshot,
        plans: Plans,
        plan: Plan | None,
        codes: Codes,
        in_force: InForce,
    ) -> None:
        self.id = id_
        self.codes = codes
        self.person = person
        self.profile = profile
        self.profile_json: bytes | None = None
        self.forgotten = False
        #: the event at hand names identifiers that are not the person's (yet)
        self.joining = False
        self._stored = person
        self.plan = plan
        self.since = in_force.at
        self._standings = in_force.standings
        self.outputs: list[tuple[str, str, Wire | None]] = []
        self.wakes: list[tuple[int, int]] = []
        self._plans = plans
        # asked for several times an event, each time on the way through all instances
        self._journeys: dict[tuple[str, str], Journey] = {}
        self._ordered: list[Instance] = []
        self._ordered_of: Slots[Belongings] | None = None

    @property
    def changed(self) -> bool:
        """Whether the stored person has to be written again."""
        return self.person is not self._stored

    # --- slots --------------------------------------------------------------------------------------------------

    @property
    def slots(self) -> Slots[Belongings]:
        return self.person.slots

    def place(self, slots: Slots[Belongings]) -> None:
        """Other slots from now on."""
        if slots is not self.slots:
            self.person = msgspec.structs.replace(self.person, slots=slots)

    def change(self, **fields: Any) -> None:
        """Other fields of the stored person from now on."""
        if any(getattr(self.person, name) != value for name, value in fields.items()):
            self.person = msgspec.structs.replace(self.person, **fields)

    def belongings(self) -> Iterator[tuple[str, Belongings]]:
        """What belongs to each slot that has something."""
        for slot, held in self.slots.held.items():
            if held.state is not None:
                yield slot, held.state

    def leading_slot(self) -> str | None:
        """The slot that gives the person its id, else the smallest; None while there is none."""
        own = (slot for slot in self.slots.held if person_id(identifier_of(slot)) == self.id)
        return next(own, None) or min(self.slots.held, default=None)

    def holds(self, identifiers: Iterable[str]) -> bool:
        """Whether all these identifiers are the person's: each has a slot here, be it an empty one."""
        known = {identifier_of(slot) for slot in self.slots.held}
        return known.issuperset(identifiers)

    def own(self, slot: str) -> Belongings:
        """What belongs to a slot."""
        return self.slots.held[slot].state or _NOTHING

    def note(self, slot: str, **fields: Any) -> None:
        """Other belongings of a slot from now on."""
        self.place(with_state(self.slots, slot, msgspec.structs.replace(self.own(slot), **fields)))

    # --- instances ----------------------------------------------------------------------------------------------

    def instances(self) -> list[Instance]:
        """All that run, the highest priority first, then by id."""
        slots = self.person.slots
        if self._ordered_of is not slots:
            running: list[Instance] = []
            for slot in slots.held.values():
                if slot.state is not None and slot.state.instances:
                    running.extend(slot.state.instances.values())
            if len(running) > 1:
                running.sort(key=lambda i: (-self.journey(i).priority, i.id))
            self._ordered, self._ordered_of = running, slots
        return list(self._ordered)

    def instance(self, id_: str) -> Instance | None:
        """The instance as it is now, None when it runs no more."""
        return next((own.instances[id_] for _, own in self.belongings() if id_ in own.instances), None)

    def keep(self, instance: Instance) -> None:
        """Another state of an instance that runs."""
        slot = self.slot_of(instance)
        self.note(slot, instances={**self.own(slot).instances, instance.id: instance})

    def start(self, instance: Instance, slot: str) -> None:
        """A new instance, which belongs to a slot."""
        own = self.own(slot)
        latest = max(own.entries.get(instance.journey, 0), instance.entered_at)
        self.note(
            slot,
            instances={**own.instances, instance.id: instance},
            entries={**own.entries, instance.journey: latest},
            begun=started_last({**own.begun, instance.id: instance.entered_at}),
        )

    def has_begun(self, id_: str) -> bool:
        """Whether an instance was started before, as far as that is remembered."""
        return any(id_ in own.begun or id_ in own.instances for _, own in self.belongings())

    def end(self, instance: Instance, at: int, goal_counts: bool = True) -> None:
        """An instance runs no more; its goal may still be reached for a while."""
        slot = self.slot_of(instance)
        own = self.own(slot)
        running = {id_: i for id_, i in own.instances.items() if id_ != instance.id}
        ended = {id_: i for id_, i in own.ended.items() if self._awaits_goal(i, at)}
        if goal_counts and self._awaits_goal(instance, at):
            ended[instance.id] = msgspec.structs.replace(instance, due=None, phase="", event=b"")
        self.note(slot, instances=running, ended=ended)

    def awaiting_goal(self, at: int) -> list[Instance]:
        """Instances whose goal may be reached at this instant, those that run first."""
        ended = [i for _, own in self.belongings() for i in own.ended.values()]
        return [i for i in (*self.instances(), *sorted(ended, key=lambda i: i.id)) if self._awaits_goal(i, at)]

    def _awaits_goal(self, instance: Instance, at: int) -> bool:
        goal = self.journey(instance).goal
        if goal is None or instance.goal_at is not None:
            return False
        if goal.within is None:
            return self.instance(instance.id) is not None
        return at - instance.entered_at < goal.within

    def reached_goal(self, instance: Instance, at: int) -> None:
        """The goal of an instance was reached, while it ran or after."""
        if self.instance(instance.id) is not None:
            self.keep(msgspec.structs.replace(instance, goal_at=at))
            return
        slot = next(slot for slot, own in self.belongings() if instance.id in own.ended)
        self.note(slot, ended={id_: i for id_, i in self.own(slot).ended.items() if id_ != instance.id})

    def wake(self, instance: Instance) -> None:
        """See to it that the instance goes on when it is due."""
        if instance.due is not None:
            self.wakes.append((instance.due, self.journey(instance).priority))

    def newest_occasion(self, entrance: str) -> str:
        """The newest date or occurrence of a schedule that has let the person in this way, "" if none has."""
        return max((own.occasions.get(entrance, "") for _, own in self.belongings()), default="")

    def came_twice(self, instance: Instance) -> bool:
        """Whether what has let an instance in has let in another person, too, who is this one by now."""
        own, name = self.slot_of(instance), f"{instance.journey}/{instance.entrance}"
        others = (belongings.occasions.get(name, "") for slot, belongings in self.belongings() if slot != own)
        return bool(instance.occasion) and instance.occasion in others

    def forget_occasion(self, instance: Instance) -> None:
        """What has let an instance in goes on in another."""
        slot, name = self.slot_of(instance), f"{instance.journey}/{instance.entrance}"
        occasions = self.own(slot).occasions
        if instance.occasion and occasions.get(name) == instance.occasion:
            self.note(slot, occasions={entry: one for entry, one in occasions.items() if entry != name})

    def note_occasion(self, entrance: str, name: str, slot: str) -> None:
        """Remember that one has."""
        self.note(slot, occasions={**self.own(slot).occasions, entrance: name})

    def last_entry(self, journey: str) -> int | None:
        """When the person last entered a journey, None if never."""
        return max((own.entries[journey] for _, own in self.belongings() if journey in own.entries), default=None)

    def slot_of(self, instance: Instance) -> str:
        """The slot a running instance belongs to."""
        """The slot that an instance belongs to."""
        return next(slot for slot, own in self.belongings() if instance.id in own.instances)

    # --- sends, draws, recent events ----------------------------------------------------------------------------

    def sends(self) -> list[Sent]:
        """What was sent and still matters."""
        return [sent for _, own in self.belongings() for sent in own.sent.values()]

    def add_send(self, instance: Instance, sent: Sent) -> None:
        """Remember a send. Earlier ones that can't matter any more for caps, intents, receipts and goals are
        forgotten."""
        slot = self.slot_of(instance)
        own = self.own(slot)
        plans = [self._plans.of(instance.version), *([self.plan] if self.plan is not None else [])]
        counts_from = sent.at - max(plan.keeps for plan in plans)
        said = [plan.says for plan in plans]
        says_from = None if None in said else sent.at - max(limit for limit in said if limit is not None)
        kept = {
            id_: s
            for id_, s in own.sent.items()
            if s.at > counts_from
            or (s.intent and (says_from is None or s.at > says_from))
            or s.instance_id in own.instances
            or s.instance_id in own.ended
        }
        self.note(slot, sent={**kept, sent.send_id: sent})

    def newest_send(self, instance: Instance) -> Sent | None:
        """What an instance sent last, None if nothing."""
        own = (sent for sent in self.sends() if sent.instance_id == instance.id)
        return max(own, key=lambda sent: (sent.at, sent.send_id), default=None)

    def draw(self, name: str, at: int, given: Callable[[int], int | None] = lambda _: None) -> Draw:
        """The person's number in a lottery, below MILLION: drawn from the person's id the first time, kept since; one
        that is drawn now may be replaced by the number `given` in its place."""
        drawn = [own.draws[name] for _, own in self.belongings() if name in own.draws]
        if drawn:
            return min(drawn, key=lambda draw: (draw.at, draw.value))
        value = int.from_bytes(hashlib.sha256(f"{name}\0{self.id}".encode()).digest()[:8], "big") % MILLION
        instead = given(value)
        draw = Draw(at, value) if instead is None else Draw(at, instead, given=True)
        slot = self.leading_slot()
        if slot is not None:
            self.note(slot, draws={**self.own(slot).draws, name: draw})
        return draw

    def held_out(self, project: Project, journey: Journey, at: int) -> bool:
        """Whether a journey sends nothing to the person because it is in the project's control group."""
        holdout = project.holdout
        if holdout is None or holdout.exempt & {journey.category, journey.name}:
            return False
        return self.draw("holdout", at).value < holdout.share / 100 * MILLION

    @property
    def excluded(self) -> bool:
        """Whether the project excludes the person from everything."""
        return EXCLUDED in self.profile.segments

    def remember(self, event: Recent, slot: str) -> None:
        """An event that instances which arrive by a merge may have missed."""
        self.note(slot, recent=remembered([*self.own(slot).recent, event]))

    # --- definitions and names ----------------------------------------------------------------------------------

    def standing(self, journey: str) -> Standing:
        """The state of a journey, and since when it has run again."""
        return self._standings.get(journey, _RUNS)

    def paused(self, instance: Instance) -> bool:
        """Whether nothing may be done to an instance now."""
        return self.standing(instance.journey).state == PAUSED

    def project(self, instance: Instance) -> Project:
        """The project an instance is pinned to."""
        return self._plans.of(instance.version).project

    def journey(self, instance: Instance) -> Journey:
        """The journey of an instance, as it was when it entered."""
        key = instance.version, instance.journey
        journey = self._journeys.get(key)
        if journey is None:
            journey = self._journeys[key] = self.project(instance).journeys[instance.journey]
        return journey

    def text(self, instance: Instance) -> str | None:
        """The file of an instance's journey, as it was when it entered."""
        return self.project(instance).files.get(self.journey(instance).path)

    def entry(self, instance: Instance) -> Entry:
        """The way by which an instance came in."""
        return self.journey(instance).entries[instance.entrance]

    def zone(self, project: Project) -> ZoneInfo:
        """The person's time zone."""
        return zone_of(self.profile.timezone, project.timezone)

    def names(self, at: int, event: object = None, instance: Instance | None = None) -> dict[str, Any]:
        """Names in CEL and Liquid; `event` is a document. What was caught with `as:` never hides a fixed name."""
        entry = orjson.loads(instance.entry) if instance is not None else event
        caught: dict[str, Any] = {}
        if instance is not None:
            caught = {name: orjson.loads(json) for name, json in instance.caught.items()}
            caught |= {name: NamedCode.of(json) for name, json in instance.codes.items()}
        return {
            **caught,
            "event": event if event is not None else entry,
            "entry": entry,
            "person": {"id": self.id, "traits": self.profile.traits},
            "now": at,
        }

    # --- outputs ------------------------------------------------------------------------------------------------

    def emit(self, topic: str, record: Wire | None, key: str | None = None) -> None:
        """Send a record, or None in the place of what stood under a key, which is the person's id unless given."""
        self.outputs.append((topic, self.id if key is None else key, record))

    def decide(
        self,
        at: int,
        reason: str,
        detail: str,
        *,
        journey: str,
        instance: Instance | None = None,
        subject: str = "",
        step: str = "",
        channel: str = "",
        send_id: str | None = None,
        due: int | None = None,
        instance_id: str = "",
    ) -> None:
        """Record a decision about an instance, or, without one, about `subject`: what could have started it, or what
        came of an instance (`instance_id`) that may be over."""
        about, visit = (instance.id, instance.visit) if instance is not None else (f"{journey}\0{subject}", 1)
        decision = Decision(
            decision_id=ids.decision_id(about, step, visit, channel, reason, at),
            at=at,
            person_id=self.id,
            journey=journey,
            step=step,
            channel=channel,
            reason=reason,
            detail=detail,
            instance_id=instance.id if instance is not None else instance_id,
            send_id=send_id,
            due=due,
        )
        self.emit(topics.DECISIONS, decision)
