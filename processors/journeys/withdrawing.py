"""Messages in inboxes: what a journey put there is taken back when it has become pointless before anybody saw it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from processors.journeys import receipts
from processors.journeys.happening import Happening
from processors.journeys.model import Instance, Sent
from processors.journeys.working import Working
from schemas import reasons
from schemas.definitions.model import INBOX_MS
from schemas.receipts import is_receipt, looked_at


def withdraw(person: Working, instance: Instance, at: int, why: str) -> None:
    """Take back what an instance sent before this instant and the person has not seen."""
    channels = person.project(instance).channels

    def pointless(sent: Sent) -> bool:
        stays = channels[sent.channel].stays if sent.channel in channels else INBOX_MS
        return sent.instance_id == instance.id and 0 < at - sent.at < stays

    for sent in _looked_at(person, pointless):
        person.decide(
            at,
            reasons.WITHDRAWN,
            why,
            journey=instance.journey,
            instance=instance,
            step=sent.step,
            channel=sent.channel,
            send_id=sent.send_id,
        )


def see(person: Working, happening: Happening, at: int) -> None:
    """Take note of an event that shows that the person has seen a message in an inbox."""
    if not is_receipt(happening.name) or not looked_at(happening.document):
        return
    seen = receipts.send_of(happening.document, person.sends(), at)
    if seen is not None:
        _looked_at(person, lambda sent: sent.send_id == seen.send_id)


def _looked_at(person: Working, which: Callable[[Sent], bool]) -> list[Sent]:
    """The unseen messages of these, in order of time; they count as seen from now on."""
    found: list[Sent] = []
    for slot, own in list(person.belongings()):
        now = {id_: replace(s, unseen=False) for id_, s in own.sent.items() if s.unseen and which(s)}
        if now:
            person.note(slot, sent={**own.sent, **now})
            found += now.values()
    return sorted(found, key=lambda sent: (sent.at, sent.send_id))
