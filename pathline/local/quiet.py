"""Whether a local line has done all it was given: nothing waiting, nothing moving."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.error import HTTPError

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pathline.local.home import Line, ProcessState

LAG = "pathline_lag_records"
UNDER_WAY = "pathline_calls_under_way"
OVERDUE = "pathline_oldest_timer_seconds"
#: counters that grow while anything happens
WORK = ("pathline_records_total", "pathline_wakes_total", "pathline_sink_records_total")
LOOK_SECONDS = 0.5


class Restless(Exception):
    """The line did not come to rest in time; the text says who still works."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the processes of a line have done and have still to do. None of `waiting` means that somebody can't tell."""

    done: int
    waiting: int | None


def samples(process: ProcessState) -> Iterator[Sample]:
    """The metrics of a process. Raises OSError when it does not answer within two seconds."""
    for family in text_string_to_metric_families(_told(process, "/metrics")):
        yield from family.samples


def _told(process: ProcessState, path: str) -> str:
    """What a process answers. Raises OSError when it does not within two seconds, HTTPError for an error."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://127.0.0.1:{process.web_port}{path}", timeout=2) as answer:
        text: str = answer.read().decode()
    return text


def load(line: Line) -> Load:
    """What is done and what waits, over all processes that tell."""
    done, waiting = 0.0, 0.0
    for process in line.processes:
        if not process.web_port:
            continue
        try:
            # who does not do all its work, as before it has its partitions, can't know what waits
            _told(process, "/ready")
        except OSError:
            return Load(int(done), None)
        try:
            found = list(samples(process))
        except HTTPError:  # it has no metrics: the mailbox
            continue
        except OSError:
            return Load(int(done), None)
        done += sum(sample.value for sample in found if sample.name in WORK)
        waiting += sum(sample.value for sample in found if sample.name in (LAG, UNDER_WAY, OVERDUE))
    return Load(int(done), int(waiting))


def wait_quiet(
    line: Callable[[], Line],
    still_seconds: float = 3.0,
    patience_seconds: float = 600.0,
    report: Callable[[Load], None] = lambda load: None,
) -> None:
    """Return when nothing has waited and nothing was done for `still_seconds`.

    The sink works up what it has read within a second, hence stillness counts, not only what waits. Raises Restless
    after `patience_seconds`.
    """
    deadline = time.monotonic() + patience_seconds
    last, since = load(line()), time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        now = load(line())
        if now != last or now.waiting != 0:
            last, since = now, time.monotonic()
            report(now)
        elif time.monotonic() - since >= still_seconds:
            return
    raise Restless(f"still at work after {patience_seconds:.0f} s: {last.waiting} records or timers wait")
