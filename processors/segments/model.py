"""State of the segments stage: what each slot knows, what each person is in, and how states join.

Only what the definitions in force need is kept. `join` is commutative, associative and idempotent, so it does not
matter in which order slots meet. All instants are milliseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec
import orjson
from msgspec import Raw

from processors.runtime.contract import Table
from processors.runtime.slots import Slots
from schemas.erasure import Erased
from schemas.records import LATEST

K = TypeVar("K")
V = TypeVar("V")

#: When nothing was seen yet of a slot that only has a suppression left by an erasure: no event is so late.
NEVER = LATEST + 1
#: An occurrence that counts: (when it happened, what it is called among those of its condition).
Mark = tuple[int, int]
#: An event that can be a step of a sequence: (when, what it is called, the steps it can be as bits).
Moment = tuple[int, int, int]
#: Something done in a channel: (when, what it is called, channel, what it is worth); a purchase may have no channel.
Engagement = tuple[int, int, str, int]
#: What a choice is about: (address or "" for the person, channel or "" for all, purpose or "" for all).
Subject = tuple[str, str, str]


class Trait(msgspec.Struct, frozen=True, array_like=True):
    """A trait, by the newest event that set it; a null value is a trait taken back."""

    value: Any
    at: int
    source: str = ""


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """A consent given or refused; `proof` is what the person saw or ticked, where the event says so."""

    granted: bool
    at: int
    source: str = ""
    proof: str = ""


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """Whether an identifier is in a static list, by the newest that was said of it."""

    member: bool
    at: int


class Report(msgspec.Struct, frozen=True, array_like=True):
    """One event that reported an occurrence; `document` is the JSON of what conditions ask of it."""

    at: int
    event_id: str
    document: bytes


class Undone(msgspec.Struct, frozen=True, array_like=True):
    """An event that took an occurrence back, by an amount; None is all of it."""

    at: int
    amount: float | None = None


class Occurrence(msgspec.Struct, frozen=True, array_like=True):
    """What several events may report, for example one order from the site and from the till (`same` in events.yaml).

    `at` is the earliest report's; None when only an undo has been seen. Reports are in order of time.
    """

    at: int | None = None
    reports: tuple[Report, ...] = ()
    undone: dict[str, Undone] = {}


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """What a measure reads of one event or line: when it happened, its name among those of the measure, the value."""

    at: int
    name: int
    value: Any = None


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """So many of an element were added to a list (or removed, below 0); None removes all of them. `document` is the
    JSON of what is kept of an element added; `name` is below 0 where no other event reports the same."""

    at: int
    name: int
    amount: float | None
    document: bytes = b""


class Collected(msgspec.Struct, frozen=True, array_like=True):
    """A list that follows from events: when it was cleared (by a name below 0 where no other event reports the same),
    and by element what was added and removed, as one told after the other."""

    cleared: tuple[Mark, ...] = ()
    pieces: dict[str, tuple[Piece, ...]] = {}


#: Something kept by name: `V`, or its bytes as they were read. An event concerns few of the names that a thousand
#: definitions keep, so each is decoded when it is asked for (`Kept.get`) and what is not is written as it was.
if TYPE_CHECKING:
    ByName = dict[str, V | Raw]
else:  # msgspec takes no union with Raw

    class ByName:
        def __class_getitem__(cls, item: object) -> object:
            return dict[str, Raw]


class State(msgspec.Struct, frozen=True, array_like=True):
    """What one slot contributed. `used` is when the person last used an identifier itself (0: only told by receipts);
    `suppressed` is the scope by address; `zone` the newest time zone of a context, `place` that of its location.
    `counted` has the marks by counting condition, `occurrences` those of events with `same` by event name and value;
    `history` the values of traits that conditions with `held_for` ask about, in order of time; `sequences` the events
    that can be steps, by sequence and value of its `same`; `lists` what was said of (list, identifier); `engagements`
    what was done in channels, in order of time; `measured` the readings by measure, in order of time; `collected` what
    was put into lists and taken out of them; `died` when an address was last found dead, `alive` when it last showed
    that it is not."""

    first_seen: int
    traits: dict[str, Trait] = {}
    choices: dict[Subject, Choice] = {}
    used: dict[str, int] = {}
    suppressed: dict[str, str] = {}
    zone: Trait | None = None
    counted: ByName[tuple[Mark, ...]] = {}
    occurrences: ByName[dict[str, Occurrence]] = {}
    history: dict[str, tuple[Trait, ...]] = {}
    sequences: ByName[dict[str, tuple[Moment, ...]]] = {}
    lists: dict[tuple[str, str], Listed] = {}
    engagements: tuple[Engagement, ...] = ()
    measured: ByName[tuple[Reading, ...]] = {}
    collected: ByName[Collected] = {}
    place: Trait | None = None
    died: dict[str, int] = {}
    alive: dict[str, int] = {}


#: Parts of a slot's state that hold only what definitions ask for, by the names in `Plan.kept`.
KEPT = ("counted", "occurrences", "history", "sequences", "engagements", "measured", "collected")


class Kept(Generic[V]):
    """How what is kept under each name of a part of `State` is read."""

    def __init__(self, type: Any, nothing: V) -> None:
        self._decode: Callable[[Raw], V] = msgspec.msgpack.Decoder(type).decode
        self._nothing = nothing

    def get(self, part: ByName[V], name: str) -> V:
        """What is kept under a name; it is decoded once, and the part remembers that. Raises msgspec.DecodeError."""
        value = part.get(name)
        if value is None:
            return self._nothing
        if isinstance(value, Raw):
            value = part[name] = self._decode(value)
        return value

    def join(self, a: ByName[V], b: ByName[V], both: Callable[[V, V], V]) -> ByName[V]:
        """Entries of two such parts; `both` decides where a name is in both."""
        return {**a, **b, **{name: both(self.get(a, name), self.get(b, name)) for name in a.keys() & b.keys()}}


MARKS = Kept[tuple[Mark, ...]](tuple[Mark, ...], ())
OCCURRENCES = Kept[dict[str, Occurrence]](dict[str, Occurrence], {})
MOMENTS = Kept[dict[str, tuple[Moment, ...]]](dict[str, tuple[Moment, ...]], {})
READINGS = Kept[tuple[Reading, ...]](tuple[Reading, ...], ())
COLLECTED = Kept[Collected](Collected, Collected())
_BY_NAME: Mapping[str, Kept[Any]] = {
    "counted": MARKS,
    "occurrences": OCCURRENCES,
    "sequences": MOMENTS,
    "measured": READINGS,
    "collected": COLLECTED,
}


def opened(state: State) -> State:
    """The state with everything in it decoded. Raises msgspec.DecodeError."""
    for part, kept in _BY_NAME.items():
        held = getattr(state, part)
        for name in held:
            kept.get(held, name)
    return state


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person: the slots, and what follows from them taken together.

    `member` is since when, by segment; `due` the next instant at which a segment may change by time alone. `last` is
    the last instant applied; `asked` the earliest wake under way. While `hold` is set, state is known to be on its way
    here: no change is published and events wait (`waiting` of them, see the module of that name), until that instant at
    the latest; `parts` names the handoffs of which parts are missing, one a line. `version` is that of the definitions
    applied last, `profile` a digest of the profile published last. `erased` are slots that were erased here, by mark:
    what still comes of them is dropped. `suppressed` are the suppressions of erased addresses, by the mark of their
    identifier, until one comes again. `computed` are the values of computed traits at the last instant. `filling` are
    segments and computed traits that change no more until their history is there.
    """

    slots: Slots[State] = Slots()
    member: dict[str, int] = {}
    due: dict[str, int] = {}
    last: int = 0
    asked: int | None = None
    hold: int | None = None
    parts: str = ""
    version: str = ""
    profile: bytes = b""
    erased: dict[str, Erased] = {}
    suppressed: dict[str, str] = {}
    computed: dict[str, Any] = {}
    filling: tuple[str, ...] = ()
    waiting: int = 0


