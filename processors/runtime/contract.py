"""What a processor is: a stage of pure steps over keyed state.

A stage never touches Kafka, a clock, randomness or a file. It reads one record (or is woken at an instant it asked
for), reads and writes state and sends records through the `Turn` it is given. The runtime decides when all of this
takes effect: in one Kafka transaction with the input offsets (`processors.runtime.worker`), or at once in the memory
broker that simulation and most tests run on (`processors.runtime.memory`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from schemas.codec import BadRecord
from schemas.headers import Headers

__all__ = ["BadRecord", "Calling", "Record", "Stage", "Table", "Turn"]

S = TypeVar("S")


class Record(msgspec.Struct, frozen=True, gc=False):
    """A committed record of an input topic. `timestamp` is Kafka's, in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Table(Generic[S]):
    """A kind of state: `prefix` is unique within the app, `type` a frozen msgspec struct stored as MessagePack.

    State belongs to (app, partition): a key is visible only in turns on the partition that wrote it.
    """

    prefix: str
    type: type[S]
    encode: Callable[[S], bytes] = field(init=False, repr=False, compare=False)
    decode: Callable[[bytes], S] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # made once, as a worker does both for every event
        object.__setattr__(self, "encode", msgspec.msgpack.Encoder().encode)
        object.__setattr__(self, "decode", msgspec.msgpack.Decoder(self.type).decode)


class Turn(Protocol):
    """One record's, wake's or result's chance to read state and to leave effects.

    Effects of a turn count together or not at all: a turn that raises BadRecord leaves none. Reads see what earlier
    turns of the same transaction wrote.
    """

    @property
    def now(self) -> int:
        """Line time in milliseconds since 1970 UTC; in a wake never earlier than its due time."""

    @property
    def partition(self) -> int:
        """Partition the turn belongs to."""

    def get(self, table: Table[S], key: str) -> S | None:
        """State under a key, None when there is none."""

    def put(self, table: Table[S], key: str, value: S | None) -> None:
        """Write state; None deletes it. The value must not be changed afterwards (structs are frozen)."""

    def scan(self, table: Table[S], prefix: str = "", after: str = "") -> Iterator[tuple[str, S]]:
        """All (key, state) of a table in this partition whose keys begin so, in key order, from behind `after` on. Slow
        when many are taken: a whole table is for assignment and reports only."""

    def send(self, topic: str, key: str, value: bytes | None, partition: int | None = None) -> None:
        """Produce a record; without `partition` the key decides (murmur2). Raises BadRecord above the size limit."""

    def wake(self, key: str, due: int, rank: int = 0) -> None:
        """Ask for `on_wake(key, due)` once line time reaches `due` (milliseconds; rounded up to whole seconds by
        callers who want coalescing). Durable. At one instant lower ranks (0..65535) come first, then keys in order.
        Asking twice for the same (key, due, rank) is asking once. A wake can't be taken back: a stage checks its state
        and ignores a stale one."""

    def call(self, key: str, request: Any) -> None:
        """After this turn is committed, hand `request` to the stage's `Calling.perform`; its result comes back as
        `on_result(key, result)` in a later turn on the same partition. Lost if the process dies in between: what was
        under way must be found again in `on_assigned`."""


class Stage(Protocol):
    """A processor. One instance per worker; its methods are called in one thread, never concurrently."""

    #: consumer group, transactional id and state are named after it
    app: str
    #: input topics; all have the same partition count
    inputs: tuple[str, ...]

    def on_record(self, record: Record, turn: Turn) -> None:
        """Take one record. Raises BadRecord for data that can't be used (it becomes a dead letter); anything else
        that is raised stops the worker."""

    def on_wake(self, key: str, due: int, turn: Turn) -> None:
        """Line time has reached an instant this stage asked for; what it causes carries `due` as its time."""

    def on_assigned(self, turn: Turn) -> None:
        """First turn on a partition after its state was restored; most stages do nothing here."""

    def on_result(self, key: str, result: Any, turn: Turn) -> None:
        """The answer to a `Turn.call`; only stages that are also `Calling` are asked."""


class Calling(Protocol):
    """A stage that talks to the world outside Kafka (dispatch)."""

    async def perform(self, request: Any) -> Any:
        """Do the I/O; called after the turn that asked was committed, several at a time. Must turn every answer and
        failure of the provider into a result; an exception stops the worker."""
