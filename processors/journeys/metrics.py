"""What the journeys stage tells about itself beside the worker's own metrics."""

from prometheus_client import Counter, Gauge

CODES_LEFT = Gauge("pathline_promo_codes_left", "Codes left in the pool of a promo.", ["promo", "partition"])
CODES_LOW = Gauge("pathline_promo_codes_low", "Fewer codes left than this, in all partitions, are few.", ["promo"])
CODES_MISSED = Counter("pathline_promo_codes_missed", "Codes not given because none was left.", ["promo"])
