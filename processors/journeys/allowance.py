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
from schemas.definitions.model import Cap, Channel, Journey, Project
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


def capped(
    sends: Iterable[Sent], channel: Channel, journey: Journey, project: Project, at: int, zone: ZoneInfo
) -> Capped | None:
    """The first cap of the channel or the project that leaves no place for a send at this instant, None when all do.

    A window is rolling and holds the sends with `at - t < per`; a calendar day is the person's own.
    """
    counting = [sent for sent in sends if sent.counts]
    for cap in channel.caps:
        reached = _reached(cap, [sent for sent in counting if sent.channel == channel.name], at, zone)
        if reached is not None:
            return reached
    for cap in project.caps:
        if _concerns(cap, channel.name, journey.purpose, journey.name):
            alike = [sent for sent in counting if _concerns(cap, sent.channel, sent.purpose, sent.journey)]
            reached = _reached(cap, alike, at, zone)
            if reached is not None:
                return Capped(f"{reached.detail} {_scope(cap)}", reached.counted)
    return None


def _reached(cap: Cap, sends: list[Sent], at: int, zone: ZoneInfo) -> Capped | None:
    if cap.per is None:
        today = local_date(at, zone)
        counted = [sent for sent in sends if local_date(sent.at, zone) == today]
    else:
        counted = [sent for sent in sends if at - sent.at < cap.per]
    if len(counted) < cap.at_most:
        return None
    per = "calendar day" if cap.per is None else spoken(cap.per)
    return Capped(f"{len(counted)} of {cap.at_most} per {per}", counted)


def _concerns(cap: Cap, channel: str, purpose: str, journey: str) -> bool:
    """Whether a cap of the project is about such a send."""
    about = ((cap.channels, channel), (cap.purposes, purpose), (cap.journeys, journey))
    return all(name in names for names, name in about if names)


def _scope(cap: Cap) -> str:
    """What a cap of the project counts, in words."""
    told = [
        f"over {', '.join(sorted(cap.channels))}" if cap.channels else "",
        f"for {', '.join(sorted(cap.purposes))}" if cap.purposes else "",
        f"of {', '.join(sorted(cap.journeys))}" if cap.journeys else "",
    ]
    return " ".join(part for part in told if part) or "in total"


def contended(project: Project) -> bool:
    """Whether one send can take the place of another."""
    return bool(project.caps) or any(channel.caps for channel in project.channels.values())


def horizon(project: Project) -> int:
    """How long a send matters for caps and receipts, in milliseconds."""
    caps = [*project.caps, *(cap for channel in project.channels.values() for cap in channel.caps)]
    return max([REACH_MS, *(cap.per or _LONGEST_DAY_MS for cap in caps)])


def said_for(project: Project) -> int | None:
    """How long a send matters for intents, in milliseconds; None: for ever."""
    limits = [journey.intent_for for journey in project.journeys.values() if journey.intent]
    return None if None in limits else max((limit for limit in limits if limit is not None), default=0)
