"""What the segments stage tells about itself beside the worker's own metrics."""

from prometheus_client import Counter

IGNORED = Counter("pathline_segments_ignored_values", "Values of events that a measure could not use.")
GIVEN_UP = Counter("pathline_segments_given_up", "Persons for whom state on its way did not come in time.")
