"""The journeys stage: updates of a person move instances through their journeys and become sends and decisions.

Before an update at instant A is applied, the person's timers due before A fire, each at its own due time; those due at
A come after it. While state of a slot is on its way, updates of the person wait for it, in order and for a bounded
time, so that a merge under way hides no exit.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from processors.journeys import audiences, moving, snapshot
from processors.journeys.acting import act, follow_profile
from processors.journeys.agenda import KEY as AGENDA_KEY
from processors.journeys.agenda import Agendas
from processors.journeys.coming import Coming, follow_dates
from processors.journeys.entering import enter
from processors.journeys.erasure import alive, erase
from processors.journeys.happening import Happening
from processors.journeys.late import Lateness
from processors.journeys.migrating import concerned, migrate
from processors.journeys.model import (
    AGENDA,
    IN_FORCE,
    PERSONS,
    PROFILES,
    Agenda,
    InForce,
    Person,
    Profile,
    Recent,
    Standing,
)
from processors.journeys.plan import Plan, Plans
from processors.journeys.pools import Codes, stock, survey
from processors.journeys.promos import redeem
from processors.journeys.reading import answered
from processors.journeys.walk import Walk
from processors.journeys.withdrawing import see
from processors.journeys.working import Working
from processors.runtime import slots as protocol
from processors.runtime.contract import BadRecord, Record, Turn
from processors.runtime.definitions import DefinitionsSource
from schemas import topics
from schemas.codec import Codec
from schemas.definitions.expressions import document
from schemas.journey_states import PAUSED, RUNNING, STATES
from schemas.records import Change, Event, Handoff, JourneyState, Marker, PromoCode, SlotVersion, Update

#: an occurrence of a schedule begins so long after its instant (wall time): what happened up to it has arrived then
SETTLE_MS = 1_000
#: wakes of higher priorities come first at one instant
_RANK_OF_NO_PRIORITY = 32_768
#: since when is waited for what did not come in time
_IN_VAIN = 0


class JourneysStage:
    """Journeys of all persons; see the module."""

    app = "journeys"
    inputs: tuple[str, ...] = (topics.UPDATES, topics.JOURNEYS_HANDOFF, topics.PROMOS)

    def __init__(
        self,
        rules_source: DefinitionsSource,
        codec: Codec,
        speed: float = 1.0,
        partitions: int = 1,
        secret: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """`speed` is line milliseconds a wall millisecond: what is late is so by the wall clock. `partitions` share the
        rate of a schedule. `secret` is the line's own, for codes that nobody else can make."""
        self._secret = secret
        self._plans = Plans(rules_source)
        self._codec = codec
        self._speed = speed
        self._settle_ms = round(SETTLE_MS * speed)
        self._patience, self._away = round(protocol.PATIENCE_MS * speed), round(protocol.AWAY_MS * speed)
        self._lanes = partitions

    def on_record(self, record: Record, turn: Turn) -> None:
        if record.topic == topics.JOURNEYS_HANDOFF:
            self._handoff(self._codec.decode(Handoff, record.value), turn)
            return
        if record.topic == topics.PROMOS:
            if record.value is not None:
                stock(turn, self._codec.decode(PromoCode, record.value))
            return
        update = self._codec.decode(Update, record.value)
        if update.marker is not None:
            self._mark(update.marker, turn)
            return
        if update.journey is not None:
            self._steer(update.journey, turn)
            return
        if update.kind == "event" and update.move is not None:
            raise BadRecord("an update can't be an event and a move: its slot would have left before it counts")
        assert record.value is not None  # it was decoded
        person = self._open(update.person_id, turn)
        if update.erasure is not None:
            audiences.leave_all(person, max(update.at, person.person.last))
            erase(person, update.erasure, self._codec)
            self._release(person, turn)
            self._close(person, turn)
            return
        if person.person.held:
            self._hold(person, update, record.value)
            self._complete_early(person, update)
            self._release(person, turn)
        elif self._must_wait(person, update, turn):
            self._hold(person, update, record.value)
        else:
            self._apply(person, update, turn)
        self._close(person, turn)

    def _mark(self, marker: Marker, turn: Turn) -> None:
        """From here on this version is in force in the partition."""
        try:
            plan = self._plans.of(marker.version)
        except LookupError as error:
            raise BadRecord(f"no project can be used under version {marker.version!r}") from error
        known = turn.get(AGENDA, "")
        before = None if known is None else self._plans.of(known.version)
        agenda = Agendas(turn, self._settle_ms).adopt(plan, marker.at, before)
        standings = _in_force(turn).standings
        turn.put(IN_FORCE, "", InForce(marker.version, marker.at, agenda is not None, standings))
        survey(turn, plan.project.promos.values())

    def _steer(self, told: JourneyState, turn: Turn) -> None:
        """From here on a journey is paused or drained, or runs again."""
        if told.state not in STATES:
            raise BadRecord(f"{told.state!r} is no state of a journey: {', '.join(sorted(STATES))}")
        in_force = _in_force(turn)
        known = in_force.standings.get(told.journey, Standing(RUNNING))
        resumed = known.state == PAUSED and told.state != PAUSED
        standing = Standing(told.state, turn.now if resumed else known.since)
        in_force = replace(in_force, standings={**in_force.standings, told.journey: standing})
        plan = self._plan(in_force)
        if resumed and plan is not None:
            Agendas(turn, self._settle_ms).look_through(plan, in_force.at)
            in_force = replace(in_force, agenda=True)
        turn.put(IN_FORCE, "", in_force)

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        if key == AGENDA_KEY:
            self._go_on(turn)
            return
        person = self._open(key, turn)
        self._release(person, turn)
        if person.person.expected and self._missed(person.person.expected_since, turn):
            person.change(expected_since=turn.now)
            turn.wake(person.id, turn.now + self._patience)
        if person.person.expected and self._over(person.person.expected_since, turn):
            at = max(due, person.person.last)
            moving.meet(person, at)
            self._settle(person, at)
        if not person.person.held and not person.person.expected:
            self._fire(person, due + 1, turn)
        self._close(person, turn)

    def _go_on(self, turn: Turn) -> None:
        """Take the next people of the partition along to what time brings."""
        plan = self._plan(_in_force(turn))

        def follow(key: str) -> None:
            self._close(self._open(key, turn), turn)

        def look_at(key: str, entry: str, at: int) -> None:
            person = self._open(key, turn)
            if person.person.held or person.person.expected:
                person.change(owed={**person.person.owed, entry: at})
            else:
                self._fire(person, at + 1, turn)
            self._close(person, turn)

        if plan is not None:
            Agendas(turn, self._settle_ms).go_on(plan, follow, look_at)

    def on_assigned(self, turn: Turn) -> None:
        """Nothing to find again: instances and timers are state."""
        plan = self._plan(_in_force(turn))
        survey(turn, () if plan is None else plan.project.promos.values())

    def on_result(self, key: str, result: object, turn: Turn) -> None:
        """Never asked: journeys call nobody outside."""

    # --- updates that wait for state on its way -----------------------------------------------------------------

    def _hold(self, person: Working, update: Update, raw: bytes) -> None:
        """Keep an update for later. What can't be used must be refused now, when it is the record at hand."""
        if update.kind == "awaiting" and self._told(person, update):
            return  # there is one for every event that waits in segments
        if update.event is not None:
            document(self._codec.decode(Event, update.event))
        if update.profile is not None:
            _snapshot(update.profile)
        person.change(held=(*person.person.held, raw))

    def _told(self, person: Working, update: Update) -> bool:
        """Whether it is known here, where updates wait, that the slot of this one has come to the person."""
        if not person.person.held:
            return False
        known = person.slots.held.get(update.slot)
        last = self._codec.decode(Update, person.person.held[-1])
        again = (last.kind, last.slot, last.version) == (update.kind, update.slot, update.version)
        return again or (known is not None and known.version >= update.version)

    def _must_wait(self, person: Working, update: Update, turn: Turn) -> bool:
        """Whether an update has to wait for state on its way; notes that its slots have come to the person."""
        for slot in _slots_of(update):
            # no redirect is asked for: segments forwards what has left, and moves come here in the order it saw them
            person.place(protocol.arrive(person.slots, slot.slot, slot.version))
        if person.slots.complete:
            return False
        if person.person.held_since is None or self._missed(person.person.held_since, turn):
            person.change(held_since=turn.now)
            turn.wake(person.id, turn.now + self._patience)
        if not self._over(person.person.held_since, turn):
            return True
        person.change(held_since=_IN_VAIN)
        return False

    def _over(self, since: int | None, turn: Turn) -> bool:
        """Whether state on its way since then is waited for no more."""
        return since is not None and turn.now >= since + self._patience

    def _missed(self, since: int | None, turn: Turn) -> bool:
        """Whether the worker was away when that was to end: what is waited for may be among what it has not read."""
        return since not in (None, _IN_VAIN) and turn.now > since + self._patience + self._away

    def _complete_early(self, person: Working, update: Update) -> None:
        """A move that says of slots which wait here that their state never left must not wait itself."""
        if update.move is None:
            return
        held = person.slots.held
        known = [m for m in update.move.slots if m.slot in held and held[m.slot].version >= m.version]
        person.place(protocol.leave(person.slots, update.move.to, known)[0])

    def _release(self, person: Working, turn: Turn) -> None:
        """Apply held updates that need not wait any more."""
        released = False
        while person.person.held:
            first, rest = person.person.held[0], person.person.held[1:]
            update = self._codec.decode(Update, first)
            if self._must_wait(person, update, turn):
                break
            person.change(held=rest)
            self._apply(person, update, turn)
            released = True
        if released:
            _wake_all(person)

    # --- one update ---------------------------------------------------------------------------------------------

    def _apply(self, person: Working, update: Update, turn: Turn) -> None:
        at = max(update.at, person.person.last)
        early = update.kind == "handoff"
        if early:
            # timers of what has arrived waited for the profile it belongs to
            self._learn(person, update)
            moving.profile_shows(person, update.arrived)
        if not person.person.expected:
            self._fire(person, at, turn)
        moving.meet(person, at)
        if update.move is not None:
            moving.depart(person, update.move)
        if not early:
            self._learn(person, update)
        self._happen(person, update, at)

    def _learn(self, person: Working, update: Update) -> None:
        """Take the profile of an update."""
        if update.profile is not None:
            person.profile = _snapshot(update.profile)
            person.profile_json = update.profile

    def _happen(self, person: Working, update: Update, at: int) -> None:
        """The event and the changes of an update at their instant."""
        happening = None
        if update.event is not None:
            happening = Happening.of(self._codec.decode(Event, update.event), update.repeated)
            see(person, happening, at)
        walk = Walk(person, at, happening)
        person.joining = happening is not None and not person.holds(happening.identifiers)
        # what an absorbed person leaves ends nothing
        absorbed = update.move is not None and update.move.reason == "merge"
        changes = [] if absorbed else update.changes
        act(person, walk, changes)
        if update.profile is not None:
            follow_profile(person, walk)
            follow_dates(person, at)
        if person.plan is not None:
            slot = update.slot if update.kind == "event" else None
            enter(person, person.plan, walk, slot, _new(person, changes), happening)
            if happening is not None and happening.name in person.plan.redeems and not happening.historical:
                redeem(person, happening, person.plan.redeems[happening.name], at)
            if happening is not None and slot is not None and person.plan.reads:
                answered(person, happening, slot, at)
            if happening is not None and slot is not None and _may_be_missed(happening, person.plan):
                identifiers = happening.identifiers
                recent = Recent(event_id=happening.event_id, at=at, identifiers=identifiers, document=happening.json)
                person.remember(recent, slot)
        if update.profile is not None or update.move is not None:
            audiences.follow(person, at, update.changes)
        walk.flush()
        if update.arrived and not person.person.expected:
            self._settle(person, at)

    def _settle(self, person: Working, at: int) -> None:
        walk = Walk(person, at)
        moving.settle(person, walk)
        walk.flush()
        _wake_all(person)

    def _fire(self, person: Working, before: int, turn: Turn) -> None:
        """Fire the person's timers due before an instant, each at its due time, the highest priority first; those that
        are late get their turn later."""
        lateness = Lateness(turn, self._speed)
        lateness.postpone(person, before)
        coming = Coming(turn, lateness, self._settle_ms, self._lanes)
        while True:
            timers = [i for i in person.instances() if i.due is not None and i.due < before and not person.paused(i)]
            arrivals = coming.due(person, before)
            due = min((*(t.due for t in timers if t.due is not None), *(a.due for a in arrivals)), default=None)
            if due is None:
                return
            timers = [timer for timer in timers if timer.due == due]
            at = max(lateness.at(person, due, timers), person.person.last)
            person.change(last=at)
            walk = Walk(person, at, of_timers=True)
            for timer in timers:
                walk.timed_out(timer)
            if person.plan is not None:
                coming.let_in(person, person.plan, walk, [arrival for arrival in arrivals if arrival.due == due])
            walk.flush()

    # --- state that arrives -------------------------------------------------------------------------------------

    def _handoff(self, handoff: Handoff, turn: Turn) -> None:
        person = self._open(handoff.person_id, turn)
        if person.person.erased:
            handoff = alive(person, handoff)
            if not handoff.slots:
                return
        at = max(handoff.at, person.person.last)
        if not person.person.held and not person.person.expected:
            self._fire(person, at, turn)
        stayed = moving.arrive(person, handoff)
        if stayed:
            # their last owner may not have come to a version that holds here
            self._take_over(person, self._agenda(turn, person.plan), turn)
            moving.expect_profile(person, stayed, turn.now)
            turn.wake(person.id, turn.now + self._patience)
        if person.slots.complete:
            person.change(held_since=None)
        self._release(person, turn)
        _wake_all(person)
        self._close(person, turn)

    # --- the turn -----------------------------------------------------------------------------------------------

    def _open(self, id_: str, turn: Turn) -> Working:
        known, codes = turn.get(PROFILES, id_), Codes(turn, self._secret)
        profile = snapshot.read(known.json) if known is not None else snapshot.EMPTY
        in_force = _in_force(turn)
        stored, plan = turn.get(PERSONS, id_) or Person(), self._plan(in_force)
        person = Working(id_, stored, profile, self._plans, plan, codes, in_force)
        if in_force.standings:
            Lateness(turn, self._speed).release(person)
        agenda = self._agenda(turn, person.plan)
        if agenda is not None and person.person.version != agenda.version:
            self._follow(person, agenda, turn)
        return person

    def _follow(self, person: Working, agenda: Agenda, turn: Turn) -> None:
        """The person goes over to the definitions in force, at the instant since when they are."""
        self._take_over(person, agenda, turn)
        follow_dates(person, max(agenda.since, person.person.last), anew=True)
        audiences.follow(person, max(agenda.since, person.person.last))
        person.change(version=agenda.version)

    def _take_over(self, person: Working, agenda: Agenda | None, turn: Turn) -> None:
        """Instances go over to newer versions that have a place for them, after what was due before these held."""
        for version, since in () if agenda is None else agenda.maps:
            plan = self._plans.of(version)
            if not concerned(person, plan, since):
                continue
            if not person.person.held and not person.person.expected:
                self._fire(person, since, turn)
            person.change(last=max(since, person.person.last))
            migrate(person, plan, since, Walk(person, person.person.last))

    def _plan(self, in_force: InForce) -> Plan | None:
        return self._plans.of(in_force.version) if in_force.version else self._plans.latest()

    def _agenda(self, turn: Turn, plan: Plan | None) -> Agenda | None:
        """What time brings here, None if nothing does."""
        in_force = _in_force(turn)
        if plan is None or (in_force.version and not in_force.agenda):
            return None
        if not in_force.version and plan.timed:
            # no marker has said since when: since now
            known = turn.get(AGENDA, "")
            if known is None or known.version != plan.project.version:
                before = None if known is None else self._plans.of(known.version)
                return Agendas(turn, self._settle_ms).adopt(plan, turn.now, before)
        return turn.get(AGENDA, "")

    def _close(self, person: Working, turn: Turn) -> None:
        """Let what the turn did take effect."""
        if person.forgotten:
            turn.put(PERSONS, person.id, person.person)
            turn.put(PROFILES, person.id, None)
        elif person.changed:
            turn.put(PERSONS, person.id, person.person)
        if person.profile_json is not None:
            turn.put(PROFILES, person.id, Profile(person.profile_json))
        for topic, key, record in person.outputs:
            turn.send(topic, key, None if record is None else self._codec.encode(record))
        for due, priority in person.wakes:
            turn.wake(person.id, due, rank=_RANK_OF_NO_PRIORITY - priority)


def _in_force(turn: Turn) -> InForce:
    return turn.get(IN_FORCE, "") or InForce("")


def _snapshot(json: bytes) -> snapshot.Snapshot:
    """The profile in JSON. Raises BadRecord."""
    try:
        return snapshot.read(json)
    except msgspec.DecodeError as error:
        raise BadRecord(f"the profile can't be read: {error}") from error


def _slots_of(update: Update) -> list[SlotVersion]:
    """Slots that are with the person by now, as this update says."""
    if update.kind in ("event", "awaiting"):
        return [SlotVersion(slot=update.slot, version=update.version)]
    return update.arrived


def _wake_all(person: Working) -> None:
    for instance in person.instances():
        person.wake(instance)


def _new(person: Working, changes: list[Change]) -> list[Change]:
    """Without segments entered by a merge that an absorbed person was in: the merged person was in them before."""
    inherited = person.person.inherited
    return [c for c in changes if not (c.cause == "merge" and c.change == "entered" and c.segment in inherited)]


def _may_be_missed(happening: Happening, plan: Plan) -> bool:
    return plan.awaits(happening.name) and not happening.historical
