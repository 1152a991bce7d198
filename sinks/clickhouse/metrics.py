"""What the sink tells Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("pathline_sink_records", "Records whose batch was committed.", ["topic"])
ROWS = Counter("pathline_sink_rows", "Rows inserted, repeated ones included.", ["table"])
DEAD_LETTERS = Counter("pathline_sink_dead_letters", "Records that could not be used.", ["topic"])
FLUSH_SECONDS = Histogram(
    "pathline_sink_flush_seconds",
    "Time of one flush: write-ahead, inserts, commit.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3),
)
PARTS = Gauge("pathline_sink_parts", "Most active parts that a partition of a table has.", ["table"])
HELD_SECONDS = Counter("pathline_sink_held_seconds", "Time the sink waited because parts had piled up.")
QUERIES = Counter("pathline_sink_queries", "Queries answered over HTTP.", ["outcome"])
