"""Committed records into the warehouse, each exactly once.

Per flush: (1) the range of each partition's batch is committed to Kafka as the metadata of its old offset; (2) the rows
are inserted under a token made of that range; (3) the new offsets are committed together with the dead letters. A crash
before (1) repeats nothing that was inserted; between (1) and (3) the same range is built and inserted again and
ClickHouse drops what it has. Both commits are Kafka transactions with the group's generation of the assignment, so that
a writer that lost its partitions can't commit for them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.clock import Clock
from schemas.codec import BadRecord, Codec
from schemas.condition import JOINING, RUNNING, STOPPING, WAITING_FOR_BROKER, Condition
from schemas.dead_letters import Failed, letter, meant_for, replay_of
from schemas.headers import headers_of, sendable
from schemas.kafka import consumer_config, producer_config
from schemas.limits import Limits, Tally, TooMany, advice, after
from schemas.settings import Settings
from schemas.topics import ACCESSES, ASSIGNMENTS, DEAD_LETTERS, DECISIONS, DEFINITIONS, REFUSALS, UPDATES
from schemas.watchdog import Watchdog
from sinks.clickhouse import metrics
from sinks.clickhouse.batches import Batch, Partition, Refused, due, written_ahead
from sinks.clickhouse.committed import current
from sinks.clickhouse.crash import crash_point
from sinks.clickhouse.engine import Warehouse, transient
from sinks.clickhouse.erasure import Erasures, Names, delete
from sinks.clickhouse.owners import put
from sinks.clickhouse.pressure import crowded
from sinks.clickhouse.rows import erasure_of, rows_of
from sinks.clickhouse.tables import Origin, furthest
from sinks.clickhouse.views import define
from sinks.metrics import LAG

GROUP = "sink"
WAITING_FOR_WAREHOUSE = "waiting for the warehouse"
TOPICS = [UPDATES, ASSIGNMENTS, REFUSALS, DECISIONS, DEFINITIONS, ACCESSES, r"^outbound\..*", r"^.*\.ledger$"]
#: between two looks at the parts of the tables
_LOOK_SECONDS = 1.0
_POLL_RECORDS = 5_000
_POLL_SECONDS = 0.1
_TIMEOUT_SECONDS = 30.0
#: a call that can be repeated is repeated for so long
_INSIST_SECONDS = 5.0
#: between the tries of a call that Kafka says can be tried again
_PAUSE_SECONDS = 0.5
#: how long a server that is down or has too many parts is waited for, and so how long a poll may be away
_PATIENCE_SECONDS = 480.0
_FIRST_PAUSE_SECONDS = 0.5

log = structlog.get_logger("sink")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class _Assignment:
    """What was assigned: the batches, and the group metadata of just that assignment."""

    batches: dict[Partition, Batch]
    metadata: Any


class Writer:
    """Reads the line's topics and writes the warehouse until told to stop. For one thread."""

    def __init__(
        self,
        settings: Settings,
        warehouse: Warehouse,
        codec: Codec,
        clock: Clock,
        stopping: Callable[[], bool],
        condition: Condition,
    ) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._erasures = Erasures(warehouse)
        self._codec = codec
        self._clock = clock
        self._stopping = stopping
        self._limits = Limits(settings.dead_letter_ratio, settings.dead_letter_run)
        self._assigned = _Assignment({}, None)
        self._ends: dict[Partition, int] = {}
        self._flushed = 0.0
        self._waiting_since: float | None = None
        #: since when nothing is read and written, because merges are behind
        self._held_since: float | None = None
        self._looked = 0.0
        self._condition = condition
        self._watchdog = Watchdog(_end)
        self._consumer = Consumer(
            consumer_config(settings.brokers, GROUP)
            | {
                "session.timeout.ms": settings.session_timeout_ms,
                "max.poll.interval.ms": int(_PATIENCE_SECONDS * 1000) + 120_000,
                "partition.assignment.strategy": "range",
                "enable.partition.eof": True,
                # a channel's topics appear when it is first configured
                "topic.metadata.refresh.interval.ms": 10_000,
                "error_cb": self._on_error,
            }
        )
        self._producer = Producer(
            producer_config(settings.brokers)
            | {
                "transactional.id": f"{GROUP}-{settings.worker}",
                "transaction.timeout.ms": settings.transaction_timeout_ms,
            }
        )

    def run(self) -> None:
        """Write until stopped. Raises TooMany when too much can't be used, and whatever else goes wrong: start again
        then, nothing is lost or doubled."""
        self._producer.init_transactions(_TIMEOUT_SECONDS)
        self._consumer.subscribe(TOPICS, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)
        try:
            while not self._stopping():
                self._read()
                if not self._held() and (batches := self._due()):
                    self._flush(batches)
            if self._held_since is None:
                self._flush([batch for batch in self._assigned.batches.values() if batch.complete])
        finally:
            self._condition.be(STOPPING)
            self._consumer.close()

    # --- assignment ------------------------------------------------------------------------------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # the generation is that of this assignment: read later, it could be another member's turn already
        metadata = consumer.consumer_group_metadata()
        batches, starts = {}, []
        for committed in self._committed(consumer, partitions):
            repeat = written_ahead(committed.metadata)
            partition = committed.topic, committed.partition
            batches[partition] = Batch(partition, repeat, Tally.read(committed.metadata))
            start = committed.offset if committed.offset >= 0 else OFFSET_BEGINNING
            # something waits until the end is reached, or how much is known
            LAG.labels(*partition).set(1)
            starts.append(TopicPartition(committed.topic, committed.partition, start))
            if repeat is not None:
                log.info("repeating a batch", topic=committed.topic, partition=committed.partition, range=repeat)
        self._assigned = _Assignment(batches, metadata)
        consumer.assign(starts)
        self._condition.be(RUNNING)

    def _committed(self, consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Where to go on. Raises KafkaException."""

        def ask() -> list[TopicPartition]:
            found = consumer.committed(partitions, timeout=_TIMEOUT_SECONDS)
            for committed in found:
                if committed.error is not None:
                    raise KafkaException(committed.error)
            return list(found)

        def end(tp: TopicPartition) -> int:
            return int(consumer.get_watermark_offsets(tp, timeout=_TIMEOUT_SECONDS)[1])

        return current(ask, end, furthest(self._warehouse))

    def _held(self) -> bool:
        """Whether merges have to catch up first. Meanwhile the group is polled, but nothing more is read: what was
        read is written later as it is."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return self._held_since is not None
        why = self._patiently("parts", partial(crowded, self._warehouse, self._settings.warehouse_parts))
        if self._held_since is not None:
            metrics.HELD_SECONDS.inc(now - self._looked)
        self._looked = now
        if why is not None:
            # again each time: partitions may have been assigned since
            self._consumer.pause(self._consumer.assignment())
            self._condition.be(WAITING_FOR_WAREHOUSE, why)
            if self._held_since is None:
                log.warning("waiting for the warehouse", why=why)
                self._held_since = now
        elif self._held_since is not None:
            log.info("the warehouse has caught up", seconds=round(now - self._held_since, 1))
            self._consumer.resume(self._consumer.assignment())
            self._go_on()
            self._held_since = None
        return self._held_since is not None

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # not written ahead yet: whoever owns the partitions next reads it again, and tells what waits
        self._assigned = _Assignment({}, None)
        LAG.clear()
        self._waiting_since = None

    # --- reading ---------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        if self._condition.state == WAITING_FOR_BROKER:
            self._look_for_broker()
        # consume waits for all records asked for: wait for the first only, then take what is there
        first = self._consumer.poll(_POLL_SECONDS)
        if first is None:
            return
        for message in [first, *self._consumer.consume(_POLL_RECORDS, 0)]:
            self._take(message)
        for batch in self._assigned.batches.values():
            if batch.records:
                self._measure_lag(batch, batch.records)

    def _on_error(self, error: KafkaError) -> None:
        log.warning("kafka", error=error.str())
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._condition.be(WAITING_FOR_BROKER, error.str())

    def _look_for_broker(self) -> None:
        """Find out whether the broker is back; takes a second when it is not."""
        with suppress(KafkaException):
            self._consumer.list_topics(UPDATES, timeout=1)
            self._go_on()

    def _go_on(self) -> None:
        self._condition.be(RUNNING if self._assigned.batches else JOINING)

    def _take(self, message: Message) -> None:
        error = message.error()
        batch = self._assigned.batches.get((message.topic() or "", message.partition() or 0))
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                if batch is not None:
                    batch.reach(message.offset() or 0)
                    self._ends[batch.partition] = message.offset() or 0
                    LAG.labels(*batch.partition).set(batch.records)
                return
            if error.retriable() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                log.warning("waiting for Kafka", error=str(error))
                return
            raise KafkaException(error)
        offset = message.offset() or 0
        if batch is None:
            return  # of an assignment that is over
        if not batch.wants(offset):
            # behind the end of a batch that is repeated first
            self._flush([batch])
            batch = self._assigned.batches[batch.partition]
        self._use(batch, message, offset)
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()

    def _use(self, batch: Batch, message: Message, offset: int) -> None:
        topic, partition = batch.partition
        value, headers = message.value(), headers_of(message)
        if not meant_for(GROUP, headers):
            batch.add(offset, 0, [])
            return
        replay = replay_of(headers)
        # newer rows stay newer than what is replayed: it counts as of its first place
        origin = Origin(topic, partition, offset if replay is None else replay.first_offset)
        try:
            rows = rows_of(self._codec, origin, value)
            if topic == UPDATES and not rows and (erasure := erasure_of(self._codec, value)) is not None:
                batch.erase(erasure, origin)
            batch.add(offset, len(value or b""), rows)
        except BadRecord as error:
            log.warning("dead letter", topic=topic, partition=partition, offset=offset, reason=str(error))
            failed = Failed(topic, partition, offset, message.timestamp()[1], message.key(), value, headers)
            batch.refuse(Refused(failed, str(error)))

    def _due(self) -> list[Batch]:
        batches = [batch for batch in self._assigned.batches.values() if batch.complete]
        now = time.monotonic()
        gathered = None if self._waiting_since is None else now - self._waiting_since
        return batches if due(batches, now - self._flushed, gathered) else []

    # --- writing ---------------------------------------------------------------------------------------------------

    def _flush(self, batches: list[Batch]) -> None:
        if not batches:
            return
        began = time.monotonic()
        tallies = self._tallies(batches)
        ahead = [
            TopicPartition(*batch.partition, range_.first, f"{range_.metadata} {batch.before.metadata}".rstrip())
            for batch in batches
            if batch.repeat is None and (range_ := batch.range) is not None
        ]
        if ahead:
            self._commit(ahead, [])
        crash_point("sink.written-ahead")
        self._patiently("erasures", self._erasures.refresh)
        for batch in batches:
            self._insert(batch)
        # of what was erased something may have come in with this very flush: it goes with the rest
        for batch in batches:
            self._erase(batch)
        crash_point("sink.inserted")
        taken = [
            TopicPartition(*batch.partition, range_.last + 1, tallies[batch.partition].metadata)
            for batch in batches
            if (range_ := batch.range) is not None
        ]
        self._commit(taken, [refused for batch in batches for refused in batch.refused])
        crash_point("sink.committed")
        for partition, tally in tallies.items():
            self._assigned.batches[partition].before = tally
        for batch in batches:
            self._assigned.batches[batch.partition] = Batch(batch.partition, before=tallies[batch.partition])
            metrics.RECORDS.labels(batch.partition[0]).inc(batch.records)
            metrics.DEAD_LETTERS.labels(batch.partition[0]).inc(len(batch.refused))
            self._measure_lag(batch, 0)
        self._flushed = time.monotonic()
        self._waiting_since = None if not self._any_waiting() else self._flushed
        metrics.FLUSH_SECONDS.observe(self._flushed - began)

    def _tallies(self, batches: list[Batch]) -> dict[Partition, Tally]:
        """What could not be used up to the ends of these batches, by partition of their topics. Raises TooMany."""
        found: dict[Partition, Tally] = {}
        for topic in {batch.partition[0] for batch in batches}:
            before = {place: batch.before for place, batch in self._assigned.batches.items() if place[0] == topic}
            records = {batch.partition: batch.records for batch in batches if batch.partition[0] == topic}
            bad = {batch.partition: batch.bad for batch in batches if batch.partition[0] == topic}
            try:
                found |= after(before, records, bad, self._limits)
            except TooMany as many:
                last = [refused for batch in batches if batch.partition[0] == topic for refused in batch.refused][-1:]
                where = [f"[{r.record.partition}], the last one at offset {r.record.offset}: {r.reason}" for r in last]
                raise TooMany(f"sink stops: {many} in {topic}{''.join(where)}. {advice(GROUP, topic)}") from many
        return found

    def _measure_lag(self, batch: Batch, waiting: int) -> None:
        """Tell what waits: so many records that were read, and those behind the last of them."""
        if (range_ := batch.range) is not None:
            end = self._consumer.get_watermark_offsets(TopicPartition(*batch.partition), cached=True)[1]
            # what lies behind the last record may be the marks of transactions only
            behind = 0 if end <= self._ends.get(batch.partition, -1) else max(0, end - range_.last - 1)
            LAG.labels(*batch.partition).set(waiting + behind)

    def _any_waiting(self) -> bool:
        return any(batch.records for batch in self._assigned.batches.values())

    def _insert(self, batch: Batch) -> None:
        range_ = batch.range
        if range_ is None:
            return
        for table, found in batch.rows.items():
            rows = self._erasures.kept(table, found)
            if not rows:
                continue
            # the token makes repeating harmless
            self._patiently(table, partial(put, self._warehouse, table, rows, range_.token(batch.partition)))
            metrics.ROWS.labels(table).inc(len(rows))
        if "definitions" in batch.rows:
            self._patiently("views", partial(define, self._warehouse))

    def _erase(self, batch: Batch) -> None:
        for erasure in batch.erasures:
            self._patiently("erasure", partial(delete, self._warehouse, Names.of(erasure)))

    def _patiently(self, what: str, act: Callable[[], Done]) -> Done:
        """Do what may be repeated; a server that is away or overloaded is waited for."""
        give_up, pause = time.monotonic() + _PATIENCE_SECONDS, _FIRST_PAUSE_SECONDS
        while True:
            try:
                done = act()
                if pause > _FIRST_PAUSE_SECONDS:
                    self._go_on()
                return done
            except Exception as error:
                if not transient(error) or time.monotonic() > give_up:
                    raise
                log.warning("waiting for the warehouse", what=what, error=str(error), seconds=pause)
                self._condition.be(WAITING_FOR_WAREHOUSE, str(error).partition("\n")[0])
                time.sleep(pause)
                pause = min(2 * pause, 10.0)

    def _commit(self, offsets: list[TopicPartition], refused: list[Refused]) -> None:
        self._producer.begin_transaction()
        at = self._clock.now()
        for bad in refused:
            made = letter(bad.record, GROUP, BadRecord.__name__, bad.reason, at)
            self._producer.produce(
                DEAD_LETTERS, made.value, made.key, bad.record.partition, headers=sendable(made.headers)
            )
        metadata = self._assigned.metadata
        with self._watchdog.watching("a transaction", 3 * self._settings.transaction_timeout_ms / 1000):
            _insist(lambda: self._producer.send_offsets_to_transaction(offsets, metadata, _TIMEOUT_SECONDS))
            _insist(lambda: self._producer.commit_transaction(_TIMEOUT_SECONDS))


def _end(why: str) -> NoReturn:
    """The thread that writes waits for ever: only the process can be ended."""
    log.error("the sink stops", why=why)
    os._exit(75)


def _insist(call: Callable[[], None]) -> None:
    """Make a transaction call until it succeeds or fails for good; any failure but a retriable one ends the process.

    So does a retriable one that took its time: a client whose broker was away in the middle of a transaction has been
    seen never to find it again, and a new process repeats the batch.
    """
    give_up = time.monotonic() + _INSIST_SECONDS
    while True:
        try:
            return call()
        except KafkaException as error:
            reason = error.args[0]
            if not (isinstance(reason, KafkaError) and reason.retriable()) or time.monotonic() > give_up:
                raise
            log.warning("waiting for Kafka", error=str(error))
            time.sleep(_PAUSE_SECONDS)
