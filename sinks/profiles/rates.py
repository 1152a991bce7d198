"""How often a key may ask: token buckets, one for each key and one for each of its clients."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

#: buckets kept at most: those not used for longest are full again long before there are as many others
_MOST = 100_000


class Rates:
    """Buckets by name. A bucket holds what may be asked within a second, one request at least. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, *asked: tuple[str, float]) -> float:
        """Take one request from each of these buckets (name, requests a second); 0 when all had one, else the seconds
        until they have, and none was taken."""
        now, left = self._clock(), list[tuple[str, float]]()
        longest = 0.0
        for name, rate in asked:
            there, at = self._buckets.get(name, (math.inf, now))
            there = min(max(1.0, rate), there + (now - at) * rate)
            left.append((name, there))
            longest = max(longest, (1 - there) / rate)
        for name, there in left:
            self._buckets[name] = (there - 1 if longest <= 0 else there, now)
            self._buckets.move_to_end(name)
        while len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return max(0.0, longest)
