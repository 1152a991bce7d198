"""`pathline segments list|show|members`: how large segments are and were, and who is in them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.commands.asking import From, To, answering, instant
from pathline.commands.segments_sql import At, Name, known_segment, line_is_named, moment, project_in_force

if TYPE_CHECKING:
    from schemas.definitions.model import Project
    from sinks.clickhouse.membership import Size

Format = Annotated[Literal["table", "json", "csv"], typer.Option(help="table, json or csv.")]
Pages = Annotated[Literal["table", "json", "csv", "html"], typer.Option(help="table, json, csv or html.")]
Folder = Annotated[
    Path | None, typer.Option(help="Folder of a project, instead of the one in force.", show_default=False)
]
Row = dict[str, Any]
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
#: milliseconds of each period of a history, and how many of them are shown without --from
_PERIODS = {"hour": (_HOUR_MS, 48), "day": (_DAY_MS, 30), "week": (7 * _DAY_MS, 26)}
#: 1970-01-05 was a Monday
_MONDAY_MS = 4 * _DAY_MS
_COUNTS = ("people", "entered", "left")


def list_(project: Folder = None, format: Format = "table") -> None:
    """List the segments: how many people are in each, how many entered and left in the last 24 hours, which of them
    wait for their history after new definitions were applied, and which definitions of a folder were not applied."""
    from pathline.tables import show
    from schemas.definitions.hoisting import HIDDEN

    loaded, now = project_in_force(project), moment(None)
    sizes, states = _last_day(now), _states(loaded)
    other = {"state": "answers" if states is not None else "no line runs", "detail": ""}
    rows = [
        {"segment": name, **sizes.get(name, dict.fromkeys(_COUNTS, 0)), **(states or {}).get(name, other)}
        for name in loaded.segments
        if not name.startswith(HIDDEN)
    ]
    show(rows, ("segment", *_COUNTS, "state", "detail"), format, "Segments")


def show_(
    name: Name,
    from_: From = None,
    to: To = None,
    by: Annotated[Literal["hour", "day", "week"], typer.Option(help="hour, day or week (UTC).")] = "day",
    project: Folder = None,
    format: Pages = "table",
) -> None:
    """Show a segment: its definition in words, how many people are in it, and its size over time."""
    from pathline.journeys.conditions import condition
    from pathline.tables import as_html, show
    from schemas.definitions.expressions import iso
    from sinks.clickhouse.membership import sizes
    from sinks.clickhouse.paths.page import heading, note, page
    from sinks.clickhouse.paths.sizes import lines
    from sinks.clickhouse.paths.weekly import Span

    loaded = project_in_force(project)
    known_segment(loaded, name)
    span, period = _span(instant(from_, "--from"), instant(to, "--to"), by), _PERIODS[by][0]
    with answering() as warehouse:
        history = sizes(warehouse, span, period, name).get(name, [])
        day = sizes(warehouse, Span(span.until - _DAY_MS, span.until), _DAY_MS, name).get(name, [])
    newest = _counts(day[-1]) if day else dict.fromkeys(_COUNTS, 0)
    when = condition(loaded.segments[name].when, loaded.segments)
    facts = {"segment": name, "when": when, "people": newest["people"]} | {
        f"{what}_last_day": newest[what] for what in ("entered", "left")
    }
    rows = [{"until": iso(one.at), **_counts(one)} for one in history]
    columns = ("until", *_COUNTS)
    match format:
        case "json":
            typer.echo(json.dumps(facts | {"history": rows}, indent=2, ensure_ascii=False))
        case "html":
            people, entered, left = (f"{newest[what]:,}" for what in _COUNTS)
            told = f"{people} people; in the last 24 hours {entered} entered and {left} left."
            picture = lines({name: [(one.at, one.people) for one in history]}) if rows else ""
            table = as_html(rows[::-1], columns) if rows else note("Nobody has been in it yet.")
            typer.echo(page(name, note(when), note(told), picture, heading("Period by period"), table))
        case "csv":
            show(rows, columns, format, name)
        case _:
            for fact, value in facts.items():
                typer.echo(f"{fact.replace('_', ' '):<17} {value}")
            typer.echo()
            show(rows, columns, format, name)


def members(
    name: Name,
    at: At = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many people at most.", show_default=False)] = None,
    format: Format = "table",
) -> None:
    """Show who is in a segment, or was at an instant, as the line published it, with all that a person is known by.

    Who would have been in it by its definition of today: pathline segments sql.
    """
    from pathline.tables import show
    from sinks.clickhouse.membership import members as found

    asked, now = moment(at), moment(None)
    if asked > now:
        typer.echo(f"{at} is still to come: these are the members as of now, time may change them until then", err=True)
    with answering(name) as warehouse:
        rows: list[Row] = found(warehouse, name, asked, limit)
    if format != "json":
        rows = [row | {"identifiers": " ".join(row["identifiers"])} for row in rows]
    show(rows, ("person_id", "identifiers", "since", "cause", "reason"), format, f"Members of {name}")


def _last_day(now: int) -> dict[str, Row]:
    """What each segment has come to in the 24 hours before an instant; without a warehouse nothing, which is told."""
    from pathline.errors import UserError
    from sinks.clickhouse.membership import sizes
    from sinks.clickhouse.paths.weekly import Span

    try:
        with answering(prepare=False) as warehouse:
            found = sizes(warehouse, Span(now + 1 - _DAY_MS, now + 1), _DAY_MS)
    except UserError as error:
        typer.echo(f"nobody is counted: {error}", err=True)
        return {}
    return {name: _counts(history[-1]) for name, history in found.items()}


def _states(asked: Project) -> dict[str, Row] | None:
    """Segments that wait for their history, and those of `asked` that are not in force; None without a line."""
    from pathline.local import current
    from pathline.turnover.following import Turnover
    from processors.runtime.published import PublishedDefinitions
    from schemas.registry import codec_for

    if not line_is_named():
        return None
    settings = current.kafka_settings()
    codec = codec_for(settings)
    in_force = PublishedDefinitions(settings.brokers, codec).latest()
    turnover = Turnover(settings, codec)
    try:
        progress = turnover.to_now()
        under_way = bool(progress.definitions) and not progress.done(turnover.count)
    finally:
        turnover.close()
    told = {"state": "filling", "detail": progress.spoken()}
    filling = dict.fromkeys(progress.waiting, told) if under_way else {}
    return filling | {name: {"state": "not applied", "detail": ""} for name in not_applied(asked, in_force)}


def not_applied(asked: Project, in_force: Project | None) -> list[str]:
    """Segments of a project that the line does not have, or has by another definition."""
    have = in_force.segments if in_force is not None else {}
    return [name for name, one in asked.segments.items() if name not in have or have[name].when != one.when]


def _span(since: int | None, until: int | None, by: str) -> Any:
    """Whole periods, the last one up to now. Raises typer.BadParameter."""
    from sinks.clickhouse.paths.weekly import Span

    period, usual = _PERIODS[by]
    end = until if until is not None else moment(None) + 1
    first = since if since is not None else end - 1 - (usual - 1) * period
    first -= (first - (_MONDAY_MS if by == "week" else 0)) % period if since is None else 0
    if first >= end:
        raise typer.BadParameter("it ends before it begins", param_hint="--to")
    return Span(first, end)


def _counts(one: Size) -> Row:
    return {name: value for name, value in asdict(one).items() if name in _COUNTS}
