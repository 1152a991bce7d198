"""What a worker tells about itself: Prometheus metrics and its state."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.condition import JOINING, RUNNING, STOPPING, WAITING_FOR_BROKER, About, Condition

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)


class State(StrEnum):
    """What a worker is doing."""

    WAITING = WAITING_FOR_BROKER
    TOPICS = "waiting for topics"
    JOINING = JOINING
    RESTORING = "restoring"
    RUNNING = RUNNING
    IDLE = "no partitions"
    STOPPING = STOPPING


READY = frozenset({State.RUNNING, State.IDLE})


@dataclass(slots=True)
class Restore:
    """How far the restore of a partition is, in offsets of the changelog; `began` is of `time.monotonic`."""

    first: int
    position: int
    end: int
    began: float


class Metrics:
    """All metrics of a worker; every one carries the label `app`."""

    def __init__(self, app: str) -> None:
        self.app = app
        self._condition = Condition(app, State.WAITING, READY.__contains__)
        self._restores: dict[int, Restore] = {}
        self.registry = CollectorRegistry()
        self.records = self._counter("records", "Input records processed.", "topic", "partition")
        self.outputs = self._counter("outputs", "Records produced, by topic; state changes are not counted.", "topic")
        self.dead_letters = self._counter("dead_letters", "Inputs that became dead letters.", "topic", "error")
        self.wakes = self._counter("wakes", "Timers fired.", "partition")
        self.lag = self._gauge("lag_records", "Records behind the end of the partition.", "topic", "partition")
        self.oldest_timer = self._gauge(
            "oldest_timer_seconds",
            "Line seconds that the earliest pending timer is overdue; 0 if none is.",
            "partition",
        )
        self.restores = self._counter("restores", "Restores of a partition's state finished.", "partition")
        self.restoring = self._gauge("restoring_records", "Changelog records still to restore.", "partition")
        self.restored = self._gauge("restored_records", "Changelog records restored since the assignment.", "partition")
        self.partitions = self._gauge("partitions", "Partitions assigned.")
        self.last_commit = self._gauge(
            "last_commit_timestamp_seconds",
            "Seconds since 1970 of the last commit on an assigned partition, or of its assignment.",
            "partition",
        )
        self._ready = self._gauge("ready", "1 if the worker does all the work it has, else 0.")
        self._ready.labels(app).set_function(lambda: float(self.ready))
        self.calls = self._gauge("calls_under_way", "Calls to the outside under way.")
        self.transactions = self._histogram("transaction_seconds", "From begin to commit.", _SECONDS)
        self.steps = self._histogram("step_seconds", "Time in the stage per transaction.", _SECONDS)
        self.batches = self._histogram("batch_records", "Input records in a transaction.", _SIZES)

    @property
    def state(self) -> str:
        """What the worker is doing."""
        return self._condition.state

    @state.setter
    def state(self, state: State) -> None:
        self._condition.be(state)

    @property
    def ready(self) -> bool:
        """Whether the worker does all the work it has."""
        return self._condition.ready

    def be(self, state: State, detail: str) -> None:
        """Take note of a state and of what there is to know about it."""
        self._condition.be(state, detail)

    def about(self) -> About:
        """State, since when, and what there is to know about it."""
        if self.state == State.RESTORING:
            self._condition.be(State.RESTORING, self._progress())
        return self._condition.about()

    def restore_at(self, number: int, first: int, position: int, end: int) -> None:
        """The restore of a partition, from the offset `first` on, is at `position`; it is done at `end`."""
        began = self._restores[number].began if number in self._restores else time.monotonic()
        self._restores[number] = Restore(first, position, end, began)
        self.restoring.labels(self.app, str(number)).set(max(0, end - position))
        self.restored.labels(self.app, str(number)).set(position - first)

    def committed(self, partitions: Iterable[int]) -> None:
        """A transaction with offsets of these partitions is committed, or they are assigned just now."""
        now = time.time()
        for number in partitions:
            self.last_commit.labels(self.app, str(number)).set(now)

    def give_up(self) -> None:
        """No partition is assigned any more: what was true of them is now for their next owner to tell."""
        self.partitions.labels(self.app).set(0)
        self._restores.clear()
        for gauge in (self.lag, self.oldest_timer, self.restoring, self.restored, self.last_commit):
            gauge.clear()

    def _progress(self) -> str:
        """How far the restores are, all together."""
        restores = list(self._restores.values())
        done = sum(restore.position - restore.first for restore in restores)
        left = sum(max(0, restore.end - restore.position) for restore in restores)
        if not done + left:
            return ""
        told = f"{100 * done // (done + left)} %, {left:,} records left"
        if done and left:
            seconds = time.monotonic() - min(restore.began for restore in restores)
            told += f", about {left * seconds / done:.0f} s"
        nothing = sum(restore.first == 0 for restore in restores)
        return told + (f"; {nothing} partitions had no local state" if nothing else "")

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"pathline_{name}", about, ("app", *labels), registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"pathline_{name}", about, ("app", *labels), registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"pathline_{name}", about, ("app",), buckets=buckets, registry=self.registry)
