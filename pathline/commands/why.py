"""`pathline why`: why a person got what it got from a journey, or why nothing."""

from __future__ import annotations

from dataclasses import asdict

import typer

from pathline.commands.in_force import Folder, Format, Journey, Who, found_person, in_force, journey_states


def why(
    identifier: Who,
    journey: Journey,
    project: Folder = None,
    format: Format = "table",
) -> None:
    """Explain from the decisions why a person entered a journey or not, what was sent, what was not, and why."""
    import json

    from pathline.commands.asking import answering
    from pathline.journeys.explaining import explain
    from pathline.tables import show

    states = journey_states()
    with answering() as warehouse:
        loaded, chosen = in_force(warehouse, project, journey)
        person = found_person(warehouse, loaded, identifier)
        told = explain(warehouse, loaded, chosen, person, states.get(journey, ""))
    if format == "json":
        typer.echo(json.dumps(asdict(told), indent=2, ensure_ascii=False))
        return
    if format == "table":
        typer.echo(f"{identifier} in {chosen.name}")
        for sentence in told.verdict:
            typer.echo(f"  {sentence}")
        typer.echo()
    if told.decisions or format == "csv":
        columns = ("at", "instance", "step", "does", "channel", "reason", "detail", "due")
        show([asdict(decided) for decided in told.decisions], columns, format, "")
