"""What the segments stage tells about itself beside the worker's own metrics."""

from prometheus_client import Counter, Gauge

IGNORED = Counter("pathline_segments_ignored_values", "Values of events that a measure could not use.")
GIVEN_UP = Counter("pathline_segments_given_up", "Persons for whom state on its way did not come in time.")
#: what a partition does to go over to other definitions, in this order; the metric counts from 1, 0 is nothing
STEPS = ("begin", "read", "pass", "sweep")
TURNOVER_STEP = Gauge(
    "pathline_segments_turnover",
    "What a partition does to go over to other definitions: 0 nothing, 1 begin, 2 read, 3 pass, 4 sweep.",
    ["partition"],
)
HISTORY_LEFT = Gauge(
    "pathline_segments_history_left", "Records that are to be read again for new definitions.", ["partition"]
)
