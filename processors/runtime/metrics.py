"""What a worker tells about itself: Prometheus metrics and its state."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)


class State(StrEnum):
    """What a worker is doing."""

    WAITING = "waiting for broker"
    JOINING = "joining"
    RESTORING = "restoring"
    RUNNING = "running"
    IDLE = "no partitions"
    STOPPING = "stopping"


READY = frozenset({State.RUNNING, State.IDLE})


class Metrics:
    """All metrics of a worker; every one carries the label `app`."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.state = State.WAITING
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
        self.partitions = self._gauge("partitions", "Partitions assigned.")
        self.calls = self._gauge("calls_under_way", "Calls to the outside under way.")
        self.transactions = self._histogram("transaction_seconds", "From begin to commit.", _SECONDS)
        self.steps = self._histogram("step_seconds", "Time in the stage per transaction.", _SECONDS)
        self.batches = self._histogram("batch_records", "Input records in a transaction.", _SIZES)

    @property
    def ready(self) -> bool:
        """Whether the worker does all the work it has."""
        return self.state in READY

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"pathline_{name}", about, ("app", *labels), registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"pathline_{name}", about, ("app", *labels), registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"pathline_{name}", about, ("app",), buckets=buckets, registry=self.registry)
