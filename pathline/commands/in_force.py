"""The project in force, its journeys and its people, as commands ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, overload

import typer

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.definitions.model import Journey as JourneyModel
    from schemas.definitions.model import Project
    from sinks.clickhouse.engine import Warehouse

Format = Annotated[Literal["table", "json", "csv"], typer.Option(help="table, json or csv.")]
Journey = Annotated[str, typer.Argument(help="Name of the journey.")]
Folder = Annotated[
    Path | None,
    typer.Option("--project", help="Folder of a project, instead of the one in force.", show_default=False),
]
Who = Annotated[str, typer.Argument(help="type:value such as email:ann@example.com, or a person id.")]


@overload
def in_force(warehouse: Warehouse, folder: Path | None, name: str) -> tuple[Project, JourneyModel]: ...
@overload
def in_force(warehouse: Warehouse, folder: Path | None) -> tuple[Project, None]: ...
def in_force(warehouse: Warehouse, folder: Path | None, name: str | None = None) -> tuple[Project, JourneyModel | None]:
    """The project of a folder, else the one that was published last, and one of its journeys. Raises UserError."""
    from pathline.errors import UserError
    from sinks.clickhouse.views import published

    if folder is not None:
        loaded, journey = of_folder(folder, name)
        return loaded, journey
    project = published(warehouse)
    if project is None:
        raise UserError("no project was published in this line yet: pathline apply, or say which by --project FOLDER")
    return project, None if name is None else _named(project, name)


def of_folder(folder: Path, name: str | None) -> tuple[Project, Any]:
    """The project in a folder, and one of its journeys. Raises UserError or Invalid."""
    from schemas.definitions import find_project, load

    project = load(find_project(folder))
    return project, None if name is None else _named(project, name)


def journey_states() -> dict[str, str]:
    """What was told of journeys on the running line, but that they run; nothing without one."""
    from pathline.errors import UserError
    from pathline.journeys.standing import standings
    from pathline.local import current
    from schemas.journey_states import RUNNING
    from schemas.registry import codec_for

    try:
        settings = current.kafka_settings()
    except UserError:
        return {}
    return {name: state for name, state in standings(settings, codec_for(settings)).items() if state != RUNNING}


def _named(project: Project, name: str) -> JourneyModel:
    from pathline.errors import UserError
    from schemas.definitions.problems import nearest

    journey = project.journeys.get(name)
    if journey is None:
        raise UserError(f"there is no journey {name!r}: {nearest(name, project.journeys) or 'the project has none'}")
    return journey


def found_person(warehouse: Warehouse, project: Project, identifier: str) -> UUID:
    """The current person of an identifier or of a person id. Raises UserError."""
    from pathline.commands.person import normalised
    from pathline.errors import UserError
    from sinks.clickhouse.person import find

    found = find(warehouse, normalised(identifier, project))
    if found is None:
        hint = "" if ":" in identifier else f"; an identifier is type:value, such as user_id:{identifier}"
        raise UserError(f"nobody is known by {identifier}{hint}")
    return found