class InForce(msgspec.Struct, frozen=True):
    """The version of the definitions in force in this partition, from an instant on.

    `earlier` are those in force since all state that they ask for was there, empty when it is again; `filled` is when
    the history that this version lacked had been filled in.
    """

    version: str
    at: int
    earlier: tuple[str, ...] = ()
    filled: int | None = None


class Turnover(msgspec.Struct, frozen=True, kw_only=True):
    """How far a partition is in going over to the version in force; `step` is what it is at:

    - `begin`: until all partitions have this version;
    - `read`: history before `upto`, the offset of the marker, is read from `next` on; `asked` while somebody reads;
    - `pass`: until what was filled in has arrived everywhere, in rounds;
    - `sweep`: all persons follow, in the order of their ids, the last one being `swept`.

    `passed_on` counts what was sent on to other persons in this round.
    """

    step: Literal["begin", "read", "pass", "sweep"]
    upto: int = 0
    next: int = 0
    asked: bool = False
    round: int = 0
    passed_on: int = 0
    swept: str = ""


class Heard(msgspec.Struct, frozen=True):
    """How much another partition has passed on in a round."""

    passed_on: int


PEOPLE = Table("person", Person)
IN_FORCE = Table("in-force", InForce)
TURNOVER = Table("turnover", Turnover)
HEARD = Table("heard", Heard)


