"""Audiences of advertising networks: a person joins those of the segments it is in, and leaves with the segment.

What was told is remembered, so that each change is told once, whatever causes it: a segment, a consent, an address, a
merge, other definitions. Networks know people by hashes of their addresses, and so does what is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import orjson

from processors.journeys import ids
from processors.journeys.working import Working
from schemas import consent, reasons, topics
from schemas.audiences import CATEGORY, JOIN, LEAVE
from schemas.definitions.model import Channel
from schemas.identifiers import identifier_of
from schemas.records import Change, SendCommand


def follow(person: Working, at: int, changes: Iterable[Change] = ()) -> None:
    """Join and leave what the person's profile and the definitions in force say now."""
    plan, told = person.plan, person.person.joined
    if not told and (plan is None or not plan.syncs):
        return
    wanted: dict[str, tuple[str, ...]] = {}
    here = person.leading_slot() is not None and not person.excluded
    for segment in person.profile.segments if plan is not None and here else ():
        for channel in plan.syncs.get(segment, ()) if plan is not None else ():
            members = _members(person, channel)
            if members:
                wanted[f"{channel.name}/{segment}"] = members
            elif any((change.segment, change.change) == (segment, "entered") for change in changes):
                known = person.profile.addresses_in(channel)
                why = reasons.NO_CONSENT if known else reasons.UNREACHABLE
                person.decide(at, why, f"not in audience {segment}", journey="", subject=segment, channel=channel.name)
    _become(person, wanted, at)


def leave_all(person: Working, at: int) -> None:
    """The person is forgotten."""
    _become(person, {}, at)


def _become(person: Working, wanted: dict[str, tuple[str, ...]], at: int) -> None:
    told = person.person.joined
    if told == wanted:
        return
    for name in sorted({**told, **wanted}):
        before, now = told.get(name, ()), wanted.get(name, ())
        # a network takes in what is new before the rest goes, so that the person is never out of it meanwhile
        _tell(person, name, JOIN, [one for one in now if one not in before], at)
        _tell(person, name, LEAVE, [one for one in before if one not in now], at)
    person.change(joined=wanted)


def _tell(person: Working, name: str, action: str, members: list[str], at: int) -> None:
    if not members:
        return
    channel, _, segment = name.partition("/")
    slot = person.leading_slot()
    # the number tells one that leaves and joins again at one instant from one that does so once
    told = person.person.audience_changes + 1
    person.change(audience_changes=told)
    send_id = ids.send_id(person.id, f"{segment}/{action}/{at}", told, channel)
    command = SendCommand(
        send_id=send_id,
        person_id=person.id,
        journey="",
        version=person.plan.project.version if person.plan is not None else "",
        instance_id="",
        step=segment,
        channel=channel,
        category=CATEGORY,
        template=action,
        to="",
        identifier=identifier_of(slot) if slot is not None else "",
        at=at,
        content=orjson.dumps([dict(zip(("type", "hash"), member.split(":"), strict=True)) for member in members]),
    )
    person.emit(topics.outbound(channel), command)
    reason = reasons.JOINED if action == JOIN else reasons.LEFT
    person.decide(
        at, reason, f"audience {segment}", journey="", subject=f"{name}\0{told}", channel=channel, send_id=send_id
    )


def _members(person: Working, channel: Channel) -> tuple[str, ...]:
    """The person's addresses that a network may know, each as `type:SHA-256`."""
    profile = person.profile
    return tuple(
        sorted(
            f"{type_}:{sha256(address.encode()).hexdigest()}"
            for type_, address in profile.addresses_in(channel)
            if consent.allowed(profile.consents, channel.consent, channel.name, "", address)[0]
            and not consent.suppression(profile.suppressed, address, "marketing")
        )
    )
