"""What stands between a message and a person: address, consent, suppression and caps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from processors.journeys.model import Sent
from processors.journeys.snapshot import Snapshot
from schemas import reasons
from schemas.consent import allowed, suppression
from schemas.definitions.durations import spoken
from schemas.definitions.model import Channel, Journey, Project
from schemas.localtime import local_date
from schemas.receipts import REACH_MS

#: a local day can be 25 hours long
_LONGEST_DAY_MS = 25 * 3_600_000


@dataclass(frozen=True, slots=True)
class Found:
    """The address to use and the type of its identifier, or why there is none."""

    type: str = ""
    address: str | None = None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Capped:
    """A cap that is reached, and the sends that reached it."""

    detail: str
    counted: list[Sent]


def address_for(profile: Snapshot, channel: Channel, journey: Journey) -> Found:
    """The newest address of the person in a channel that may be written to.

    Marketing needs consent by the channel's policy. Transactional needs none, but a refusal that the person made holds
    for it as well, and so does suppression.
    """
    addresses = profile.addresses_in(channel)
    if not addresses:
        return Found(reason=reasons.UNREACHABLE, detail=f"no address in {channel.name}")
    policy = channel.consent if journey.category == "marketing" else "opt_out"
    refused = suppressed = ""
    for type_, address in addresses:
        may, why = allowed(profile.consents, policy, channel.name, journey.purpose, address)
        if not may:
            refused = refused or why
        elif suppression(profile.suppressed, address, journey.category):
            suppressed = suppressed or f"{address}: {profile.suppressed[address]}"
        else:
            return Found(type_, address)
    if suppressed:
        return Found(reason=reasons.SUPPRESSED, detail=suppressed)
    return Found(reason=reasons.NO_CONSENT, detail=refused)


def capped(sends: Iterable[Sent], channel: Channel, at: int, zone: ZoneInfo) -> Capped | None:
    """The first cap of a channel that leaves no place at this instant, None when all do.

    A window is rolling and holds the sends with `at - t < per`; a calendar day is the person's own.
    """
    there = [sent for sent in sends if sent.channel == channel.name and sent.counts]
    for cap in channel.caps:
        if cap.per is None:
            today = local_date(at, zone)
            counted = [sent for sent in there if local_date(sent.at, zone) == today]
        else:
            counted = [sent for sent in there if at - sent.at < cap.per]
        if len(counted) >= cap.at_most:
            per = "calendar day" if cap.per is None else spoken(cap.per)
            return Capped(f"{len(counted)} of {cap.at_most} per {per}", counted)
    return None


def contended(project: Project) -> bool:
    """Whether one send can take the place of another."""
    return any(channel.caps for channel in project.channels.values())


def horizon(project: Project) -> int:
    """How long a send matters for caps and receipts, in milliseconds."""
    windows = [cap.per or _LONGEST_DAY_MS for channel in project.channels.values() for cap in channel.caps]
    return max([REACH_MS, *windows])
