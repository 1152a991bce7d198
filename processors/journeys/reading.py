"""Whether a person is likely to read a message in a channel, by what became of the messages sent there.

Likely is who opened, clicked or answered there and has not left the newest messages unread since. Counted are the times
of messages and of the last answer, so slots of a person and states of a slot join in any order.
"""

from __future__ import annotations

from functools import reduce

from processors.journeys import receipts
from processors.journeys.happening import Happening
from processors.journeys.model import UNREAD, Heard, heard_of_both
from processors.journeys.working import Working
from schemas.receipts import OPENED, depth

#: here nobody learns whether a message was read, so that nothing came back says nothing
SILENT = frozenset({"sms", "call", "telegram"})


def sent(person: Working, slot: str, channel: str, at: int) -> None:
    """A message goes out by a channel."""
    _note(person, slot, channel, Heard(sent=(at,)))


def answered(person: Working, happening: Happening, slot: str, at: int) -> None:
    """Take note of an event that shows that somebody read a message."""
    if depth(happening.document) < OPENED:
        return
    for channel in receipts.channels_of(happening.document, person.sends()):
        _note(person, slot, channel, Heard(answered=at))


def rank(person: Working, channel: str) -> int:
    """0 for a channel in which a message is likely to be read, 1 if that is not known, 2 if it is not likely."""
    told = [own.heard[channel] for _, own in person.belongings() if channel in own.heard]
    heard = reduce(heard_of_both, told, Heard())
    unread = sum(1 for at in heard.sent if at > heard.answered)
    if unread >= UNREAD and channel not in SILENT:
        return 2
    return 0 if heard.answered or channel in person.profile.affinity else 1


def _note(person: Working, slot: str, channel: str, news: Heard) -> None:
    own = person.own(slot).heard
    person.note(slot, heard={**own, channel: heard_of_both(own.get(channel, Heard()), news)})
