"""What the read side tells Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("pathline_profiles_records", "Records that were read.", ["topic"])
DEAD_LETTERS = Counter("pathline_profiles_dead_letters", "Records that could not be used.", ["topic"])
BEHIND_SECONDS = Gauge("pathline_profiles_behind_seconds", "Line time between now and what answers are as of.")
REQUESTS = Counter("pathline_profiles_requests", "Answers by what was asked for and status.", ["call", "status"])
ANSWER_SECONDS = Histogram(
    "pathline_profiles_answer_seconds",
    "Time of an answer inside the process.",
    ["call"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2),
)
UNTOLD = Gauge("pathline_profiles_untold_records", "Accesses and dead letters that Kafka did not acknowledge yet.")
UNREADABLE = Counter("pathline_profiles_unreadable_states", "States of journeys that could not be read.")
