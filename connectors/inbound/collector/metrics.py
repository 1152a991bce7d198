"""Figures of the collector for Prometheus."""

from __future__ import annotations

from contextlib import AbstractContextManager

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from connectors.inbound.collector.publisher import Publisher


class Metrics:
    """Counted from the start of the process."""

    MEDIA_TYPE = CONTENT_TYPE_LATEST

    def __init__(self, publisher: Publisher) -> None:
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "pathline_collector_requests", "Requests answered.", ["call", "status"], registry=self._registry
        )
        self._messages = Counter(
            "pathline_collector_messages", "Messages judged.", ["outcome"], registry=self._registry
        )
        self._seconds = Histogram(
            "pathline_collector_acknowledge_seconds",
            "From a parsed request to Kafka's acknowledgement, in seconds.",
            registry=self._registry,
        )
        outstanding = Gauge(
            "pathline_collector_outstanding", "Records not acknowledged by Kafka yet.", registry=self._registry
        )
        outstanding.set_function(lambda: publisher.outstanding)

    def answered(self, call: str, status: int) -> None:
        self._answers.labels(call, str(status)).inc()

    def accepted(self, count: int) -> None:
        self._messages.labels("accepted").inc(count)

    def rejected(self, count: int) -> None:
        self._messages.labels("rejected").inc(count)

    def acknowledging(self) -> AbstractContextManager[object]:
        """Times its block."""
        return self._seconds.time()

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
