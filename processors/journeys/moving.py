"""Slots that leave a person and arrive at another, with all that belongs to them.

The event that joins two persons, and what follows at one while the other's state is on its way, must not be missed by
instances that arrive: slots carry their recent events, and instances are shown those of the other side from the first
that names them on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

import msgspec

from processors.journeys.acting import act
from processors.journeys.happening import Happening
from processors.journeys.model import Belongings, Instance, Recent, join
from processors.journeys.walk import Walk
from processors.journeys.working import Working
from processors.runtime import slots as protocol
from processors.runtime.slots import Handed
from schemas import reasons, topics
from schemas.codec import BadRecord
from schemas.definitions.model import WaitFor
from schemas.identifiers import identifier_of
from schemas.records import Change, HandedSlot, Handoff, Move, SlotVersion

#: a handoff is split into parts of about this many bytes of state
PART_BYTES = 4 * 1024 * 1024

_NOTHING = Belongings()


def depart(person: Working, move: Move) -> None:
    """Hand over what belongs to the slots of a move. What the person was in goes with it when persons merge."""
    was_in = tuple(sorted({*person.profile.segments, *person.person.inherited})) if move.reason == "merge" else ()
    rest, handed = protocol.leave(person.slots, move.to, move.slots)
    person.place(rest)
    profile_shows(person, ())
    if not person.person.expected:
        person.change(inherited=())
    if handed and was_in:
        first = handed[0]
        state = msgspec.structs.replace(first.state or _NOTHING, was_in=was_in)
        handed[0] = replace(first, state=state)
    _hand_over(person, move.to, handed, person.id, move.reason, move.at)


def arrive(person: Working, handoff: Handoff) -> list[SlotVersion]:
    """Join what was handed over; slots that have left again are handed on. The slots that stay. Raises BadRecord."""
    stayed: list[SlotVersion] = []
    onward: list[Handed[Belongings]] = []
    inherited = set(person.person.inherited)
    for slot in handoff.slots:
        arrived, further = protocol.join(person.slots, slot, _decoded(slot), join)
        if further is not None:
            onward.append(further)
            continue
        joined = arrived.held[slot.slot].state
        if joined is not None and joined.was_in:
            inherited |= {*joined.was_in}
            arrived = protocol.with_state(arrived, slot.slot, msgspec.structs.replace(joined, was_in=()))
        person.place(arrived)
        stayed.append(SlotVersion(slot=slot.slot, version=slot.version))
    person.change(inherited=tuple(sorted(inherited - set(person.profile.segments))))
    for to, further_slots in groupby(sorted(onward, key=lambda h: (h.to, h.slot)), key=lambda h: h.to):
        _hand_over(person, to, list(further_slots), handoff.origin, handoff.reason, handoff.at)
    return stayed


def meet(person: Working, at: int) -> None:
    """Show instances that arrived the events they may have missed here, and those here the events that arrived; then
    of each journey and key one goes on."""
    if not person.person.unmet:
        return
    new = {*person.person.unmet} & set(person.slots.held)
    old = set(person.slots.held) - new
    person.change(unmet=())
    for hosts, guests in ((old, new), (new, old)):
        _show(person, _events(person, hosts), guests, at)
    _end_duplicates(person, Walk(person, at))


def _end_duplicates(person: Working, walk: Walk) -> None:
    """Of several instances of one journey and key the oldest goes on, the others end, unless they may run in
    parallel."""
    oldest: dict[tuple[str, str], Instance] = {}
    for instance in sorted(person.instances(), key=lambda i: (i.entered_at, i.id)):
        if person.entry(instance).on_repeat == "parallel":
            continue
        first = oldest.setdefault((instance.journey, instance.key), instance)
        if first is not instance:
            walk.exit(
                instance,
                f"an older one, entered {(instance.entered_at - first.entered_at) // 1000} s before, goes on",
                reasons.MERGED,
            )


def expect_profile(person: Working, arrived: Iterable[SlotVersion], now: int) -> None:
    """The profile does not show yet what these slots bring that arrived `now`."""
    since = person.person.expected_since
    new = {slot.slot: slot.version for slot in arrived}
    person.change(
        expected={**person.person.expected, **new},
        expected_since=now if since is None else since,
        unmet=tuple(sorted({*person.person.unmet, *new})),
    )


def profile_shows(person: Working, arrived: Iterable[SlotVersion]) -> None:
    """The profile shows what these slots brought."""
    shown = {slot.slot: slot.version for slot in arrived}
    held = person.slots.held
    expected = {s: v for s, v in person.person.expected.items() if s in held and v > shown.get(s, 0)}
    person.change(expected=expected, expected_since=person.person.expected_since if expected else None)


def settle(person: Working, walk: Walk) -> None:
    """The profile shows all that arrived: the person left what an absorbed one was in and the whole is not, and
    segments that instances wait for may have been entered, and whoever could not be written to may be now."""
    left = [
        Change(segment=segment, change="left", cause="merge", at=walk.at)
        for segment in person.person.inherited
        if segment not in person.profile.segments
    ]
    act(person, walk, left)
    for instance in person.instances():
        step = walk.step(instance) if instance.begun else None
        if instance.phase == "joining":
            walk.timed_out(instance)
        elif isinstance(step, WaitFor) and (inside := walk.already(step)) is not None:
            walk.passed(instance, step, inside)
    person.change(inherited=(), expected={}, expected_since=None)


def _events(person: Working, slots: set[str]) -> list[tuple[str, Recent]]:
    events = [(slot, event) for slot, own in person.belongings() if slot in slots for event in own.recent]
    return sorted(events, key=lambda item: (item[1].at, item[1].event_id))


def _show(person: Working, events: list[tuple[str, Recent]], guests: set[str], at: int) -> None:
    """Let events act on the instances of slots, from the first event that names an identifier of these slots on."""
    identifiers = {identifier_of(slot) for slot in guests}
    first = next((n for n, (_, event) in enumerate(events) if identifiers & set(event.identifiers)), len(events))
    ids = {i for slot, own in person.belongings() if slot in guests for i in own.instances}
    for _, event in events[first:] if ids else ():
        happening = Happening.remembered(event.event_id, event.identifiers, event.document)
        walk = Walk(person, at, happening)
        act(person, walk, [], lambda i, since=event.at: i.id in ids and i.entered_at <= since)  # type: ignore[misc]
        walk.flush()


def _decoded(slot: HandedSlot) -> Belongings | None:
    if slot.state is None:
        return None
    try:
        return msgspec.msgpack.decode(slot.state, type=Belongings)
    except msgspec.DecodeError as error:
        raise BadRecord(f"state of slot {slot.slot} can't be read: {error}") from error


def _hand_over(person: Working, to: str, handed: list[Handed[Belongings]], origin: str, reason: str, at: int) -> None:
    parts = list(_parts(handed))
    for number, slots in enumerate(parts, 1):
        handoff = Handoff(person_id=to, origin=origin, reason=reason, at=at, slots=slots, part=number, parts=len(parts))
        person.emit(topics.JOURNEYS_HANDOFF, handoff, key=to)


def _parts(handed: list[Handed[Belongings]]) -> Iterator[list[HandedSlot]]:
    part: list[HandedSlot] = []
    size = 0
    for one in handed:
        state = None if one.state is None else msgspec.msgpack.encode(one.state)
        if part and size + len(state or b"") > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(
            HandedSlot(slot=one.slot, version=one.version, complete=one.complete, state=state, gathered=one.gathered)
        )
        size += len(state or b"")
    if part:
        yield part
