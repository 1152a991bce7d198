import math
import time

from schemas.clock import ScaledClock, WallClock


def test_a_scaled_clock_stops_at_its_end_and_never_gets_behind_it() -> None:
    wall = time.time_ns() // 1_000_000
    clock = ScaledClock(start=1_000, speed=1_000.0, until=100_000, started=wall - 1_000_000)
    assert clock.now() == 100_000
    assert clock.wall_until(100_000) == 0
    assert clock.wall_until(100_001) == math.inf, "a worker that waits for this would spin"


def test_a_scaled_clock_tells_how_long_an_instant_takes() -> None:
    clock = ScaledClock(start=0, speed=1_000.0, until=10**9, started=time.time_ns() // 1_000_000)
    assert 50 < clock.wall_until(60_000_000) <= 60
    assert WallClock().wall_until(0) == 0
