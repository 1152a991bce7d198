"""Who is inside journeys when another version of them is published, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.definitions.model import Migration, Project
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.journeys import journeys, steps


def inside(warehouse: Warehouse, before: Mapping[str, str], project: Project) -> Iterator[str]:
    """A sentence for each journey with people inside whose file is another than in the files `before`."""
    for name, figures in sorted(journeys(warehouse).items()):
        journey = project.journeys.get(name)
        if not figures.inside or (journey is not None and before.get(journey.path) == project.files[journey.path]):
            continue
        if journey is None:
            yield f"{name} is gone: {figures.inside:,} inside go on to its end"
            continue
        here = {step: found.here for step, found in steps(warehouse, name).items() if found.here}
        yield f"{name}: {figures.inside:,} inside an earlier version, {fates(journey.migrate, here, figures.inside)}"


def fates(migration: Migration | None, here: Mapping[str, int], total: int) -> str:
    """What becomes of so many, of whom so many are at each step (the others are before the first), in words."""
    if migration is None:
        return "who stay on it"
    taken = {step: here[step] for step in migration.steps if step in here}
    others = total - sum(taken.values())
    told = [f"{count:,} go over from {step} to {migration.steps[step]}" for step, count in taken.items()]
    if others:
        told.append(f"{others:,} {'leave' if migration.others == 'exit' else 'stay on it'}")
    if missed := sorted(migration.steps.keys() - taken.keys()):
        told.append(f"nobody is at {', '.join(missed)}")
    return ", ".join(told)