def storable(value: Any) -> Any:
    """A JSON value that fits the state's encoding: integers there have 64 bits."""
    if isinstance(value, dict):
        return {name: storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 10**300 else None
    return value


def join(a: State, b: State) -> State:
    """Both states of one slot, or two slots of one person, as one."""
    return State(
        first_seen=min(a.first_seen, b.first_seen),
        traits=merged(a.traits, b.traits, newer_trait),
        choices=merged(a.choices, b.choices, newer_choice),
        used=merged(a.used, b.used, max),
        suppressed=merged(a.suppressed, b.suppressed, wider_scope),
        zone=_newer(a.zone, b.zone),
        counted=MARKS.join(a.counted, b.counted, joined_marks),
        occurrences=OCCURRENCES.join(a.occurrences, b.occurrences, lambda x, y: merged(x, y, joined_occurrence)),
        history=merged(a.history, b.history, joined_history),
        sequences=MOMENTS.join(a.sequences, b.sequences, lambda x, y: merged(x, y, joined_moments)),
        lists=merged(a.lists, b.lists, newer_listed),
        engagements=joined_engagements(a.engagements, b.engagements),
        measured=READINGS.join(a.measured, b.measured, joined_readings),
        collected=COLLECTED.join(a.collected, b.collected, joined_collected),
        place=_newer(a.place, b.place),
        died=merged(a.died, b.died, max),
        alive=merged(a.alive, b.alive, max),
    )


def _newer(a: Trait | None, b: Trait | None) -> Trait | None:
    return a if b is None else b if a is None else newer_trait(a, b)


def merged(a: Mapping[K, V], b: Mapping[K, V], both: Callable[[V, V], V]) -> dict[K, V]:
    """Entries of two mappings; `both` decides where a key is in both."""
    result = dict(a)
    for key, value in b.items():
        result[key] = both(result[key], value) if key in result else value
    return result


def newer_trait(a: Trait, b: Trait) -> Trait:
    """The newer one; at equal times by value, so that the order of arrival does not matter."""
    if a.at != b.at:
        return a if a.at > b.at else b
    return max(a, b, key=lambda trait: (orjson.dumps(trait.value, option=orjson.OPT_SORT_KEYS), trait.source))


def newer_choice(a: Choice, b: Choice) -> Choice:
    """The newer one; at equal times the refusal."""
    return max(a, b, key=lambda choice: (choice.at, not choice.granted, choice.source, choice.proof))


def newer_listed(a: Listed, b: Listed) -> Listed:
    """The newer one; at equal times that it left."""
    return max(a, b, key=lambda listed: (listed.at, not listed.member))


def newest(times: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The latest time by key."""
    return reduce(lambda a, b: merged(a, b, max), times, dict[str, int]())


def suppressed(states: Sequence[State]) -> dict[str, str]:
    """Scope by address as all these say together: one that was found dead and came back may be used again."""
    found = reduce(lambda a, b: merged(a, b, wider_scope), (state.suppressed for state in states), dict[str, str]())
    died, alive = newest(state.died for state in states), newest(state.alive for state in states)
    return {
        address: scope
        for address, scope in found.items()
        if scope != "all" or alive.get(address, 0) <= died.get(address, 0)
    }


def wider_scope(a: str, b: str) -> str:
    """Suppressed for all is more than for marketing."""
    return "all" if "all" in (a, b) else a


def joined_marks(a: tuple[Mark, ...], b: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Marks of both in order of time, each name once, at its earliest."""
    if len(b) == 1 and (not a or (a[-1] < b[0] and all(name != b[0][1] for _, name in a))):
        return (*a, *b)  # as most events come
    first: dict[int, int] = {}
    for at, name in (*a, *b):
        first[name] = min(at, first.get(name, at))
    return tuple(sorted((at, name) for name, at in first.items()))


def joined_moments(a: tuple[Moment, ...], b: tuple[Moment, ...]) -> tuple[Moment, ...]:
    """Events of both in order of time, each name once."""
    return tuple(sorted({one[1]: one for one in (*a, *b)}.values()))


def joined_engagements(a: tuple[Engagement, ...], b: tuple[Engagement, ...]) -> tuple[Engagement, ...]:
    """Those of both in order of time, each name once, at its earliest."""
    first: dict[int, Engagement] = {}
    for one in sorted((*a, *b)):
        first.setdefault(one[1], one)
    return tuple(sorted(first.values()))


def joined_collected(a: Collected, b: Collected) -> Collected:
    """All that is known of one list."""
    return Collected(joined_marks(a.cleared, b.cleared), merged(a.pieces, b.pieces, joined_pieces))


def joined_pieces(a: tuple[Piece, ...], b: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Pieces of both, each name once at its earliest, as they are told: at one instant those that take less first."""
    first: dict[int, Piece] = {}
    for one in sorted((*a, *b), key=_telling):
        first.setdefault(one.name, one)
    return tuple(first.values())


def _telling(piece: Piece) -> tuple[int, int, int, bytes]:
    rank = 2 if piece.amount is None else int(piece.amount < 0)
    return piece.at, rank, piece.name, b"" if piece.document else b"-"


def joined_history(a: tuple[Trait, ...], b: tuple[Trait, ...]) -> tuple[Trait, ...]:
    """Values of one trait in order of time, one an instant."""
    by_time: dict[int, Trait] = {}
    for one in (*a, *b):
        by_time[one.at] = newer_trait(by_time[one.at], one) if one.at in by_time else one
    return tuple(by_time[at] for at in sorted(by_time))


def joined_readings(a: tuple[Reading, ...], b: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """Readings of both in order of time, each name once, at its earliest."""
    first: dict[int, Reading] = {}
    for one in (*a, *b):
        known = first.get(one.name)
        if known is None or one.at < known.at:
            first[one.name] = one
    return tuple(sorted(first.values(), key=by_time))


def by_time(reading: Reading) -> tuple[int, int]:
    """The order in which readings are kept."""
    return reading.at, reading.name


def joined_occurrence(a: Occurrence, b: Occurrence) -> Occurrence:
    """All that is known of one occurrence."""
    times = [at for at in (a.at, b.at) if at is not None]
    reports: dict[str, Report] = {}
    for report in (*a.reports, *b.reports):
        known = reports.get(report.event_id)
        reports[report.event_id] = report if known is None else fuller(known, report)
    return Occurrence(
        at=min(times) if times else None,
        reports=tuple(sorted(reports.values(), key=lambda report: (report.at, report.event_id))),
        undone={**a.undone, **b.undone},
    )


def fuller(a: Report, b: Report) -> Report:
    """One report of which two versions of the definitions keep different parts."""
    if a.document == b.document:
        return a
    one, other = orjson.loads(a.document), orjson.loads(b.document)
    both = {**one, **other, "properties": {**one["properties"], **other["properties"]}}
    return Report(a.at, a.event_id, orjson.dumps(both, option=orjson.OPT_SORT_KEYS))
