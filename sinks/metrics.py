"""What all that read the line without a group of workers tell Prometheus alike."""

from __future__ import annotations

from prometheus_client import Gauge

LAG = Gauge(
    "pathline_lag_records", "Offsets between what was committed and the end of a partition.", ["topic", "partition"]
)
