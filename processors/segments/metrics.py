"""What the segments stage tells about itself beside the worker's own metrics."""

from prometheus_client import Counter

GIVEN_UP = Counter("pathline_segments_given_up", "Persons for whom state on its way did not come in time.")
