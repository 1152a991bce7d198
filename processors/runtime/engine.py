"""What a worker does all day, in its one Kafka thread: poll, run the stage, commit, write state, again.

Faust owns the process and its event loop (`processors.runtime.shell`); a batch that `poll` returns passes through the
Faust agent, which hands it to `process`. Everything that can't be continued raises `Stop`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import cast

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from processors.runtime import unreadable
from processors.runtime.calls import Calls, Result
from processors.runtime.contract import Calling, Stage
from processors.runtime.exits import Exit, Stop
from processors.runtime.membership import Entry, Listener, Membership
from processors.runtime.metrics import Metrics, State
from processors.runtime.outbox import Outbox
from processors.runtime.partition import Partition
from processors.runtime.points import Point, reached
from processors.runtime.steps import Letter, Outcome, Steps
from processors.runtime.turns import StateTooLarge, Unreadable
from schemas.clock import Clock
from schemas.kafka import cause_of, client_config
from schemas.limits import Limits, TooMany, advice, after
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, changelog

log = structlog.get_logger()

_IDLE_SECONDS = 0.1
_CALLING_SECONDS = 0.005
_RESTORE_SECONDS = 0.05
_BACK_OFF_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
#: how long offsets of input that left no effects may wait for a transaction to go with
_OWED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Work of one transaction on partition `number` and perhaps others: records, results of calls, or due timers."""

    number: int
    entries: list[Entry]
    results: list[Result]


