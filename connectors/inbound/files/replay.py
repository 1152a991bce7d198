"""Sources into the line: every event once, at its time, through kills.

On a scaled clock an event is published when the clock reaches its time and counts as received then: the line lives the
recording. On the wall clock the recording is history: published as fast as the line takes it, received now, and marked
historical, so that it fills profiles and paths by its own times and starts no journeys.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.inbound.files.base import Item, Source, repeatable
from connectors.inbound.files.position import Digest, Position, Positions
from connectors.inbound.files.transactions import Loaded, Transactions
from connectors.inbound.published import latest_rules
from connectors.inbound.segment import Rejected, timed, to_event
from schemas.clock import Clock, ScaledClock
from schemas.codec import Codec
from schemas.dead_letters import refused_at_edge
from schemas.definitions.model import IdentityRules
from schemas.kafka import client_config
from schemas.records import Event
from schemas.registry import codec_for
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, EVENTS

APP = "load"
#: a transaction ends after so many records or bytes, or when the next event is not due yet
RECORDS, BYTES = 5_000, 4 * 1024 * 1024
#: or after so many wall seconds: on a scaled clock they are hours of the line
SCALED_SECONDS, WALL_SECONDS = 0.05, 1.0
#: longest wall seconds between two looks at the clock
NAP = 0.02
#: wall seconds between two reports of progress
REPORT_EVERY = 2.0
#: a clock of a recording knows no arrival: nothing in it is from the future
_END_OF_TIME = 253_402_300_799_000


class NotReady(Exception):
    """This can't be loaded into the line; the text says what to do."""


@dataclass(slots=True)
class Progress:
    """Counts of one run of a load. `at` is the time of the last event, milliseconds since 1970 UTC."""

    skipped: int = 0
    accepted: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    at: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Wall seconds of this run."""
        return time.monotonic() - self.started


def load_into_line(
    settings: Settings, source: Source, report: Callable[[Progress], None], from_start: bool = False
) -> Progress:
    """Load what of a source is not loaded yet, or all of it `from_start`. `report` is called about every two seconds.

    On a scaled clock it returns at the clock's end with what is due until then. Raises NotReady, Ended, OSError,
    KafkaException.
    """
    _reach(settings.brokers)
    codec = codec_for(settings)
    rules = latest_rules(settings.brokers, codec)
    if rules is None:
        raise NotReady("no project is published in this line yet: run `pathline apply` first")
    positions = Positions(settings.brokers, source.id)
    try:
        transactions = Transactions(settings, positions)
        run = _Run(source, settings.make_clock(), codec, rules, transactions, report)
        again = from_start or not repeatable(source)
        return run.go(Position() if again else positions.read(timeout=30.0))
    finally:
        positions.close()


def _reach(brokers: str) -> None:
    """Ask Kafka once, quietly. Raises NotReady."""
    try:
        # log_level 0: the client would report every connection that is refused
        there = AdminClient(client_config(brokers) | {"log_level": 0}).list_topics(EVENTS, timeout=10.0)
    except KafkaException:
        raise NotReady(f"Kafka at {brokers} does not answer: is the line up (pathline up)?") from None
    if there.topics[EVENTS].error is not None:
        raise NotReady(f"Kafka at {brokers} has no topic {EVENTS} yet: run `pathline topics apply` first")


class _Run:
    """One run of a load."""

    def __init__(
        self,
        source: Source,
        clock: Clock,
        codec: Codec,
        rules: IdentityRules,
        transactions: Transactions,
        report: Callable[[Progress], None],
    ) -> None:
        self._source = source
        self._name = f"load:{source.id}"
        self._clock = clock
        self._scaled = clock if isinstance(clock, ScaledClock) else None
        self._patience = WALL_SECONDS if self._scaled is None else SCALED_SECONDS
        self._codec = codec
        self._rules = rules
        self._transactions = transactions
        self._report = report
        self._reported = time.monotonic()
        self._digest = Digest()
        self._batch: list[Loaded] = []
        self._bytes = 0
        self._began = 0.0
        self.progress = Progress()

    def go(self, position: Position) -> Progress:
        """Take everything behind the position."""
        items = iter(self._source.items())
        self._skip(items, position)
        for item in items:
            if not self._take(item):
                break
        self._commit()
        return self.progress

    def _skip(self, items: Iterator[Item], position: Position) -> None:
        """Pass over what is loaded already."""
        for item in islice(items, position.count):
            self._digest.add(item)
            self.progress.skipped += 1
        if position.count and self._digest.position != position:
            raise NotReady(
                f"{self._source.id} has changed: its first {position.count} items were loaded and are not the same any "
                "more. Load it whole with --from-start; messages that came in the last days are dropped as duplicates."
            )

    def _take(self, item: Item) -> bool:
        """Publish an item, at its time; False when the clock ends before it."""
        try:
            event = self._event(item)
        except Rejected as error:
            self.progress.rejected += 1
            self.progress.reasons[str(error)] += 1
            at = self._clock.now()
            self._add(item, Loaded(DEAD_LETTERS, None, item.raw, refused_at_edge(APP, self._name, error, at)))
            return True
        if self._scaled is not None:
            if event.occurred_at > self._scaled.until:
                return False
            self._wait(event.occurred_at)
        self.progress.accepted += 1
        self.progress.at = event.occurred_at
        self._add(item, Loaded(EVENTS, event.identifiers[0].encode(), self._codec.encode(event)))
        return True

    def _event(self, item: Item) -> Event:
        if item.message is None:
            raise Rejected(item.problem)
        if not timed(item.message):
            raise Rejected("no timestamp")
        if self._scaled is None:
            now = self._clock.now()
            return to_event(
                item.message, self._rules, received_at=now, source=self._name, historical=True, use_sent_at=False
            )
        event = to_event(item.message, self._rules, received_at=_END_OF_TIME, source=self._name, use_sent_at=False)
        return msgspec.structs.replace(event, received_at=event.occurred_at)

    def _wait(self, due: int) -> None:
        """Until the clock reaches an instant; what is due already is published before."""
        while (left := self._clock.wall_until(due)) > 0:
            self._commit()
            self._tell()
            time.sleep(min(left, NAP))

    def _add(self, item: Item, record: Loaded) -> None:
        if not self._batch:
            self._began = time.monotonic()
        self._batch.append(record)
        self._bytes += len(record.value)
        self._digest.add(item)
        full = len(self._batch) >= RECORDS or self._bytes >= BYTES
        if full or time.monotonic() - self._began >= self._patience:
            self._commit()
            self._tell()

    def _commit(self) -> None:
        if self._batch:
            self._transactions.commit(self._batch, self._digest.position)
            self._batch = []
            self._bytes = 0

    def _tell(self) -> None:
        if time.monotonic() - self._reported >= REPORT_EVERY:
            self._reported = time.monotonic()
            self._report(self.progress)
