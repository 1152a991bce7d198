"""`pathline next`: what falls due for a person."""

from __future__ import annotations

from dataclasses import asdict

import typer

from pathline.commands.in_force import Folder, Format, Who, found_person, in_force, journey_states


def next(
    identifier: Who,
    project: Folder = None,
    format: Format = "table",
) -> None:
    """List where a person waits in journeys, until when, and what comes then."""
    from pathline.commands.asking import answering
    from pathline.journeys.upcoming import upcoming
    from pathline.tables import show

    states = journey_states()
    with answering() as warehouse:
        loaded, _ = in_force(warehouse, project)
        found = upcoming(warehouse, loaded, found_person(warehouse, loaded, identifier), states)
    if not found and format == "table":
        typer.echo(f"{identifier} waits in no journey.")
        return
    columns = ("due", "journey", "state", "step", "waits", "then", "entered_at", "instance_id")
    show([asdict(one) for one in found], columns, format, "Next")