class Engine:
    """One worker of an app. All methods but `__init__` and `stop` run in the Kafka thread."""

    def __init__(self, stage: Stage, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._stage = stage
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._limits = Limits(settings.dead_letter_ratio, settings.dead_letter_run)
        self._pending: list[Entry] = []
        self._most = settings.batch_records
        self._stopped = False
        self._measured = 0.0
        self._calls: Calls | None = None
        self._handed: Batch | None = None
        self._owed: set[int] = set()
        self._owed_since = 0.0

    def connect(
        self, listener: Listener, loop: asyncio.AbstractEventLoop, failed: Callable[[BaseException], None]
    ) -> bool:
        """Wait for the broker and the topics, then join the group; False when stopped meanwhile. Raises Stop."""
        if hasattr(self._stage, "perform"):
            self._calls = Calls(cast(Calling, self._stage), loop, failed)
        while not self._stopped and not self._topics_are_there():
            time.sleep(_BACK_OFF_SECONDS)
        self._outbox = Outbox(self._settings, self._stage.app)
        while not self._stopped and (why := self._outbox.connect()) is not None:
            self._waiting(why)
        if self._stopped:
            return False
        self._members = Membership(
            self._settings, self._stage.app, self._stage.inputs, self._metrics, listener, self._settle
        )
        self._metrics.state = State.JOINING
        return True

    def poll(self) -> Batch | None:
        """Wait a moment for something to do; None when there was nothing. Raises Stop, KafkaException."""
        full = self._calls is not None and self._calls.full
        if not full:
            # with records at hand the group is served all the same, and takes its time for nothing
            at_hand = bool(self._pending)
            self._pending += self._members.fetch(*((1, 0.0) if at_hand else (self._most, self._patience())))
        elif self._calls is not None:
            # back-pressure waits; the group is served meanwhile
            self._pending += self._members.fetch(1, 0.0) if len(self._pending) < self._most else []
            self._calls.wait_for_one(_CALLING_SECONDS)
        if self._members.restoring:
            self._members.restore(_RESTORE_SECONDS)
        self._pass_ends()
        self._metrics.state = self._state()
        self._measure()
        results = self._calls.take() if self._calls else []
        number = self._work_at(results, full)
        if number is None:
            self._settle_debt(_OWED_SECONDS)
            return None
        entries = [] if full else self._pending
        self._pending = self._pending if full else []
        self._handed = Batch(number, entries, results)
        return self._handed

    def process(self, batch: Batch) -> None:
        """Run the stage over a batch and commit what it did. Raises Stop, and whatever the stage raises."""
        self._handed = None
        started = time.perf_counter()
        try:
            outcome, changes = self._step(batch, careful=False)
        except StateTooLarge:
            outcome, changes = self._step(batch, careful=True)
        self._pending = batch.entries[outcome.taken :] + self._pending
        counted = {number for topic in {topic for topic, _ in outcome.next} for number in self._count(outcome, topic)}
        for (topic, number), offset in outcome.next.items():
            self._members.partitions[number].sources[topic].next = offset
        for (topic, number), record in outcome.progress.items():
            source = self._members.partitions[number].sources[topic]
            source.at_end, source.seen = record is None, record.timestamp if record else source.seen
        touched = {number for _, number in outcome.next} | set(outcome.works) | counted
        if touched:
            stepped = time.perf_counter()
            if changes or outcome.effects():
                for number in touched:
                    changes.setdefault(number, []).append(self._members.partitions[number].progress())
                self._commit(outcome, changes, touched | self._owed)
            else:
                self._owe(touched)
            for number in outcome.welcomed:
                self._members.partitions[number].welcomed = True
            self._note(outcome, stepped - started)

    def stop(self) -> None:
        """Wait for nothing any more. May be called from any thread."""
        self._stopped = True

    def close(self) -> None:
        """Settle what is under way and leave the group."""
        self._metrics.state = State.STOPPING
        if hasattr(self, "_members"):
            self._members.close()

    def _count(self, outcome: Outcome, topic: str) -> set[int]:
        """Take note of what of a topic was bad; the partitions of which something else is to be remembered now. Raises
        Stop beyond a limit."""
        sources = {number: partition.sources[topic] for number, partition in self._members.partitions.items()}
        before = {number: source.tally for number, source in sources.items()}
        records = {number: count for (name, number), count in outcome.counts.items() if name == topic}
        bad = {number: places for (name, number), places in outcome.bad.items() if name == topic}
        try:
            tallies = after(before, records, bad, self._limits)
        except TooMany as many:
            letters = (each for each in reversed(outcome.letters) if each.cause.topic == topic)
            raise Stop(Exit.DEAD_LETTERS, self._too_many(many, topic, next(letters, None))) from many
        for number, source in sources.items():
            source.tally = tallies[number]
        return {number for number in sources if tallies[number].metadata != before[number].metadata}

    def _too_many(self, many: TooMany, topic: str, last: Letter | None) -> str:
        told = f"{self._stage.app} stops: {many} in {topic}"
        if last is not None:
            why = f"{type(last.error).__name__}: {last.error}"
            told += f"[{last.cause.partition}], the last one at offset {last.cause.offset}: {why}"
        return f"{told}. {advice(self._stage.app, topic)}"

    def _step(self, batch: Batch, careful: bool) -> tuple[Outcome, dict[int, list[tuple[bytes, bytes | None]]]]:
        room = self._calls.room if self._calls else None
        steps = Steps(self._stage, self._clock, self._members.partitions, self._most, room, careful=careful)
        try:
            outcome = steps.run(batch.entries, batch.results)
        except Unreadable as found:
            why = unreadable.advice(self._settings.brokers, self._stage.app, found)
            raise Stop(Exit.STATE, why) from found
        changes = {number: list(work.changes()) for number, work in outcome.works.items()}
        return outcome, {number: changed for number, changed in changes.items() if changed}

    def _commit(
        self, outcome: Outcome, changes: dict[int, list[tuple[bytes, bytes | None]]], touched: set[int]
    ) -> None:
        partitions = self._members.partitions
        offsets = self._members.offsets(touched)
        with self._metrics.transactions.labels(self._stage.app).time():
            checkpoints = self._outbox.commit(outcome.sent(), changes, offsets, self._members.group)
        self._metrics.committed(touched)
        self._owed.clear()
        # 5. The store on disk learns of it only now: it never runs ahead of what is committed.
        for number, changed in changes.items():
            partition = partitions[number]
            if number in outcome.passed:
                partition.store.passed(outcome.passed[number] + b"\0")
            partition.store.apply(changed, checkpoints[number], partition.topic_id)
            reached(self._stage.app, Point.AFTER_LOCAL_WRITE)
            partition.look_ahead()
        if self._calls:
            for number, work in outcome.works.items():
                for key, request in work.calls:
                    self._calls.launch(number, partitions[number].epoch, key, request)

    def _owe(self, touched: set[int]) -> None:
        """Leave offsets to the next transaction. Taking input without effects again, with the same state, has none
        either; a transaction for it would cost the broker as much as any."""
        if not self._owed:
            self._owed_since = time.monotonic()
        self._owed |= touched
        self._settle_debt(_OWED_SECONDS)

    def _settle_debt(self, after: float = 0.0) -> None:
        """Commit offsets that no transaction took along for so many seconds."""
        if self._owed and time.monotonic() - self._owed_since >= after:
            self._commit(Outcome(), {}, set(self._owed))

    def _settle(self) -> None:
        """Partitions are about to be given up: commit the results of calls under way, as far as they come in time."""
        self._pending.clear()
        # a worker that stops leaves its last batch undone: the answers in it were taken and would be asked for again
        results = self._handed.results if self._handed else []
        if self._calls and self._calls.under_way:
            results = results + self._calls.wait_for_all(self._settings.session_timeout_ms / 2000)
        if results:
            self.process(Batch(results[0].partition, [], results))
        if self._stopped:
            self._settle_debt()
        self._owed.clear()

    def _state(self) -> State:
        if not self._members.reachable:
            return State.WAITING
        if not self._members.joined:
            return State.JOINING
        if self._members.restoring:
            return State.RESTORING
        return State.RUNNING if self._members.partitions else State.IDLE

    def _work_at(self, results: list[Result], full: bool) -> int | None:
        """A partition at which there is something to do."""
        owned, now = self._members.partitions, self._clock.now()
        if self._pending and not full:
            entry = self._pending[0]
            return entry[1] if isinstance(entry, tuple) else entry.partition
        if results:
            return next((result.partition for result in results if result.partition in owned), None)
        return next((number for number, partition in owned.items() if self._has_work(partition, now)), None)

    def _has_work(self, partition: Partition, now: int) -> bool:
        """Whether a partition has work of its own: its first turn, or a timer that is due."""
        if not partition.restored:
            return False
        due = partition.next_due
        return not partition.welcomed or (due is not None and due <= partition.reached(self._clock, now, {}))

    def _patience(self) -> float:
        """Seconds to wait for records when there are none."""
        if self._members.restoring or (self._calls and self._calls.answered):
            return 0.0
        now, wait = self._clock.now(), _CALLING_SECONDS if self._calls and self._calls.under_way else _IDLE_SECONDS
        for partition in self._members.partitions.values():
            if self._has_work(partition, now):
                return 0.0
            if partition.next_due is not None and partition.next_due > now:
                wait = min(wait, self._clock.wall_until(partition.next_due))
        return wait

    def _pass_ends(self) -> None:
        """Take note of ends that no record at hand comes before."""
        while self._pending and isinstance(end := self._pending[0], tuple):
            topic, number = end
            del self._pending[0]
            self._members.partitions[number].sources[topic].at_end = True

    def _measure(self) -> None:
        if time.monotonic() - self._measured < 1:
            return
        self._measured, now, app = time.monotonic(), self._clock.now(), self._stage.app
        self._members.look_for_broker()
        self._members.measure()
        for partition in self._members.partitions.values():
            late = 0 if partition.next_due is None else max(0, now - partition.next_due)
            self._metrics.oldest_timer.labels(app, str(partition.number)).set(late / 1000)
        if self._calls:
            self._metrics.calls.labels(app).set(self._calls.under_way)

    def _note(self, outcome: Outcome, step: float) -> None:
        app, metrics = self._stage.app, self._metrics
        metrics.steps.labels(app).observe(step)
        metrics.batches.labels(app).observe(outcome.records)
        for (topic, number), count in outcome.counts.items():
            metrics.records.labels(app, topic, str(number)).inc(count)
        for number, count in outcome.wakes.items():
            metrics.wakes.labels(app, str(number)).inc(count)
        for topic, count in Counter(map(attrgetter("topic"), outcome.sent())).items():
            metrics.outputs.labels(app, topic).inc(count)
        for letter in outcome.letters:
            cause, error = letter.cause, type(letter.error).__name__
            metrics.dead_letters.labels(app, cause.topic, error).inc()
            place = f"{cause.topic}[{cause.partition}]@{cause.offset}"
            log.warning("dead letter", app=app, place=place, error=error, why=str(letter.error))

    def _waiting(self, why: str) -> None:
        self._metrics.be(State.WAITING, f"Kafka at {self._settings.brokers}: {why}")
        log.warning("waiting for the broker", app=self._stage.app, brokers=self._settings.brokers, why=why)

    def _topics_are_there(self) -> bool:
        """Whether all topics exist; says which do not. Raises Stop when their partition counts don't fit."""
        wanted = [*self._stage.inputs, changelog(self._stage.app), DEAD_LETTERS]
        try:
            there = AdminClient(client_config(self._settings.brokers)).list_topics(timeout=_ANSWER_SECONDS).topics
        except KafkaException as error:
            self._waiting(cause_of(error).str())
            return False
        missing = [name for name in wanted if name not in there]
        if missing:
            self._metrics.be(State.TOPICS, f"missing: {', '.join(missing)}; `pathline topics apply` makes them")
            log.warning("waiting for topics (pathline topics apply)", app=self._stage.app, missing=missing)
            return False
        counts = {name: len(there[name].partitions) for name in wanted}
        letters = counts.pop(DEAD_LETTERS)
        if letters < max(counts.values()):
            raise Stop(Exit.SETUP, f"{DEAD_LETTERS} has {letters} partitions, fewer than an input: {counts}")
        if len(set(counts.values())) > 1:
            # 11. Co-partitioning: state of a key and all its inputs have to meet in one partition.
            raise Stop(Exit.SETUP, f"the topics of {self._stage.app} must have the same partition count: {counts}")
        return True
