"""What dispatch tells about itself beside what every worker does."""

from prometheus_client import Counter, Gauge

OUTCOMES = Counter(
    "pathline_dispatch_outcomes", "What became of hand-overs, by kind of outcome.", ("channel", "lane", "outcome")
)
WAITING = Gauge("pathline_dispatch_waiting", "Messages that wait to be handed over.", ("channel", "lane", "partition"))
PAUSED = Gauge(
    "pathline_dispatch_paused",
    "1 while a provider that is away or busy is left alone, with what it said; else absent.",
    ("channel", "lane", "partition", "why"),
)

_LONGEST = 200
_shown: dict[tuple[str, str, str], str] = {}


def show(channel: str, lane: str, partition: int, waiting: int, why: str, paused: bool) -> None:
    """Take note of how a partition stands: how many messages wait, and whether its provider is left alone, and why."""
    place = (channel, lane, str(partition))
    WAITING.labels(*place).set(waiting)
    told = (why or "busy")[:_LONGEST] if paused else ""
    before = _shown.get(place, "")
    if told != before:
        if before:
            PAUSED.remove(*place, before)
        if told:
            PAUSED.labels(*place, told).set(1)
        _shown[place] = told
