"""The segments stage: what happens to a person becomes a profile and what was entered and left because of it.

One update per record, plus one per instant at which time alone changed something. Whatever came first in the partition
is applied first; before an event at instant A everything that time changed before A is published with its own instant,
so the answer of a person does not depend on when the worker got to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

import msgspec
import structlog

from processors.runtime.contract import BadRecord, Record, Turn
from processors.runtime.definitions import DefinitionsSource
from processors.runtime.slots import AWAY_MS, PATIENCE_MS, Handed, Slots, arrive, join, leave, redirect_of, with_state
from processors.segments import model, turnover
from processors.segments.consents import parting
from processors.segments.draft import Draft
from processors.segments.erasure import alive, anew, outliving, restored, without
from processors.segments.history import History, gather
from processors.segments.keeping import Lack, lack
from processors.segments.metrics import GIVEN_UP
from processors.segments.model import IN_FORCE, PEOPLE, InForce, Person, State
from processors.segments.plan import NOTHING, Plan, prepare
from processors.segments.turnover import Chunk, Read, Turnovers
from processors.segments.waiting import Waiting, park, take
from schemas import lists, topics
from schemas.codec import Codec
from schemas.erasure import Erased, mark
from schemas.records import (
    Backfill,
    Change,
    Erasure,
    Event,
    HandedSlot,
    Handoff,
    JourneyState,
    Marker,
    Move,
    PersonEnvelope,
    SlotVersion,
    Update,
)

#: A handoff above this size travels in parts: records are limited to `topics.INTERNAL_BYTES`.
PART_BYTES = topics.INTERNAL_BYTES // 2

_log = structlog.get_logger(__name__)


class SegmentsStage:
    """Keeps the profile of every person and the segments it is in."""

    app = "segments"
    inputs: tuple[str, ...] = (topics.PEOPLE, topics.SEGMENTS_HANDOFF, topics.SEGMENTS_BACKFILL)

    def __init__(
        self, rules_source: DefinitionsSource, codec: Codec, history: History | None = None, speed: float = 1.0
    ) -> None:
        """Without `history` new definitions begin with what happens from then on. `speed` is line milliseconds a wall
        millisecond: state on its way is waited for by the wall clock."""
        self._patience, self._away = round(PATIENCE_MS * speed), round(AWAY_MS * speed)
        self._source = rules_source
        self._codec = codec
        self._history = history
        self._plans: dict[str, Plan] = {}
        self._lacks: dict[tuple[str, tuple[str, ...]], Lack] = {}
        self._reading = asyncio.Lock()
        self._turnovers = Turnovers(
            codec,
            None if history is None else history.partitions,
            lambda force: self._lack(force).waiting,
            self._follow,
        )

    def on_record(self, record: Record, turn: Turn) -> None:
        if record.topic == topics.SEGMENTS_HANDOFF:
            self._handoff(self._codec.decode(Handoff, record.value), turn)
            return
        if record.topic == topics.SEGMENTS_BACKFILL:
            backfill = self._codec.decode(Backfill, record.value)
            if backfill.kind == "state":
                self._fill(backfill, turn)
            else:
                self._turnovers.heard(backfill, turn)
            return
        envelope = self._codec.decode(PersonEnvelope, record.value)
        match envelope:
            case PersonEnvelope(kind="event", event=bytes() as framed):
                self._event(envelope, framed, turn)
            case PersonEnvelope(kind="move", move=Move() as move):
                self._move(envelope.person_id, move, turn)
            case PersonEnvelope(kind="erasure", erasure=Erasure() as erasure):
                self._erasure(envelope.person_id, erasure, turn)
            case PersonEnvelope(kind="marker", marker=Marker() as marker):
                self._marker(marker, record.offset, turn)
            case PersonEnvelope(kind="journey", journey=JourneyState() as state):
                update = Update(kind="journey", person_id="", at=state.at, journey=state)
                turn.send(topics.UPDATES, "", self._codec.encode(update), turn.partition)
            case _:
                raise BadRecord(f"a record of kind {envelope.kind!r} without what belongs to it")

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        if key == turnover.KEY:
            self._turnovers.woken(turn)
            return
        person = turn.get(PEOPLE, key)
        if person is None:
            return
        if person.asked is not None and person.asked <= due:
            person = msgspec.structs.replace(person, asked=None)
        draft = self._open(key, person, turn, due + 1)
        self._close(draft, turn)

    def on_assigned(self, turn: Turn) -> None:
        self._turnovers.assigned(turn)

    def on_result(self, key: str, result: Chunk, turn: Turn) -> None:
        self._turnovers.read(result, turn)

    async def perform(self, request: Read) -> Chunk:
        """Read a stretch of history, in a thread; one at a time, as it takes time from what happens now."""
        if self._reading.locked():
            return Chunk(request)
        async with self._reading:
            return await asyncio.to_thread(self._read, request)

    def _read(self, request: Read) -> Chunk:
        assert self._history is not None
        stretch = self._history.read(request.partition, request.start, request.upto)
        plan, names = self._plan(request.force.version), self._lack(request.force).names
        told = gather(stretch.records, self._codec, plan, names, request.force.at, self.app)
        return Chunk(request, told, stretch.next)

    def _event(self, envelope: PersonEnvelope, framed: bytes, turn: Turn) -> None:
        key = envelope.person_id
        person = turn.get(PEOPLE, key) or Person()
        erased = person.erased.get(mark(envelope.slot)) if person.erased else None
        if erased is not None:
            self._begin_anew(envelope, erased, turn)
            return
        person = restored(person, [envelope.slot])
        redirect = redirect_of(person.slots, envelope.slot, envelope.version)
        if redirect is not None:
            forwarded = msgspec.structs.replace(envelope, person_id=redirect.to, version=redirect.version)
            turn.send(topics.PEOPLE, redirect.to, self._codec.encode(forwarded))
            return
        event = self._codec.decode(Event, framed)
        draft = self._open(key, person, turn, event.received_at)
        now, before = max(draft.last, event.received_at), draft.slots
        draft.slots = arrive(before, envelope.slot, envelope.version)
        draft.wait(now, before)
        one = Waiting(envelope.slot, envelope.version, framed)
        if draft.hold is None:
            self._fold(draft, one, event, turn)
        else:
            self._park(draft, one, event, now, turn)
        self._close(draft, turn)

    def _begin_anew(self, envelope: PersonEnvelope, erased: Erased, turn: Turn) -> None:
        """An event of an erased slot goes to the person that begins anew, if it is of the time after."""
        later = anew(envelope, erased, self._codec.decode(Event, envelope.event))
        if later is not None:
            turn.send(topics.PEOPLE, later.person_id, self._codec.encode(later))

    def _fold(self, draft: Draft, one: Waiting, event: Event, turn: Turn) -> None:
        """Fold an event into the person and tell what it changed."""
        now = draft.reach(event.received_at)
        changes = draft.apply(one.slot, event, now)
        if event.type == lists.TYPE:
            # nothing the person did, so there is nothing to count or to start a journey by but what it changed
            update = Update(kind="list", person_id=draft.person_id, at=now, changes=changes, listed=one.event)
        else:
            update = Update(
                kind="event",
                person_id=draft.person_id,
                at=now,
                changes=changes,
                event=one.event,
                repeated=draft.repeated,
            )
        placed = msgspec.structs.replace(update, slot=one.slot, version=one.version, profile=draft.publishable())
        self._publish(placed, turn)

    def _park(self, draft: Draft, one: Waiting, event: Event, now: int, turn: Turn) -> None:
        """Let an event wait until the person is whole. Raises BadRecord if it could not be folded then."""
        draft.check(one.slot, event, now)
        draft.waiting = park(turn, draft.person_id, draft.waiting, [one])
        # journeys wait as well: a timer of theirs must not overtake what has happened already
        told = Update(kind="awaiting", person_id=draft.person_id, at=now, slot=one.slot, version=one.version)
        self._publish(told, turn)

    def _release(self, draft: Draft, turn: Turn) -> None:
        """Fold what has waited, if the person waits no more."""
        if draft.hold is not None or not draft.waiting:
            return
        waiting, draft.waiting = take(turn, draft.person_id, draft.waiting), 0
        for one in waiting:
            event = self._codec.decode(Event, one.event)
            self._pass_time(draft, event.received_at, turn)
            self._fold(draft, one, event, turn)

    def _take_along(self, draft: Draft, handed: list[Handed[State]], turn: Turn) -> None:
        """What waits here for slots that leave waits where these go."""
        leaving = {one.slot: one for one in handed}
        stay = list[Waiting]()
        for one in take(turn, draft.person_id, draft.waiting):
            if (to := leaving.get(one.slot)) is None:
                stay.append(one)
            else:
                sent_on = msgspec.structs.replace(one.envelope(to.to), version=to.version)
                turn.send(topics.PEOPLE, to.to, self._codec.encode(sent_on))
        draft.waiting = park(turn, draft.person_id, 0, stay)

    def _move(self, key: str, move: Move, turn: Turn) -> None:
        person = turn.get(PEOPLE, key) or Person()
        slots = alive(person, move.slots)
        if not slots:
            return
        move = msgspec.structs.replace(move, slots=slots)
        draft = self._open(key, restored(person, [moved.slot for moved in slots]), turn, move.at)
        now, before = draft.reach(move.at), draft.slots
        draft.slots, handed = leave(parting(before, draft.view), move.to, move.slots)
        changes = self._rearranged(draft, before, now, move.reason)
        profile = draft.publishable()
        self._publish(Update(kind="move", person_id=key, at=now, changes=changes, move=move, profile=profile), turn)
        self._hand(handed, key, move.reason, now, turn)
        self._take_along(draft, handed, turn)
        self._release(draft, turn)
        self._close(draft, turn)

    def _handoff(self, handoff: Handoff, turn: Turn) -> None:
        key = handoff.person_id
        person = turn.get(PEOPLE, key) or Person()
        slots_here = alive(person, handoff.slots)
        if not slots_here:
            return
        draft = self._open(key, person, turn, handoff.at)
        now, before = draft.reach(handoff.at), draft.slots
        slots, onwards, arrived = before, list[Handed[State]](), list[SlotVersion]()
        for handed in slots_here:
            slots, further = join(slots, handed, _state(handed.state), model.join)
            onwards += [further] if further is not None else []
            arrived += [SlotVersion(slot=handed.slot, version=handed.version)] if further is None else []
        draft.slots = slots
        draft.expect(f"{handoff.origin} {handoff.at}", handoff.part < handoff.parts)
        for to in dict.fromkeys(handed.to for handed in onwards):
            self._hand([h for h in onwards if h.to == to], handoff.origin, handoff.reason, now, turn)
        if arrived or draft.whole:
            changes = self._rearranged(draft, before, now, handoff.reason)
            profile = draft.publishable(always=True) if draft.exists else None
            update = Update(kind="handoff", person_id=key, at=now, changes=changes, profile=profile, arrived=arrived)
            self._publish(update, turn)
        self._release(draft, turn)
        self._close(draft, turn)

    def _erasure(self, key: str, erasure: Erasure, turn: Turn) -> None:
        """Forget these slots, and the person with the last of them; nothing is said of what it was in."""
        if len(erasure.generations) not in (0, len(erasure.slots)):
            raise BadRecord(f"an erasure of {len(erasure.slots)} slots tells {len(erasure.generations)} generations")
        person = turn.get(PEOPLE, key) or Person()
        if erasure.slots:
            self._publish(Update(kind="erasure", person_id=key, at=erasure.at, erasure=erasure), turn)
            for told in outliving(person, erasure):
                turn.send(topics.PEOPLE, told.person_id, self._codec.encode(told))
        left = self._waiting_on(key, person, without(person, erasure), turn)
        if not left.slots.held or left.slots.held.keys() == person.slots.held.keys():
            turn.put(PEOPLE, key, restored(left, left.slots.held))
            return
        draft = self._open(key, left, turn, 0)
        draft.touch()
        now = draft.reach(erasure.at)
        draft.wait(now, draft.slots)
        changes = draft.settle(now, "split", "erasure")
        profile = draft.publishable()
        self._publish(Update(kind="timer", person_id=key, at=now, changes=changes, profile=profile), turn)
        self._release(draft, turn)
        self._close(draft, turn)

    def _waiting_on(self, key: str, person: Person, left: Person, turn: Turn) -> Person:
        """Who is left of a person after an erasure, with the events that go on waiting there."""
        stay = list[Waiting]()
        for one in take(turn, key, person.waiting):
            if (erased := left.erased.get(mark(one.slot))) is None:
                stay.append(one)
            else:
                self._begin_anew(one.envelope(key), erased, turn)
        return msgspec.structs.replace(left, waiting=park(turn, key, 0, stay))

    def _fill(self, told: Backfill, turn: Turn) -> None:
        """History of a slot, joined into what is known of it, or sent on to where the slot is now."""
        force, key = turn.get(IN_FORCE, ""), told.person_id
        if force is None or (force.version, force.at) != (told.definitions, told.marked_at):
            return  # another version is in force since: its own history comes, or came
        person = turn.get(PEOPLE, key) or Person()
        if mark(told.slot) in person.erased:
            return
        redirect = redirect_of(person.slots, told.slot, told.version)
        if redirect is not None:
            forwarded = msgspec.structs.replace(told, person_id=redirect.to, version=redirect.version)
            turn.send(topics.SEGMENTS_BACKFILL, redirect.to, self._codec.encode(forwarded))
            self._turnovers.passed_on(turn)
            return
        draft, state = self._open(key, person, turn, 0), _state(told.state)
        before = draft.slots
        slots = arrive(before, told.slot, told.version)
        known = slots.held[told.slot].state
        if state is not None:
            draft.slots = with_state(slots, told.slot, state if known is None else model.join(known, state))
        draft.wait(draft.reach(force.at), before)
        self._close(draft, turn)

    def _follow(self, turn: Turn, after: str, most: int) -> tuple[str, int] | None:
        """Persons behind this key go over to the definitions in force, untouched ones too."""
        found = list(islice(turn.scan(PEOPLE, after=after), most))
        for key, person in found:
            draft = self._open(key, person, turn, 0)
            draft.drop()
            # who nothing changes for is not written: it comes to the same at its next turn
            if msgspec.structs.replace(draft.person(), version=person.version, last=person.last) != person:
                self._close(draft, turn)
        return (found[-1][0], len(found)) if found else None

    def _marker(self, marker: Marker, offset: int, turn: Turn) -> None:
        """From here on this version is in force in the partition; persons follow at their next turn, the others when
        all partitions have it."""
        try:
            self._source.project(marker.version)
        except LookupError as error:
            raise BadRecord(f"no project can be used under version {marker.version!r}") from error
        self._turnovers.marked(marker, offset, turn)
        update = Update(kind="marker", person_id="", at=marker.at, marker=marker)
        turn.send(topics.UPDATES, "", self._codec.encode(update), turn.partition)

    def _open(self, key: str, person: Person, turn: Turn, before: int) -> Draft:
        """The person just before an instant: what time changed until then is published, and the definitions are those
        in force, taken up at the instant of their marker."""
        force = turn.get(IN_FORCE, "")
        plan = self._plan(force.version) if force is not None else self._latest()
        filling = self._lack(force).waiting if force is not None else frozenset[str]()
        filled = None if force is None or (filling and force.filled is None) else force.filled or force.at
        if not person.slots.held and not person.member and person.hold is None:
            waiting = tuple(sorted(filling)) if filled is None else ()
            return Draft(
                key, msgspec.structs.replace(person, version=plan.version, filling=waiting), plan, self._patience
            )
        if person.version == plan.version:
            draft = Draft(key, person, plan, self._patience)
        else:
            draft = Draft(key, person, self._plan(person.version), self._patience)
            since = draft.last if force is None else max(force.at, draft.last)
            self._pass_time(draft, since, turn)
            at = draft.reach(since)
            self._tell(draft, at, draft.adopt(plan, at, filling), turn)
        if draft.filling and filled is not None:
            self._pass_time(draft, filled, turn)
            at = draft.reach(filled)
            self._tell(draft, at, draft.filled(at), turn)
        self._pass_time(draft, before, turn)
        return draft

    def _pass_time(self, draft: Draft, before: int, turn: Turn) -> None:
        while (instant := draft.next_instant()) is not None and instant < before:
            if draft.hold is not None:
                if turn.now - instant > self._away:
                    draft.wait_anew(turn.now)
                    continue
                GIVEN_UP.inc()
                _log.warning("state on its way did not come in time", person=draft.person_id, at=instant)
            self._tell(draft, instant, draft.pass_time(instant), turn)
            self._release(draft, turn)

    def _tell(self, draft: Draft, at: int, changes: list[Change], turn: Turn) -> None:
        profile = draft.publishable()
        if changes or profile is not None:
            self._publish(
                Update(kind="timer", person_id=draft.person_id, at=at, changes=changes, profile=profile), turn
            )

    def _rearranged(self, draft: Draft, before: Slots[State], now: int, reason: str) -> list[Change]:
        """What a move or its arrival changes."""
        return draft.rearrange(now, reason, "joined" if reason == "merge" else "separated", before)

    def _hand(self, handed: list[Handed[State]], origin: str, reason: str, at: int, turn: Turn) -> None:
        """Send slots to the person they went to, all to one, in parts when they are large."""
        parts = list(_parts([_handed(one) for one in handed]))
        for number, slots in enumerate(parts, 1):
            to = handed[0].to
            record = Handoff(
                person_id=to, origin=origin, reason=reason, at=at, slots=slots, part=number, parts=len(parts)
            )
            turn.send(topics.SEGMENTS_HANDOFF, to, self._codec.encode(record))

    def _publish(self, update: Update, turn: Turn) -> None:
        turn.send(topics.UPDATES, update.person_id, self._codec.encode(update))

    def _close(self, draft: Draft, turn: Turn) -> None:
        """Keep the person, and be woken when something may change by time alone: one wake under way is enough."""
        due = draft.next_instant()
        if due is not None and (draft.asked is None or due < draft.asked):
            turn.wake(draft.person_id, due)
            draft.asked = due
        turn.put(PEOPLE, draft.person_id, draft.person())

    def _lack(self, force: InForce) -> Lack:
        """What the version in force has not since all state was whole."""
        key = force.version, force.earlier
        if key not in self._lacks:
            self._lacks[key] = lack(self._plan(force.version), [self._plan(one) for one in force.earlier])
        return self._lacks[key]

    def _latest(self) -> Plan:
        project = self._source.latest()
        return NOTHING if project is None else self._plan(project.version)

    def _plan(self, version: str) -> Plan:
        if version not in self._plans:
            self._plans[version] = prepare(self._source.project(version)) if version else NOTHING
        return self._plans[version]


def _state(data: bytes | None) -> State | None:
    try:
        return None if data is None else model.opened(msgspec.msgpack.decode(data, type=State))
    except msgspec.DecodeError as error:
        raise BadRecord(f"not the state of a slot: {error}") from error


def _handed(one: Handed[State]) -> HandedSlot:
    state = None if one.state is None else msgspec.msgpack.encode(one.state)
    return HandedSlot(slot=one.slot, version=one.version, complete=one.complete, state=state, gathered=one.gathered)


def _parts(slots: list[HandedSlot]) -> Iterator[list[HandedSlot]]:
    part, size = list[HandedSlot](), 0
    for slot in slots:
        weight = len(slot.slot) + len(slot.state or b"") + 64
        if part and size + weight > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(slot)
        size += weight
    if part:
        yield part
