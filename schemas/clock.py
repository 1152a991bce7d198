"""A line has one clock, known to every process: the wall clock, or a scaled one for demos and load tests."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Line time."""

    def now(self) -> int:
        """Line time in milliseconds since 1970 UTC."""

    def line(self, wall_ms: int) -> int:
        """Line time at an instant of the machine's clock, both in milliseconds since 1970 UTC."""

    def wall_seconds(self, line_ms: int) -> float:
        """Wall seconds in which this span of line milliseconds passes."""

    def wall_until(self, at: int) -> float:
        """Wall seconds until line time reaches an instant: 0 if it has, infinite if it never will."""


class WallClock:
    """Line time is the machine's time."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def line(self, wall_ms: int) -> int:
        return wall_ms

    def wall_seconds(self, line_ms: int) -> float:
        return line_ms / 1000

    def wall_until(self, at: int) -> float:
        return max(0.0, self.wall_seconds(at - self.now()))


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """`now = min(until, start + (wall - started) * speed)`; all instants in milliseconds since 1970 UTC."""

    start: int
    speed: float
    until: int
    started: int

    def now(self) -> int:
        return self.line(time.time_ns() // 1_000_000)

    def line(self, wall_ms: int) -> int:
        return min(self.until, self.start + int((wall_ms - self.started) * self.speed))

    def wall_seconds(self, line_ms: int) -> float:
        return line_ms / 1000 / self.speed

    def wall_until(self, at: int) -> float:
        return math.inf if at > self.until else max(0.0, self.wall_seconds(at - self.now()))


@dataclass(slots=True)
class VirtualClock:
    """A clock that is moved by hand: simulation and tests."""

    at: int = 0

    def now(self) -> int:
        return self.at

    def line(self, wall_ms: int) -> int:
        return wall_ms

    def wall_seconds(self, line_ms: int) -> float:
        return 0.0

    def wall_until(self, at: int) -> float:
        return 0.0
