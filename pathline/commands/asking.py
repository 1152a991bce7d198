"""What the commands that ask the warehouse share: common options and how they are understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from schemas.definitions import Project
    from sinks.clickhouse.engine import Warehouse
    from sinks.clickhouse.paths.cohorts import Cohorts
    from sinks.clickhouse.paths.filters import Filters
    from sinks.clickhouse.paths.touches import Nodes, TouchRules


def no_empty(names: list[str] | None) -> list[str] | None:
    """Names that were given. Raises typer.BadParameter when one is empty, as an unset variable of a script is."""
    if any(not name.strip() for name in names or ()):
        raise typer.BadParameter("a name is empty")
    return names


Conversion = Annotated[
    list[str] | None,
    typer.Option(
        help="Event that is a conversion; default: those with a revenue in events.yaml.",
        show_default=False,
        callback=no_empty,
    ),
]
From = Annotated[
    str | None, typer.Option("--from", help="First instant (UTC where it names no offset).", show_default=False)
]
To = Annotated[str | None, typer.Option(help="Instant up to which, itself excluded.", show_default=False)]
Format = Annotated[str, typer.Option(help="table, json, csv or html.")]
ProjectFolder = Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)]
Lookback = Annotated[str, typer.Option(help="How long before a conversion a touch counts.")]


@dataclass(frozen=True, slots=True)
class Asking:
    """Options of every question: which events count, and how the answer is shown."""

    from_: From = None
    to: To = None
    segment: Annotated[str, typer.Option(help="Only people who are in this segment now.")] = ""
    where: Annotated[
        str, typer.Option(help="Only events for which this holds, as event.properties.total > 20 (CEL).")
    ] = ""
    project: ProjectFolder = None
    format: Format = "table"

    @property
    def filters(self) -> Filters:
        """Which events count. Raises typer.BadParameter."""
        from schemas.definitions.expressions import compile
        from sinks.clickhouse.paths.filters import Filters

        try:
            expression = compile(self.where) if self.where else None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--where") from error
        return Filters(*span(self.from_, self.to), self.segment, expression)


@dataclass(frozen=True, slots=True)
class Touching:
    """Options of questions about touches."""

    touch: Annotated[str, typer.Option(help="From when a send is a touch: sent, delivered, opened or clicked.")] = (
        "clicked"
    )
    session_gap: Annotated[str, typer.Option(help="A visit ends after this silence.")] = "30m"

    def rules(self, project: Path | None) -> TouchRules:
        """What counts as a touch: session channels and sources from the project. Raises typer.BadParameter."""
        from schemas.definitions.defaults import SOURCES
        from schemas.receipts import DEPTHS
        from sinks.clickhouse.paths.sources import source_of
        from sinks.clickhouse.paths.touches import TouchRules

        if self.touch not in DEPTHS:
            raise typer.BadParameter(f"{self.touch!r} is none of {', '.join(DEPTHS)}", param_hint="--touch")
        loaded = project_of(project)
        if loaded is None:
            typer.echo("no project here, so no channel is one of visits (--project)", err=True)
        channels = loaded.channels.values() if loaded else ()
        return TouchRules(
            frozenset(channel.name for channel in channels if channel.kind == "session"),
            duration(self.session_gap, "--session-gap"),
            DEPTHS[self.touch],
            source_of(loaded.sources if loaded else SOURCES),
        )


@dataclass(frozen=True, slots=True)
class Walking:
    """Options of questions about paths: what their nodes are."""

    by: Annotated[str, typer.Option(help="channel, campaign, source, event or property:NAME.")] = "channel"
    clean: Annotated[
        list[str] | None,
        typer.Option(help="PATTERN=>NAME: what matches the regular expression is named so.", show_default=False),
    ] = None
    exclude: Annotated[
        list[str] | None, typer.Option(help="Node that is left out.", show_default=False, callback=no_empty)
    ] = None

    def nodes(self, touching: Touching, project: Path | None) -> Nodes:
        """What the nodes are. Raises typer.BadParameter."""
        from sinks.clickhouse.paths.touches import Nodes

        rules = []
        for rule in self.clean or ():
            pattern, arrow, alias = rule.partition("=>")
            if not pattern or not arrow:
                raise typer.BadParameter(f"{rule!r} is not PATTERN=>NAME", param_hint="--clean")
            try:
                re.compile(pattern)
            except re.error as error:
                raise typer.BadParameter(f"{pattern!r}: {error}", param_hint="--clean") from error
            rules.append((pattern, alias))
        return Nodes(self.by, touching.rules(project), tuple(rules), frozenset(self.exclude or ()))


@dataclass(frozen=True, slots=True)
class Gathering:
    """Options of questions about cohorts, but for the length of their periods."""

    start: Annotated[str, typer.Option(help="Event that begins; default: a person's first of any kind.")] = ""
    by: Annotated[
        str, typer.Option(help="channel, campaign, source or property:NAME: cohorts by where, not by when.")
    ] = ""
    periods: Annotated[int, typer.Option(help="Most periods.")] = 12

    def cohorts(self, period: str, project: Path | None) -> Cohorts:
        """Who belongs together."""
        from sinks.clickhouse.paths.cohorts import Cohorts

        return Cohorts(period, self.start, self.by, Touching().rules(project), self.periods)


def question(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer: a parameter that is a dataclass of options stands for those options."""
    own: list[Parameter] = []
    shared: list[Parameter] = []
    groups: dict[str, Any] = {}
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in signature(command).parameters.items():
        if is_dataclass(hints[name]):
            groups[name] = hints[name]
            options = get_type_hints(hints[name], include_extras=True)
            shared += [
                Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=options[field.name])
                for field in fields(hints[name])
            ]
        else:
            own.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))

    @wraps(command)
    def asked(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    parameters = own + shared
    asked.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    asked.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return asked


@contextmanager
def answering(segment: str = "", prepare: bool = True) -> Iterator[Warehouse]:
    """The warehouse of the line; its troubles, bad questions and a segment that is not there are told to the person at
    the command line. `prepare`: with this version's schema, where its files are opened."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from pathline.errors import UserError
    from pathline.local import current
    from schemas.definitions.problems import nearest
    from sinks.clickhouse.connect import connect
    from sinks.clickhouse.engine import WarehouseError, said
    from sinks.clickhouse.migrate import SchemaError
    from sinks.clickhouse.paths.filters import BadQuestion, segments
    from sinks.clickhouse.views import published

    try:
        warehouse = connect(current.settings(), prepare)
        try:
            if segment and segment not in (known := segments(warehouse)):
                project = published(warehouse)
                if project is None or segment not in project.segments:
                    raise UserError(f"there is no segment {segment!r}: {nearest(segment, known)}")
                typer.echo(f"nobody was ever in segment {segment}", err=True)
            yield warehouse
        finally:
            warehouse.close()
    except (WarehouseError, SchemaError, BadQuestion) as error:
        raise UserError(str(error)) from error
    except ClickHouseError as error:
        raise UserError(f"the warehouse could not answer: {said(error)}") from error


def not_there(names: Iterable[str] | None, *known: Callable[[], Iterable[str]]) -> list[str]:
    """What is said of names that nothing has: an answer about a misspelt one looks like any other. `known` are ways to
    the names there are, the later ones asked only for what the earlier ones don't know."""
    from schemas.definitions.problems import nearest

    missing, there = [name for name in dict.fromkeys(names or ()) if name], set[str]()
    for look in known:
        if missing:
            there.update(look())
            missing = [name for name in missing if name not in there]
    return [f"nothing is called {name!r}: {nearest(name, there)}" for name in missing]


def without_rate(costs: Mapping[str, float], revenue: Mapping[str, float]) -> list[str]:
    """What is said of amounts, by currency, that are in no sum."""
    return [
        f"{what} without {amount:,.2f} {currency}: no rate is known (pathline load RATES.csv)"
        for what, amounts in (("costs", costs), ("revenue", revenue))
        for currency, amount in sorted(amounts.items())
    ]


def column_of(by: str) -> str:
    """The name of the column that tells nodes."""
    return by.partition(":")[0]


def edge_of(text: str) -> tuple[int, str, str]:
    """Step, from and to of STEP:FROM->TO. Raises typer.BadParameter."""
    step, _, edge = text.partition(":")
    origin, arrow, target = edge.partition("->")
    if not step.strip().isdecimal() or not arrow:
        raise typer.BadParameter(f"{text!r} is not STEP:FROM->TO, for example 1:web->email", param_hint="--people")
    return int(step), origin.strip(), target.strip()


def project_of(option: Path | None) -> Project | None:
    """The project: the option, else that of the folder, else that of the running line; None when there is none."""
    from pathline.local import current
    from schemas.definitions import Invalid, find_project, load

    try:
        folder = find_project(option)
    except Invalid:
        line = current.running_line()
        if option is not None:
            raise
        if line is None or not line.project or not Path(line.project).is_dir():
            return None
        folder = Path(line.project)
    return load(folder)


def duration(text: str, option: str) -> int:
    """Milliseconds of 30m, 7d. Raises typer.BadParameter."""
    from schemas.definitions import durations

    try:
        return durations.duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def instant(text: str | None, option: str) -> int | None:
    """Milliseconds since 1970 UTC of a date or an instant in ISO 8601. Raises typer.BadParameter."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 date or instant", param_hint=option) from error
    return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)


def span(from_: str | None, to: str | None) -> tuple[int | None, int | None]:
    """The instants of `--from` and `--to`. Raises typer.BadParameter, also when no time is between them."""
    since, until = instant(from_, "--from"), instant(to, "--to")
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("the time ends before it begins", param_hint="--to")
    return since, until
