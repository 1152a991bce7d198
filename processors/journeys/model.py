"""State of the journeys processor: per person the instances that run, what was sent and the last profile.

Times are milliseconds since 1970 UTC. An instance, a send and a draw belong to the slot whose event caused them and
move with it; `join` is how two states of one slot become one.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from processors.runtime.contract import Table
from processors.runtime.slots import Slots

#: a send that nobody can get waits this long if its event names identifiers that may be joined to the person
JOINING_MS = 2_000
#: events a slot remembers for instances that arrive by a merge: this many, and for this long
RECENT_EVENTS = 8
#: so many messages in a row that were not read make the next one unlikely to be
UNREAD = 3
RECENT_MS = 86_400_000
#: instances that a slot remembers to have started, so that the same event does not start them again
BEGUN = 8


#: phases of an instance that has not begun its step: until its turn comes, or while its journey is paused
QUEUED, PAUSED = "queued", "paused"


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one person through one journey, on the definition it entered with.

    `position` leads to the current step: its index, then for each nested list the arm and the index in it. It began at
    `since`, time ends it at `due`. `phase` is what a send waits for: "" nothing, "turn" what else happens at its
    instant, "joining" what the other identifiers of its event bring, "moment" its time of day, "quiet" the end of quiet
    hours, "receipt" a receipt of the cascade; or that a step has not begun. `tried` are the channels a send is done
    with. `entry`, `caught` and `event` are JSON documents of events, `event` is the one that led to the step at hand,
    b"" if none did. `acted` is the last event that acted on the instance, which can't act on it again. A timer that
    fired too late is `due` when it is released, and was to fire at `missed`. `codes` are promo codes as JSON, by the
    names they have in templates. `entrance` is the way by which it came in, by its place. `hops` journeys in a row, the
    first at `chained_at`, have led to it; or a date or occurrence, the `occasion`. `followed` is the instant of the
    newest publication that it entered under or that had a say in whether it stays on its version. `clock` is the
    instant at which it left its last wait for a time of day, that time in minutes, and the days of that wait.
    """

    id: str
    journey: str
    version: str
    key: str
    entered_at: int
    entry: bytes
    acted: str
    position: tuple[int, ...] = (0,)
    visit: int = 1
    since: int = 0
    due: int | None = None
    phase: str = ""
    tried: tuple[str, ...] = ()
    caught: dict[str, bytes] = {}
    goal_at: int | None = None
    event: bytes = b""
    missed: int | None = None
    codes: dict[str, bytes] = {}
    entrance: int = 0
    hops: int = 0
    chained_at: int = 0
    occasion: str = ""
    followed: int = 0
    clock: tuple[int, ...] = ()

    @property
    def begun(self) -> bool:
        """Whether the step at hand has begun."""
        return self.phase not in (QUEUED, PAUSED)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A send, for caps, intents and receipts. `counts`: it takes a place under caps; `unseen`: it lies in an inbox,
    where the person has not looked at it."""

    send_id: str
    instance_id: str
    step: str
    channel: str
    address: str
    at: int
    priority: int
    counts: bool
    intent: str = ""
    visit: int = 1
    journey: str = ""
    purpose: str = ""
    unseen: bool = False


class Draw(msgspec.Struct, frozen=True):
    """A person's number in a lottery (split or holdout), drawn once: parts per million. `given`: it was not left to
    chance, as the winner of a split was known."""

    at: int
    value: int
    given: bool = False


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """An event some journey could wait for, by the instant it was applied at; `document` is JSON."""

    event_id: str
    at: int
    identifiers: tuple[str, ...]
    document: bytes


class Heard(msgspec.Struct, frozen=True):
    """What became of messages in a channel: when the newest ones went out, oldest first, and the last answer (0:
    none)."""

    sent: tuple[int, ...] = ()
    answered: int = 0


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    """The next time a date entry lets its person in: the trait's value (JSON), known `since`, on the clock of `zone`;
    `due` and the occasion's `name` are empty when nothing comes."""

    value: bytes
    zone: str
    since: int
    due: int | None = None
    name: str = ""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A promo code the person has, and where it got it."""

    promo: str
    code: str
    at: int
    expires_at: int | None
    journey: str
    instance_id: str
    step: str


class Belongings(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to one slot. `ended` are instances that run no more and whose goal still counts. `entries` is the
    newest entry per journey, `begun` are the instances started last, and when. `heard` is by channel, `codes` by promo
    and code. `occasions` are the newest date or occurrence of a schedule that has let its person in, by entry. `was_in`
    is set on the way from one person to another only: the segments its person was in when it left."""

    instances: dict[str, Instance] = {}
    ended: dict[str, Instance] = {}
    sent: dict[str, Sent] = {}
    entries: dict[str, int] = {}
    draws: dict[str, Draw] = {}
    recent: tuple[Recent, ...] = ()
    was_in: tuple[str, ...] = ()
    begun: dict[str, int] = {}
    heard: dict[str, Heard] = {}
    occasions: dict[str, str] = {}
    codes: dict[str, Issued] = {}


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A person as journeys know one.

    `last` is the last instant a timer was fired at. `held` are update records that wait, in order, for slots whose
    state is on its way, since `held_since` (0 when it did not come in time). `expected` are slots (with their versions)
    that have arrived here and not in the profile yet, since `expected_since`; `unmet` are those of them whose instances
    have not been shown yet what they missed here. `inherited` are the segments that absorbed persons were in and the
    profile does not show. `erased` are the marks of slots that were erased here: what still comes of them is dropped.
    `version` of the definitions is the one the person has followed; `dates` are its dates by entry, `considered` the
    occurrences of schedules it was looked at for while others still are, `owed` those it will be when its state is
    whole. `joined` are the hashes by which it is in audiences, by `channel/segment`, told in so many
    `audience_changes`.
    """

    slots: Slots[Belongings] = Slots()
    last: int = 0
    held: tuple[bytes, ...] = ()
    held_since: int | None = None
    expected: dict[str, int] = {}
    expected_since: int | None = None
    unmet: tuple[str, ...] = ()
    inherited: tuple[str, ...] = ()
    erased: tuple[str, ...] = ()
    version: str = ""
    dates: dict[str, Dated] = {}
    considered: dict[str, int] = {}
    owed: dict[str, int] = {}
    joined: dict[str, tuple[str, ...]] = {}
    audience_changes: int = 0


class Profile(msgspec.Struct, frozen=True):
    """The newest profile JSON of a person, as segments sent it."""

    json: bytes


class Standing(msgspec.Struct, frozen=True):
    """The state of a journey (`schemas.journey_states`); what time brought before `since` was held back if it has run
    since then."""

    state: str
    since: int = 0


class InForce(msgspec.Struct, frozen=True):
    """The version of the definitions in force in a partition, from its last marker, at that instant ("": none came);
    `agenda`: there is one for it. `standings` are journeys whose state was told, by name."""

    version: str
    at: int = 0
    agenda: bool = False
    standings: dict[str, Standing] = {}


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """The next occurrence of a schedule, or, while `open`, the one that people are let in by: those with keys up to
    `after` were looked at. `places` were given so far. The one behind it is at `following`."""

    at: int
    following: int | None = None
    open: bool = False
    after: str = ""
    places: int = 0


class Agenda(msgspec.Struct, frozen=True, kw_only=True):
    """What time brings in a partition under the definitions in force since `since`: schedules by entry. While people
    follow the version, those with keys up to `swept` have; `maps` are the versions (and since when they hold) that take
    people over and that not all have followed, and the last one for those who arrive late, oldest first."""

    version: str
    since: int
    swept: str | None = None
    schedules: dict[str, Occurrence] = {}
    maps: tuple[tuple[str, int], ...] = ()


class Release(msgspec.Struct, frozen=True):
    """When the next late timer of a partition may fire, in microseconds since 1970 UTC."""

    next: int


PERSONS = Table("person", Person)
PROFILES = Table("profile", Profile)
IN_FORCE = Table("version", InForce)
AGENDA = Table("agenda", Agenda)
RELEASES = Table("release", Release)


def join(a: Belongings, b: Belongings) -> Belongings:
    """Two states of one slot as one; commutative and associative."""
    recent = {event.event_id: event for event in (*a.recent, *b.recent)}
    return Belongings(
        instances=_joined(a.instances, b.instances),
        ended=_joined(a.ended, b.ended),
        sent={id_: seen_by_either(a.sent.get(id_), b.sent.get(id_)) for id_ in {**a.sent, **b.sent}},
        entries={name: max(a.entries.get(name, 0), b.entries.get(name, 0)) for name in {**a.entries, **b.entries}},
        draws={name: _first(a.draws.get(name), b.draws.get(name)) for name in {**a.draws, **b.draws}},
        recent=remembered(recent.values()),
        was_in=tuple(sorted({*a.was_in, *b.was_in})),
        begun=started_last({**a.begun, **b.begun}),
        heard={
            name: heard_of_both(a.heard.get(name, Heard()), b.heard.get(name, Heard()))
            for name in {**a.heard, **b.heard}
        },
        occasions={
            name: max(a.occasions.get(name, ""), b.occasions.get(name, "")) for name in {**a.occasions, **b.occasions}
        },
        codes={**a.codes, **b.codes},
    )


def seen_by_either(a: Sent | None, b: Sent | None) -> Sent:
    """Of two states of one send the one that knows that it was seen."""
    return min((sent for sent in (a, b) if sent is not None), key=lambda sent: sent.unseen)


def heard_of_both(a: Heard, b: Heard) -> Heard:
    """What two tell of the messages in one channel."""
    return Heard(tuple(sorted({*a.sent, *b.sent})[-UNREAD:]), max(a.answered, b.answered))


def remembered(events: Iterable[Recent]) -> tuple[Recent, ...]:
    """The events of these that a slot keeps, oldest first."""
    ordered = sorted(events, key=lambda event: (event.at, event.event_id))
    return tuple(event for event in ordered[-RECENT_EVENTS:] if event.at > ordered[-1].at - RECENT_MS)


def started_last(begun: dict[str, int]) -> dict[str, int]:
    """The instances of these that a slot remembers to have started."""
    newest = sorted(begun.items(), key=lambda item: (item[1], item[0]))
    return dict(newest[-BEGUN:])


def _joined(a: dict[str, Instance], b: dict[str, Instance]) -> dict[str, Instance]:
    return {id_: _further(a.get(id_), b.get(id_)) for id_ in {**a, **b}}


def _further(a: Instance | None, b: Instance | None) -> Instance:
    """Of two states of one instance the one that is further on."""
    return max((i for i in (a, b) if i is not None), key=lambda i: (i.since, i.position, i.acted))


def _first(a: Draw | None, b: Draw | None) -> Draw:
    return min((draw for draw in (a, b) if draw is not None), key=lambda draw: (draw.at, draw.value))
