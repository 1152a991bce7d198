"""A worker's place in its consumer group: which partitions it has, what it reads from them, how far it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.runtime import unreadable
from processors.runtime.contract import Record
from processors.runtime.exits import Exit, Stop
from processors.runtime.metrics import Metrics
from processors.runtime.partition import Partition, Source
from processors.runtime.restore import Restorer
from processors.runtime.rocks import RocksStore
from processors.runtime.turns import Unreadable
from schemas.headers import headers_of
from schemas.kafka import cause_of, consumer_config, watermarks
from schemas.limits import Tally
from schemas.settings import Settings

log = structlog.get_logger()

_ANSWER_SECONDS = 30.0

#: A record, or (topic, partition) whose end was reached.
Entry = Record | tuple[str, int]


class Listener(Protocol):
    """Who has to know of assignments; called in the Kafka thread, returns when done."""

    def assigned(self, partitions: set[tuple[str, int]]) -> None:
        """These (topic, partition) are ours now."""

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        """These are going to be ours no longer."""


class Membership:
    """The consumer of a worker. Used in the Kafka thread only, where rebalance callbacks run too."""

    def __init__(
        self,
        settings: Settings,
        app: str,
        topics: tuple[str, ...],
        metrics: Metrics,
        listener: Listener,
        settle: Callable[[], None],
    ) -> None:
        """`settle` is called before partitions are given up, while transactions on them are still accepted."""
        self.partitions: dict[int, Partition] = {}
        self.group: Any = None
        self.joined = False
        self.reachable = True
        self._app, self._topics, self._metrics, self._listener, self._settle = app, topics, metrics, listener, settle
        self._folder, self._brokers = state_folder(settings, app), settings.brokers
        self._epoch = 0
        self._lost: Stop | None = None
        self._restorer = Restorer(settings.brokers, app, metrics)
        self._topic_id = self._restorer.topic_id()
        self._consumer = Consumer(
            consumer_config(settings.brokers, app)
            | {
                # 11. Classic protocol and range: partitions of the same number of all topics stay together. (With
                #     KIP-848 the default assignor separates them.)
                "group.protocol": "classic",
                "partition.assignment.strategy": "range",
                "group.instance.id": instance_id(settings, app, topics),
                "session.timeout.ms": settings.session_timeout_ms,
                # members learn of a rebalance by their heartbeats
                "heartbeat.interval.ms": min(settings.session_timeout_ms // 6, 1_000),
                "enable.partition.eof": True,
                # 8. Read far ahead: with less the worker starves at a third of the speed.
                "queued.min.messages": 100_000,
                "queued.max.messages.kbytes": 64 * 1024,
                "fetch.queue.backoff.ms": 10,
                # how long the end of a partition can go unnoticed, and a due timer wait for it
                "fetch.wait.max.ms": 100,
                "error_cb": self._on_error,
            }
        )
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    @property
    def restoring(self) -> bool:
        """Whether any partition is not restored yet."""
        return self._restorer.busy

    def fetch(self, most: int, timeout: float) -> list[Entry]:
        """Up to `most` records, waiting up to `timeout` seconds for the first; rebalances happen in here."""
        epoch = self._epoch
        # 8. consume(n, timeout) waits for all n.
        first = self._consumer.poll(timeout)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(most - 1, 0)] if most > 1 else [first]
        if epoch != self._epoch:
            # partitions changed hands in between and what was fetched before must not be mixed with what comes now
            if self.partitions:
                self._assign()
            return []
        return [entry for message in messages if (entry := self._entry(message)) is not None]

    def restore(self, timeout: float) -> None:
        """Go on restoring; partitions that are done take part from now on."""
        done = self._restorer.step(timeout)
        if [partition for partition in done if self._trust_state(partition)]:
            self._assign()
        elif done:
            self._consumer.resume([tp for partition in done for tp in self._inputs(partition)])

    def hold(self) -> None:
        """Fetch nothing for now."""
        self._consumer.pause(self._all_inputs())

    def go_on(self) -> None:
        """Fetch again."""
        self._consumer.resume([tp for p in self.partitions.values() if p.restored for tp in self._inputs(p)])

    def offsets(self, partitions: set[int]) -> list[TopicPartition]:
        """What to commit for these partitions: never the client's position, which is -1001 before the first record and
        then ignored."""
        return [tp for number in sorted(partitions) for tp in self._inputs(self.partitions[number])]

    def look_for_broker(self) -> None:
        """Find out whether the broker is back, when it was not reachable."""
        if not self.reachable:
            with contextlib.suppress(KafkaException):
                self._consumer.list_topics(self._topics[0], timeout=1)
                self.reachable = True

    def measure(self) -> None:
        """Set the gauges of lag."""
        for partition in self.partitions.values():
            for topic, source in partition.sources.items():
                lag = 0
                if not source.at_end:
                    tp = TopicPartition(topic, partition.number)
                    lag = max(0, self._consumer.get_watermark_offsets(tp, cached=True)[1] - source.next)
                self._metrics.lag.labels(self._app, topic, str(partition.number)).set(lag)

    def close(self) -> None:
        """Leave the group; what is under way is settled before."""
        self._consumer.close()
        self._restorer.close()

    def _entry(self, message: Message) -> Entry | None:
        error, topic, number = message.error(), message.topic() or "", message.partition() or 0
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                return topic, number
            if error.fatal() or error.code() == KafkaError._FATAL:
                raise Stop(Exit.LOST, f"{self._app} can't go on reading {topic or 'its topics'}: {error.str()}")
            log.warning("reading", app=self._app, topic=topic, error=error.str())
            return None
        offset = message.offset() or 0
        partition = self.partitions.get(number)
        if partition is None or offset < partition.sources[topic].next:
            return None
        timestamp = message.timestamp()[1]
        return Record(topic, number, offset, timestamp, message.key(), message.value(), headers_of(message))

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        if self._lost is not None:
            # the client may call here before it raises: seen when it had its place again at once
            raise self._lost
        # 9. This runs in the polling thread; the listener hands it to its own loop and waits.
        # 1. The generation these partitions belong to, taken now and kept: read at commit time, a zombie would get the
        #    new one.
        self.group = consumer.consumer_group_metadata()
        self._epoch += 1
        self.joined = True
        by_number: dict[int, dict[str, Source]] = {}
        for tp in self._committed(assigned):
            by_number.setdefault(tp.partition, {})[tp.topic] = Source(tp.offset, Tally.read(tp.metadata))
        for number, sources in by_number.items():
            if len(sources) != len(self._topics):
                raise Stop(Exit.SETUP, f"{self._app} was given only {sorted(sources)} of partition {number}")
            store = RocksStore(self._folder / str(number))
            self.partitions[number] = Partition(number, self._epoch, store, self._topic_id, sources)
        self._restorer.start(list(self.partitions.values()))
        for partition in self.partitions.values():
            if partition.restored:
                self._trust_state(partition)
        self._assign()
        self._metrics.partitions.labels(self._app).set(len(self.partitions))
        self._metrics.committed(self.partitions)
        log.info("assigned", app=self._app, partitions=sorted(self.partitions), restoring=self._restorer.busy)
        self._listener.assigned({(tp.topic, tp.partition) for tp in assigned})

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        self._settle()
        self._give_up()
        log.info("revoked", app=self._app, partitions=sorted({tp.partition for tp in revoked}))
        self._listener.revoked({(tp.topic, tp.partition) for tp in revoked})

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        # 6. Somebody else has them already.
        numbers = sorted({tp.partition for tp in lost})
        self._lost = Stop(Exit.LOST, f"{self._app} lost partitions {numbers}: it did not answer the group in time")
        raise self._lost

    def _give_up(self) -> None:
        self._restorer.stop()
        for partition in self.partitions.values():
            partition.store.close()
        self.partitions.clear()
        self._epoch += 1
        self.group = None
        self.joined = False
        self._metrics.give_up()

    def _committed(self, assigned: list[TopicPartition]) -> list[TopicPartition]:
        """Where to start: the committed offset, else the beginning."""
        # 4. A read_committed client is told stable offsets only: it waits for transactions of a former owner to end.
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                found = self._consumer.committed(assigned, timeout=5)
                failed = next((str(tp.error) for tp in found if tp.error is not None), None)
                if failed is None:
                    return [tp if tp.offset >= 0 else self._beginning(tp) for tp in found]
            except KafkaException as error:
                failed = cause_of(error).str()
            if time.monotonic() > deadline:
                raise Stop(Exit.LOST, f"{self._app} can't learn where to start: {failed}")
            log.warning("asking again for committed offsets", app=self._app, error=failed)

    def _trust_state(self, partition: Partition) -> bool:
        """Go on behind what the state was made of, where the broker told less; whether that was so."""
        # 12. A broker that was killed and comes back tells offsets of long ago for a moment, while it reads its log of
        #     offsets. What was written in one transaction with the state is as old as the state.
        stale = False
        try:
            made_of = partition.made_of()
        except Unreadable as found:
            raise Stop(Exit.STATE, unreadable.advice(self._brokers, self._app, found)) from found
        for topic, offset in made_of.items():
            source = partition.sources.get(topic)
            if source is None or offset <= source.next:
                continue
            _, end = watermarks(self._consumer, TopicPartition(topic, partition.number), _ANSWER_SECONDS)
            told = {"topic": topic, "partition": partition.number, "broker": source.next, "state": offset}
            if offset > end:
                log.warning("the state was made of another topic of this name", app=self._app, end=end, **told)
                continue
            log.warning("an old offset was told; going on where the state is", app=self._app, **told)
            source.next, stale = offset, True
        return stale

    def _beginning(self, tp: TopicPartition) -> TopicPartition:
        low, _ = watermarks(self._consumer, tp, _ANSWER_SECONDS)
        return TopicPartition(tp.topic, tp.partition, low)

    def _assign(self) -> None:
        """Read every partition from where it is; those not restored yet wait."""
        self._consumer.assign(self._all_inputs())
        self.hold()
        self.go_on()

    def _inputs(self, partition: Partition) -> list[TopicPartition]:
        return [
            TopicPartition(topic, partition.number, source.next, source.tally.metadata)
            for topic, source in partition.sources.items()
        ]

    def _all_inputs(self) -> list[TopicPartition]:
        return [tp for partition in self.partitions.values() for tp in self._inputs(partition)]

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.reachable = False
        log.warning("kafka", app=self._app, error=error.str())


def instance_id(settings: Settings, app: str, topics: tuple[str, ...]) -> str:
    """Name of a worker as a static member (KIP-345): started again within the session timeout it has its partitions
    at once, with their state, and the group does not rebalance.

    The input topics are part of it: a static member is given what it had, and the broker (KAFKA-13435) would not see
    that a new version of the app reads other topics.
    """
    return f"{app}-{settings.worker}-{crc32(','.join(topics).encode()):08x}"


def state_folder(settings: Settings, app: str) -> Path:
    """Where a worker keeps the stores of its partitions."""
    return settings.home / "state" / f"{app}-{settings.worker}"
