"""Follows the line: committed records of all partitions into the store, each once.

A batch of changes and how far was read to make them are one write, so a kill repeats nothing and leaves nothing out. At
the start it goes on from there; where the topics do not have what it has missed, it begins anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.clock import Clock
from schemas.codec import BadRecord, Codec
from schemas.condition import RUNNING, WAITING_FOR_BROKER, Condition
from schemas.dead_letters import Failed, letter, meant_for
from schemas.headers import headers_of
from schemas.kafka import DELETIONS_KEPT_MS, cause_of, client_config, consumer_config
from schemas.limits import Limits, TooMany, advice, after
from schemas.settings import Settings
from schemas.topics import DAY_MS, DEAD_LETTERS, UPDATES
from schemas.waiting import wait_for_broker
from sinks.metrics import LAG
from sinks.profiles import metrics
from sinks.profiles.finding import Found, find
from sinks.profiles.fold import TOPICS, Fold, topics_of
from sinks.profiles.kept import left
from sinks.profiles.outbox import Outbox, Told
from sinks.profiles.store import Place, Position, Store

APP = "profiles"
RESTORING = "restoring"
WAITING_FOR_TOPICS = "waiting for topics"

_POLL_SECONDS = 0.1
_PAUSE_SECONDS = 1.0
_ANSWER_SECONDS = 10.0
#: so many are folded before others in this process may have their turn
_RECORDS = 1_000
#: a client that was away may have missed deletions of compacted topics after so long
_MOST_AWAY_MS = DELETIONS_KEPT_MS - DAY_MS
#: messages that have left their inbox are removed so often, so many at a time
_SWEEP_SECONDS = 10.0
_SWEPT = 10_000

log = structlog.get_logger(APP)


class Inboxes(Protocol):
    """What a project says of inboxes."""

    def inboxes(self) -> Mapping[str, int]:
        """Channels that people read themselves, with how long messages stay there (milliseconds)."""


@dataclass(slots=True)
class _Reading:
    """A partition: where it is read, the end it had at the start, whether nothing followed when it was looked at last,
    and the Kafka time of its last record (wall milliseconds)."""

    position: Position
    goal: int
    at_end: bool = False
    last: int = 0


@dataclass(slots=True)
class _Batch:
    """Records of one partition: how many there were, and those that could not be used, by their place among them."""

    records: int = 0
    bad: list[int] = field(default_factory=list)
    next: int = 0


class Follower:
    """Reads until told to stop. All methods but `as_of` are for one thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        outbox: Outbox,
        codec: Codec,
        condition: Condition,
        projects: Inboxes,
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._brokers = settings.brokers
        self._store = store
        self._outbox = outbox
        self._codec = codec
        self._condition = condition
        self._projects = projects
        self._stopping = stopping.is_set
        self._pause = stopping.wait
        self._clock: Clock = settings.make_clock()
        self._limits = Limits(settings.dead_letter_ratio, settings.dead_letter_run)
        self._reading: dict[Place, _Reading] = {}
        self._looked = self._swept = 0.0

    def as_of(self) -> int:
        """Line time before which everything that was committed is in the store; milliseconds since 1970 UTC."""
        updates = [reading for (topic, _), reading in self._reading.items() if topic == UPDATES]
        behind = [reading.last for reading in updates if not reading.at_end]
        return self._clock.line(min(behind)) if behind else self._clock.now()

    def run(self) -> None:
        """Follow until stopped. Raises TooMany, KafkaException, and whatever else goes wrong: start again then."""
        if not self._topics_are_there():
            return
        ahead = {"queued.min.messages": 100_000, "fetch.wait.max.ms": 50, "error_cb": self._on_error}
        self._consumer = Consumer(consumer_config(self._brokers, APP) | ahead | {"enable.partition.eof": True})
        try:
            self._begin()
            while not self._stopping():
                self._read()
        finally:
            self._consumer.close()

    # --- where to go on --------------------------------------------------------------------------------------------

    def _topics_are_there(self) -> bool:
        """Wait for them; False when stopped meanwhile."""
        if not wait_for_broker(self._brokers, self._pause, self._no_broker):
            return False
        admin = AdminClient(client_config(self._brokers))
        while not self._stopping():
            try:
                there = admin.list_topics(timeout=_ANSWER_SECONDS).topics
                missing = [topic for topic in TOPICS if topic not in there]
                if not missing:
                    return True
                self._condition.be(WAITING_FOR_TOPICS, f"missing: {', '.join(missing)}; `pathline topics apply`")
            except KafkaException as error:
                self._no_broker(cause_of(error).str())
            self._pause(_PAUSE_SECONDS)
        return False

    def _no_broker(self, why: str) -> None:
        self._condition.be(WAITING_FOR_BROKER, why)
        log.warning("waiting for the broker", why=why)

    def _begin(self) -> None:
        found, known = (
            find(self._brokers, self._consumer, [*TOPICS, *topics_of(self._inboxes())]),
            self._store.positions(),
        )
        if known and (why := self._useless(known, found)):
            log.warning("what is on disk is thrown away and read again", why=why)
            self._store.clear()
            known = {}
        self._follow(found, known)
        left = sum(max(0, reading.goal - reading.position.offset) for _, reading in self._all())
        self._condition.be(RESTORING, f"{left:,} records to read")
        log.info("following", partitions=len(self._reading), records_to_read=left)

    def _useless(self, known: dict[Place, Position], found: dict[Place, Found]) -> str:
        """Why the store can't be gone on with; empty when it can."""
        for place, now in found.items():
            position = known.get(place)
            if position is not None and (why := now.unfit(position)):
                return f"{place[0]}[{place[1]}]: {why}"
        away = time.time_ns() // 1_000_000 - (self._store.written_at or 0)
        behind = any(place in known and known[place].offset < now.end for place, now in found.items())
        return "deletions it missed may be compacted away" if behind and away > _MOST_AWAY_MS else ""

    def _follow(self, found: dict[Place, Found], known: dict[Place, Position]) -> None:
        """Read these from where the store is, besides those that are read already."""
        for place, now in found.items():
            position = known.get(place)
            if position is None or now.unfit(position):
                position = Position(0, now.topic_id)
            self._reading[place] = _Reading(position, now.end)
        self._consumer.incremental_assign([TopicPartition(*p, self._reading[p].position.offset) for p in found])

    def _inboxes(self) -> Mapping[str, int]:
        return self._projects.inboxes()

    def _look_for_inboxes(self) -> None:
        """A project that is published while this runs may have others than the one before."""
        read = {topic for topic, _ in self._reading}
        if missing := [topic for topic in topics_of(self._inboxes()) if topic not in read]:
            self._follow(find(self._brokers, self._consumer, missing), self._store.positions())

    def _sweep(self) -> None:
        """Remove messages that have left their inbox."""
        if gone := left(self._store.scan, self._clock.now(), _SWEPT):
            self._store.write(gone)

    def _all(self) -> Iterable[tuple[Place, _Reading]]:
        return self._reading.items()

    # --- reading ---------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        first = self._consumer.poll(_POLL_SECONDS)
        if first is not None:
            self._take([first, *self._consumer.consume(_RECORDS, 0)])
        if self._condition.state == WAITING_FOR_BROKER:
            self._look_for_broker()
        if time.monotonic() - self._looked > _PAUSE_SECONDS:
            self._looked = time.monotonic()
            self._measure()
            self._look_for_inboxes()
        if time.monotonic() - self._swept > _SWEEP_SECONDS:
            self._swept = time.monotonic()
            self._sweep()
        if self._condition.state == RESTORING and all(r.position.offset >= r.goal for _, r in self._all()):
            self._store.completed()
            self._condition.be(RUNNING)
            log.info("caught up")

    def _take(self, messages: list[Message]) -> None:
        events, inboxes = self._settings.profile_events, self._inboxes()
        fold = Fold(self._codec, self._store, events=events, inboxes=inboxes)
        batches: dict[Place, _Batch] = {}
        for message in messages:
            place, error = (message.topic() or "", message.partition() or 0), message.error()
            reading = self._reading[place]
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    # behind the marks of transactions
                    reading.at_end = True
                    batch = batches.setdefault(place, _Batch())
                    batch.next = max(batch.next, message.offset() or 0)
                    continue
                if error.retriable() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    log.warning("waiting for Kafka", error=str(error))
                    continue
                raise KafkaException(error)
            batch = batches.setdefault(place, _Batch())
            batch.next = (message.offset() or 0) + 1
            reading.at_end, reading.last = False, message.timestamp()[1]
            self._use(fold, batch, message)
            batch.records += 1
        self._write(fold, batches)

    def _use(self, fold: Fold, batch: _Batch, message: Message) -> None:
        topic, headers = message.topic() or "", headers_of(message)
        if not meant_for(APP, headers):
            return
        try:
            fold.take(topic, message.key(), message.value())
        except BadRecord as error:
            batch.bad.append(batch.records)
            place = f"{topic}[{message.partition()}]@{message.offset()}"
            log.warning("dead letter", place=place, why=str(error))
            failed = Failed(
                topic,
                message.partition() or 0,
                message.offset() or 0,
                message.timestamp()[1],
                message.key(),
                message.value(),
                headers,
            )
            made = letter(failed, APP, type(error).__name__, str(error), self._clock.now())
            metrics.DEAD_LETTERS.labels(topic).inc()
            self._outbox.tell(Told(DEAD_LETTERS, made.key, made.value, failed.partition, made.headers))

    def _write(self, fold: Fold, batches: dict[Place, _Batch]) -> None:
        tallies = self._tallies(batches)
        for place, batch in batches.items():
            reading = self._reading[place]
            offset = max(batch.next, reading.position.offset)
            reading.position = Position(offset, reading.position.topic_id, tallies.get(place, reading.position.tally))
            metrics.RECORDS.labels(place[0]).inc(batch.records)
        if batches:
            self._store.write(fold.changes, {place: self._reading[place].position for place in batches})

    def _tallies(self, batches: dict[Place, _Batch]) -> dict[Place, str]:
        """What could not be used up to the ends of these batches. Raises TooMany."""
        found: dict[Place, str] = {}
        for topic in {place[0] for place, batch in batches.items() if batch.records}:
            before = {place: reading.position.counted for place, reading in self._all() if place[0] == topic}
            here = {place: batch for place, batch in batches.items() if place[0] == topic}
            try:
                now = after(
                    before,
                    {place: batch.records for place, batch in here.items()},
                    {place: batch.bad for place, batch in here.items()},
                    self._limits,
                )
            except TooMany as many:
                raise TooMany(f"{APP} stops: {many} in {topic}. {advice(APP, topic)}") from many
            found |= {place: tally.metadata for place, tally in now.items()}
        return found

    def _measure(self) -> None:
        behind = 0
        for (topic, partition), reading in self._all():
            end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)[1]
            lag = 0 if reading.at_end else max(0, end - reading.position.offset)
            LAG.labels(topic, str(partition)).set(lag)
            behind += lag
        metrics.BEHIND_SECONDS.set(max(0, self._clock.now() - self.as_of()) / 1000)
        if self._condition.state == RESTORING:
            self._condition.be(RESTORING, f"{behind:,} records to read")

    def _on_error(self, error: KafkaError) -> None:
        log.warning("kafka", error=error.str())
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._condition.be(WAITING_FOR_BROKER, error.str())

    def _look_for_broker(self) -> None:
        """Find out whether the broker is back; takes a second when it is not."""
        with suppress(KafkaException):
            self._consumer.list_topics(UPDATES, timeout=1)
            self._condition.be(RESTORING)
