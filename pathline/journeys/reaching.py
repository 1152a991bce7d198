"""Whom of a segment a message would reach right now, channel by channel, by the very rules of the send decision."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from processors.journeys.allowance import address_for, capped, horizon
from processors.journeys.model import Sent
from processors.journeys.snapshot import Snapshot, read
from schemas import reasons
from schemas.definitions.model import Channel, Journey, Project
from schemas.localtime import inside, zone_of
from sinks.clickhouse.engine import Warehouse

#: people are read in goes of so many
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Reach:
    """People of a segment in a channel. Of its `people` so many are `reachable` (an address is known); of these some
    can't be written to for want of consent (`no_consent`), or are `suppressed`; the others are `allowed`. Of those
    allowed some are `capped` and some have `quiet` hours now, the others can be written to at once (`now`)."""

    channel: str
    people: int
    reachable: int
    no_consent: int
    suppressed: int
    allowed: int
    capped: int
    quiet: int
    now: int


def reach(warehouse: Warehouse, project: Project, segment: str, at: int, purpose: str = "") -> list[Reach]:
    """A row for each channel that sends, the cheapest first, for marketing of this purpose at an instant (milliseconds
    UTC)."""
    channels = [channel for channel in project.channels.values() if channel.kind == "send"]
    channels.sort(key=lambda channel: (channel.cost, channel.name))
    message = Journey("", (), (), purpose=purpose)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    people, last = 0, UUID(int=0)
    while rows := warehouse.rows(_MEMBERS, {"segment": segment, "after": last, "most": _AT_ONCE}):
        people, last = people + len(rows), rows[-1]["person_id"]
        sent = _sent(warehouse, [row["person_id"] for row in rows], at - horizon(project))
        for row in rows:
            profile = read(row["profile"].encode())
            for channel in channels:
                found[channel.name].update(_states(profile, channel, message, sent[row["person_id"]], project, at))
    return [_reach(channel.name, people, found[channel.name]) for channel in channels]


def _states(
    profile: Snapshot, channel: Channel, message: Journey, sent: list[Sent], project: Project, at: int
) -> list[str]:
    """What a person counts as."""
    address = address_for(profile, channel, message)
    if address.address is None:
        unreachable = address.reason == reasons.UNREACHABLE
        return [] if unreachable else ["reachable", "suppressed" if address.reason == reasons.SUPPRESSED else "refused"]
    zone = zone_of(profile.timezone, project.timezone)
    if capped(sent, channel, message, project, at, zone) is not None:
        return ["reachable", "allowed", "capped"]
    quiet = channel.quiet is not None and inside(at, (channel.quiet.first, channel.quiet.end), zone)
    return ["reachable", "allowed", "quiet" if quiet else "now"]


def _reach(channel: str, people: int, found: Counter[str]) -> Reach:
    return Reach(
        channel=channel,
        people=people,
        reachable=found["reachable"],
        no_consent=found["refused"],
        suppressed=found["suppressed"],
        allowed=found["allowed"],
        capped=found["capped"],
        quiet=found["quiet"],
        now=found["now"],
    )


def _sent(warehouse: Warehouse, people: list[UUID], since: int) -> dict[UUID, list[Sent]]:
    """Marketing sends of these people that can count for a cap."""
    found: dict[UUID, list[Sent]] = defaultdict(list)
    for row in warehouse.rows(_SENT, {"people": people, "since": since}):
        found[row["person_id"]].append(_of(row))
    return found


def _of(row: dict[str, Any]) -> Sent:
    return Sent(
        send_id=row["send_id"],
        instance_id=row["instance_id"],
        step=row["step"],
        channel=row["channel"],
        address=row["address"],
        at=round(row["at"].timestamp() * 1000),
        priority=0,
        counts=True,
        journey=row["journey"],
        purpose=row["purpose"],
    )


_MEMBERS = """
SELECT person_id, profile FROM pathline.people
WHERE person_id > {after:UUID}
    AND person_id IN (SELECT person_id FROM pathline.members WHERE segment = {segment:String})
ORDER BY person_id LIMIT {most:UInt32}
"""
_SENT = """
SELECT person_id, send_id, instance_id, toString(step) AS step, toString(channel) AS channel, address, at,
    toString(journey) AS journey, toString(purpose) AS purpose
FROM pathline.sends_placed
WHERE person_id IN {people:Array(UUID)} AND category = 'marketing' AND at > fromUnixTimestamp64Milli({since:Int64})
"""
