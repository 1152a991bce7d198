"""How a partition goes over to another version of the definitions while the line runs.

1. `begin`: its marker was taken; wait until all partitions have taken theirs, so that nobody drops what others still
   send under the version before.
2. `read`, only when the version asks for state that was not kept before: what happened before the marker is read again,
   a stretch at a time, and what it says of each slot goes to the slot's person by `segments.backfill`. The next stretch
   is read when the one before has been joined, so live records never wait for more than one.
3. `pass`: slots that have moved are followed by redirects, as events are. All partitions tell each other how much they
   have sent on since the round before, behind what they have sent. After a round in which nobody sent anything,
   nothing is under way any more: at that instant the state is whole.
4. `sweep`: every person follows, also who is never touched again: segments answer, members of removed ones leave, state
   that no definition needs is dropped.

All of this is state of the partition, changed in the transactions of the line. A stretch that was under way when its
worker died is read again; what has been told twice joins into the same state. A newer marker begins anew: what is
whole then is what all versions since the last whole state have kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from processors.runtime.contract import Turn
from processors.segments.history import Told
from processors.segments.metrics import HISTORY_LEFT, STEPS, TURNOVER_STEP
from processors.segments.model import HEARD, IN_FORCE, TURNOVER, Heard, InForce, Turnover
from schemas.codec import Codec
from schemas.records import Backfill, Marker
from schemas.topics import SEGMENTS_BACKFILL

#: Key of the wakes of a partition: persons have longer ones.
KEY = ""
#: How many persons follow in one turn.
SWEPT_AT_ONCE = 300
#: How long to wait when another partition of this worker is reading, in milliseconds.
BUSY_MS = 250


class Read(msgspec.Struct, frozen=True):
    """A stretch of history asked for."""

    partition: int
    force: InForce
    start: int
    upto: int


class Chunk(msgspec.Struct, frozen=True):
    """What was asked for says this; `next` None: somebody else was reading, nothing was read."""

    asked: Read
    told: list[Told] = []
    next: int | None = None


class Turnovers:
    """The turnovers of a worker's partitions. `fills` says whether a version lacks anything; `follow` takes the persons
    behind a key along, at most so many, and returns the last key and how many they were; None when none were left."""

    def __init__(
        self,
        codec: Codec,
        partitions: Callable[[], int] | None,
        fills: Callable[[InForce], frozenset[str]],
        follow: Callable[[Turn, str, int], tuple[str, int] | None],
    ) -> None:
        self._codec = codec
        self._partitions = partitions
        self._fills = fills
        self._follow = follow

    def marked(self, marker: Marker, offset: int, turn: Turn) -> None:
        """A version is in force from here on."""
        before = turn.get(IN_FORCE, "")
        earlier: tuple[str, ...] = ()
        if self._partitions is not None and (before is not None or offset):
            unfilled = before.earlier if before is not None and before.filled is None else ()
            earlier = tuple(dict.fromkeys([*unfilled, before.version if before is not None else ""]))
        force = InForce(marker.version, marker.at, earlier)
        if earlier and not self._fills(force):
            force = InForce(marker.version, marker.at)
        turn.put(IN_FORCE, "", force)
        for key, _ in list(turn.scan(HEARD)):
            if int(key.split()[0]) < marker.at:
                turn.put(HEARD, key, None)
        if self._partitions is None:
            self._sweep(Turnover(step="sweep"), turn)
            return
        filling = sorted(self._fills(force))
        self._speak(force, Turnover(step="begin", upto=offset), turn, filling)

    def assigned(self, turn: Turn) -> None:
        """The partition is this worker's now: what was being read is read by nobody any more."""
        force, at = turn.get(IN_FORCE, ""), turn.get(TURNOVER, "")
        if force is not None and at is not None:
            self._put(at, turn)  # for the metrics of this worker
            if at.asked:
                self._read(force, at, turn)

    def woken(self, turn: Turn) -> None:
        """It is time to go on."""
        force, at = turn.get(IN_FORCE, ""), turn.get(TURNOVER, "")
        if force is None or at is None:
            return
        if at.asked:
            self._read(force, at, turn)
        elif at.step == "sweep":
            self._go_on_sweeping(force, at, turn)

    def read(self, chunk: Chunk, turn: Turn) -> None:
        """Somebody has read what was asked for."""
        force, at = turn.get(IN_FORCE, ""), turn.get(TURNOVER, "")
        if force is None or at is None or not at.asked or (chunk.asked.force, chunk.asked.start) != (force, at.next):
            return  # another version is in force meanwhile, or it was asked for twice
        if chunk.next is None:
            turn.wake(KEY, turn.now + BUSY_MS)
            return
        for told in chunk.told:
            record = msgspec.structs.replace(
                self._record("state", force, turn),
                person_id=told.person_id,
                slot=told.slot,
                version=told.version,
                state=told.state,
            )
            turn.send(SEGMENTS_BACKFILL, told.person_id, self._codec.encode(record))
        self._put(msgspec.structs.replace(at, next=chunk.next, asked=False), turn)
        record = msgspec.structs.replace(self._record("read", force, turn), next=chunk.next, upto=at.upto)
        self._tell(record, turn, turn.partition)

    def heard(self, record: Backfill, turn: Turn) -> None:
        """What a partition, perhaps this one, says of its turnover."""
        force, at = turn.get(IN_FORCE, ""), turn.get(TURNOVER, "")
        if record.kind == "round" and (force is None or record.marked_at >= force.at):
            key = f"{record.marked_at} {record.definitions} {record.round} {record.partition}"
            turn.put(HEARD, key, Heard(record.passed_on))
        if force is None or at is None or (record.definitions, record.marked_at) != (force.version, force.at):
            return
        if record.kind == "read":
            self._joined(force, at, turn)
        elif record.kind == "round":
            self._listen(force, turn)

    def passed_on(self, turn: Turn) -> None:
        """Something that history said was sent on to another person."""
        at = turn.get(TURNOVER, "")
        if at is not None:
            turn.put(TURNOVER, "", msgspec.structs.replace(at, passed_on=at.passed_on + 1))

    def _joined(self, force: InForce, at: Turnover, turn: Turn) -> None:
        """All that was read has been joined or sent on."""
        if at.step != "read" or at.asked:
            return
        if at.next < at.upto:
            self._read(force, at, turn)
        else:
            self._speak(force, msgspec.structs.replace(at, step="pass"), turn)

    def _read(self, force: InForce, at: Turnover, turn: Turn) -> None:
        self._put(msgspec.structs.replace(at, step="read", asked=True), turn)
        turn.call(KEY, Read(turn.partition, force, at.next, at.upto))

    def _speak(self, force: InForce, at: Turnover, turn: Turn, filling: Sequence[str] = ()) -> None:
        """Tell all partitions that this one is through with a round, behind all that it has sent in it."""
        self._put(msgspec.structs.replace(at, passed_on=0), turn)
        record = msgspec.structs.replace(
            self._record("round", force, turn),
            round=at.round,
            passed_on=at.passed_on,
            upto=at.upto,
            segments=list(filling),
        )
        for number in range(self._count()):
            self._tell(record, turn, number)

    def _listen(self, force: InForce, turn: Turn) -> None:
        """Go on when all have told."""
        at = turn.get(TURNOVER, "")
        if at is None or at.step not in ("begin", "pass"):
            return
        told = [heard.passed_on for _, heard in turn.scan(HEARD, f"{force.at} {force.version} {at.round} ")]
        if len(told) < self._count():
            return
        following = msgspec.structs.replace(at, round=at.round + 1)
        if at.step == "pass" and any(told):
            self._speak(force, following, turn)
        elif at.step == "begin" and force.earlier:
            self._joined(force, msgspec.structs.replace(following, step="read"), turn)
        else:
            if force.earlier:
                turn.put(IN_FORCE, "", msgspec.structs.replace(force, filled=max(force.at, turn.now)))
            self._sweep(msgspec.structs.replace(at, step="sweep"), turn)

    def _sweep(self, at: Turnover, turn: Turn) -> None:
        self._put(at, turn)
        turn.wake(KEY, turn.now)

    def _go_on_sweeping(self, force: InForce, at: Turnover, turn: Turn) -> None:
        found = self._follow(turn, at.swept, SWEPT_AT_ONCE)
        if found is not None:
            swept, persons = found
            self._put(msgspec.structs.replace(at, swept=swept), turn)
            turn.wake(KEY, turn.now)
            kind = "swept"
        else:
            persons, kind = 0, "done"
            self._put(None, turn)
            turn.put(IN_FORCE, "", InForce(force.version, force.at))
            for key, _ in list(turn.scan(HEARD, f"{force.at} {force.version} ")):
                turn.put(HEARD, key, None)
        if self._partitions is not None:
            record = msgspec.structs.replace(self._record(kind, force, turn), persons=persons)
            self._tell(record, turn, turn.partition)

    def _put(self, at: Turnover | None, turn: Turn) -> None:
        turn.put(TURNOVER, "", at)
        partition = str(turn.partition)
        HISTORY_LEFT.labels(partition).set(
            0 if at is None else at.upto - at.next if at.step in ("begin", "read") else 0
        )
        TURNOVER_STEP.labels(partition).set(0 if at is None else STEPS.index(at.step) + 1)

    def _record(self, kind: str, force: InForce, turn: Turn) -> Backfill:
        return Backfill(kind=kind, definitions=force.version, marked_at=force.at, partition=turn.partition)

    def _tell(self, record: Backfill, turn: Turn, partition: int) -> None:
        turn.send(SEGMENTS_BACKFILL, record.person_id, self._codec.encode(record), partition)

    def _count(self) -> int:
        assert self._partitions is not None, "only who can read history takes part in rounds"
        return self._partitions()
