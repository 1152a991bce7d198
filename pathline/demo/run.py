"""The demo: a grocer's year, through a line of its own, on a clock that runs it in minutes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.inbound.files.complete_journey import CompleteJourney
from connectors.inbound.files.replay import Progress, load_into_line
from pathline.errors import UserError
from pathline.local.home import Home
from pathline.local.quiet import wait_quiet
from pathline.local.stack import Stack
from schemas.clock import ScaledClock

#: measured on 2 cores with everything on them; the clock is set so that events come about this fast
EVENTS_PER_SECOND = 600
EVENTS_PER_HOUSEHOLD_AND_WEEK = 1.3
#: wall seconds from the start of the stack until it is ready, about; too little only makes the start busier
START_SECONDS = 16.0
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Choice:
    """What is replayed: so many households (all of them: None), so many weeks from the first day of the data."""

    households: int | None
    weeks: int

    def source(self) -> CompleteJourney:
        households = f"households={self.households}," if self.households else ""
        return CompleteJourney(f"{households}weeks={self.weeks}")


def clock_for(source: CompleteJourney, weeks: int) -> ScaledClock:
    """A clock for the whole recording, begun when the stack will be ready."""
    events = source.households * weeks * EVENTS_PER_HOUSEHOLD_AND_WEEK
    wall_seconds = max(20.0, events / EVENTS_PER_SECOND)
    span = source.ends_at - source.starts_at
    started = time.time() + START_SECONDS
    return ScaledClock(source.starts_at, span / 1000 / wall_seconds, source.ends_at, int(started * 1000))


def run(home: Path, project: Path, choice: Choice, say: Callable[[str], None]) -> Stack:
    """Start a fresh line, replay the choice, wait until all its consequences are done.

    The stack that is returned is up. Raises UserError when a demo runs in this home already.
    """
    _clear(home)
    source = choice.source()
    # one partition: with one worker a stage, more would only cost round trips
    stack = Stack(home, project, partitions=1, clock=clock_for(source, choice.weeks), say=say)
    try:
        stack.start()
        stack.wait_ready()
        last = datetime.fromtimestamp(source.ends_at / 1000, UTC).date() - timedelta(days=1)
        say(f"Replaying {choice.weeks} weeks of {source.households:,} households, up to {last}")
        replayed = load_into_line(stack.settings, source, lambda progress: say(_told(progress, home)))
        say(f"{replayed.accepted:,} events are in; waiting until the line has done everything they cause")
        wait_quiet(lambda: stack.line, report=lambda load: None)
    except BaseException:
        stack.stop()
        raise
    return stack


def caught(home: Path) -> int:
    """E-mails in the mailbox of a home."""
    return sum(1 for _ in (home / "mailbox").glob("*.eml"))


def _told(progress: Progress, home: Path) -> str:
    day = datetime.fromtimestamp(progress.at / 1000, UTC).date()
    return f"  {day}: {progress.accepted:>7,} events, {caught(home):>5,} e-mails caught"


def _clear(home: Path) -> None:
    if Home(home).held():
        raise UserError(f"a demo runs in {home} already; `PATHLINE_HOME={home} pathline down` stops it")
    if home.exists():
        shutil.rmtree(home)
