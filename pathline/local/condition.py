"""What goes on in a local line right now: each process in a few words, and what a person should look at.

All processes and the broker are asked at the same time and none is waited for longer than a second, so that the answer
comes as quickly while some of them hang.
"""

from __future__ import annotations

import http
import http.client
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pathline.local import quiet
from pathline.local.home import Line, ProcessState
from pathline.local.plan import PROCESSORS
from schemas.condition import About
from schemas.kafka import cause_of, client_config
from schemas.topics import dispatch_apps

ANSWER_SECONDS = 1.0
#: processors, collector and sink each count under a name of their own
DEAD_LETTERS = "dead_letters_total"
LAST_COMMIT = "pathline_last_commit_timestamp_seconds"


@dataclass(frozen=True, slots=True)
class Figures:
    """What the metrics of a process say; None and empty where it has no such figure. Ages are in seconds.

    `commit_ages` has the partitions on which records wait, with the time since the last commit there. `history_left`
    are records to be read again for new definitions, None when segments have gone over to them. `unsent` messages wait
    for their hand-over; `paused` is what a provider said that is left alone.
    """

    lag: int | None = None
    dead_letters: int | None = None
    partitions: frozenset[int] = frozenset()
    commit_ages: Mapping[int, float] = field(default_factory=dict)
    history_left: int | None = None
    unsent: int = 0
    paused: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One process: what its supervisor knows, what it says itself, and both in a few words."""

    known: ProcessState
    about: About | None
    figures: Figures
    doing: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A whole line. `problems` are sentences for whoever operates it, empty when all is well."""

    processes: list[Process]
    problems: list[str]


def look(line: Line) -> Condition:
    """Ask everybody; takes little more than a second."""
    with ThreadPoolExecutor(len(line.processes) + 1) as pool:
        broker = pool.submit(_broker_problem, line.broker)
        processes = list(pool.map(_ask, line.processes))
        problems = [] if (problem := broker.result()) is None else [problem]
    problems += [f"{process.known.name}: {process.doing}" for process in processes if _troubled(process.known)]
    if problem is None:
        problems += _without_owner(line, processes)
    return Condition(processes, problems)


def _ask(known: ProcessState) -> Process:
    about, figures = None, Figures()
    if known.web_port and known.pid is not None:
        about = _about(known.web_port)
        if about is not None:
            figures = _figures(known.web_port)
    doing = _doing(known, about)
    if figures.history_left is not None:
        left = f"{figures.history_left:,} records of history to read" if figures.history_left else "all persons follow"
        doing = f"{doing}; new definitions: {left}"
    if figures.paused:
        doing = f"{doing}; its provider is left alone for a while: {figures.paused}"
    if figures.unsent:
        doing = f"{doing}; {figures.unsent:,} messages wait to be handed over"
    return Process(known, about, figures, doing)


def _get(port: int, path: str) -> tuple[int, bytes] | None:
    """Status and body of an answer; None when there is none in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _about(port: int) -> About | None:
    answer = _get(port, "/ready")
    if answer is None:
        return None
    try:
        return msgspec.json.decode(answer[1], type=About)
    except msgspec.DecodeError:  # it answers, in words of its own
        return About(app="", state="", ready=False, since=0.0, detail="")


def _figures(port: int) -> Figures:
    status, body = _get(port, "/metrics") or (0, b"")
    if status != http.HTTPStatus.OK:  # it has none: the mailbox
        return Figures()
    found = [sample for family in text_string_to_metric_families(body.decode()) for sample in family.samples]
    lags = [sample for sample in found if sample.name == quiet.LAG]
    letters = [sample.value for sample in found if sample.name.endswith(DEAD_LETTERS)]
    commits = {int(s.labels["partition"]): s.value for s in found if s.name == LAST_COMMIT}
    under_way = _by_partition(found, "pathline_segments_turnover", commits)
    left = _by_partition(found, "pathline_segments_history_left", commits)
    unsent = _by_partition(found, "pathline_dispatch_waiting", commits)
    paused = [s.labels["why"] for s in found if s.name == "pathline_dispatch_paused"]
    behind = {int(sample.labels["partition"]) for sample in lags if sample.value}
    return Figures(
        lag=int(sum(sample.value for sample in lags)) if lags else None,
        dead_letters=int(sum(letters)),
        partitions=frozenset(commits),
        commit_ages={number: max(0.0, time.time() - at) for number, at in commits.items() if number in behind},
        history_left=int(sum(left.values())) if any(under_way.values()) else None,
        unsent=int(sum(unsent.values())),
        paused=min(paused, default=""),
    )


def _by_partition(samples: Sequence[Sample], name: str, owned: Collection[int]) -> dict[int, float]:
    """A figure of the partitions that a worker has; of others it has what was true when they were given up."""
    found = {int(sample.labels["partition"]): sample.value for sample in samples if sample.name == name}
    return {number: value for number, value in found.items() if number in owned}


def _doing(known: ProcessState, about: About | None) -> str:
    """What a process does, in a few words."""
    now = time.time()
    if known.state == "failed":
        return f"failed, stopped for good: {known.last_end}"
    if known.state == "waiting":
        return f"starts again in {max(0.0, known.restart_at - now):.0f} s ({known.last_end})"
    if known.state in ("stopped", "restarting"):
        return f"{known.state} for {_span(now - known.since)}"
    if about is None:
        if known.state == "starting":
            return f"starting for {_span(now - known.since)}"
        if known.silent_since:
            return f"not answering for {_span(now - known.silent_since)}"
        return "not answering" if known.web_port else "running"
    if about["ready"] or not about["state"]:
        return about["state"] or ("running" if known.state == "ready" else known.state)
    told = f"{about['state']} for {_span(now - about['since'])}"
    return f"{told}: {about['detail']}" if about["detail"] else told


def _troubled(known: ProcessState) -> bool:
    """Whether a person would want to know without asking."""
    return known.state in ("failed", "waiting") or bool(known.silent_since and known.state != "starting")


def _broker_problem(brokers: str) -> str | None:
    try:
        AdminClient(client_config(brokers) | {"log_level": 0}).list_topics(timeout=ANSWER_SECONDS)
    except KafkaException as error:
        return f"Kafka at {brokers} does not answer ({cause_of(error).str()}); everything waits for it"
    return None


def _without_owner(line: Line, processes: Sequence[Process]) -> list[str]:
    """Partitions that no worker of a processor has: their records wait."""
    count = int(line.settings.get("partitions", 0))
    found = []
    for app in (*PROCESSORS, *(app for channel in line.channels for app in dispatch_apps(channel))):
        workers = [process for process in processes if _runs(process.known.name, app)]
        owned = frozenset[int]().union(*(worker.figures.partitions for worker in workers))
        missing = sorted(set(range(1 if app == "graph" else count)) - owned)
        if workers and missing:
            numbers = ", ".join(map(str, missing))
            found.append(f"{app}: partition{'s' if len(missing) > 1 else ''} {numbers} without an owner")
    return found


def _runs(name: str, app: str) -> bool:
    """Whether a process is a worker of an app: the first has its name, others a number behind it."""
    return name == app or (name.startswith(f"{app}-") and name.removeprefix(f"{app}-").isdigit())


def _span(seconds: float) -> str:
    """A time for people."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
