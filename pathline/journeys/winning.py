"""Splits that have a winner: which arm it is, by the goal, once enough people had the time to reach it."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.definitions.model import Project, Split
from schemas.definitions.steps import all_steps
from schemas.reasons import HELD_OUT
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.experiment import experiment, question_of
from sinks.clickhouse.paths.filters import Filters


def splits(project: Project) -> Iterator[tuple[str, Split]]:
    """(journey, split) of all splits that are to have a winner."""
    for name, journey in sorted(project.journeys.items()):
        for step in all_steps(journey.steps):
            if isinstance(step, Split) and step.winner_after is not None:
                yield name, step


def winners(warehouse: Warehouse, project: Project, now: int) -> dict[str, str]:
    """The winners known so far, which stay, and those that show at an instant: of the arms that send something the one
    of which most convert; while several are best none has won. People count who had the whole time of the goal."""
    found = dict(project.winners)
    for journey, split in splits(project):
        where = f"{journey}/{split.id}"
        if where in found:
            continue
        question = question_of(project, journey, split.id)
        until = now - question.within if question.within is not None else now
        names = [name for name, _, _ in split.arms if name != HELD_OUT]
        rows = {row.arm: row for row in experiment(warehouse, question, Filters(until=until))}
        people = min(rows[name].people for name in names)
        if split.winner_after is not None and people >= split.winner_after:
            best = max(rows[name].rate or 0.0 for name in names)
            leading = [name for name in names if rows[name].rate == best]
            if len(leading) == 1:
                found[where] = leading[0]
    return found


def written(winners: dict[str, str]) -> str:
    """The text of winners.yaml."""
    lines = [f"{where}: {arm}\n" for where, arm in sorted(winners.items())]
    return "".join(lines) or "{}\n"
