"""`pathline dead-letters`: what could not be used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from pathline.dead_letters import DeadLetter, Filter
    from pathline.replay import Outcome
    from schemas.settings import Settings

app = typer.Typer(no_args_is_help=True)

Format = Annotated[Literal["table", "json"], typer.Option(help="table or json.")]
Topic = Annotated[str | None, typer.Option(help="Only records of this topic.")]
App = Annotated[str | None, typer.Option(help="Only what this app could not use, for example segments or sink.")]
Error = Annotated[str | None, typer.Option(help="Only with this in the kind or text of the error.")]
Since = Annotated[str | None, typer.Option(help="Only failures from then on: 2h, 3d, or an ISO 8601 time (UTC).")]
Until = Annotated[str | None, typer.Option(help="Only failures before then.")]


@app.callback()
def dead_letters() -> None:
    """See what could not be used and why, and give it to its reader once more."""


@app.command("list")
def list_(
    topic: Topic = None,
    app: App = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what was neither replayed nor skipped.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many, the newest.")] = 50,
    format: Format = "table",
) -> None:
    """List dead letters, oldest first."""
    from rich.console import Console
    from rich.table import Table

    from pathline.dead_letters import read
    from pathline.local import current

    settings = current.kafka_settings()
    chosen = _filter(settings, topic, app, error, since, until)
    letters = [d for d in read(settings) if chosen.takes(d) and not (waiting and d.handled)]
    shown = letters[-limit:]
    if format == "json":
        typer.echo(json.dumps([_summary(letter) for letter in shown], indent=2))
        return
    columns = ("id", "at", "by", "from", "attempt", "reason", "handled")
    table = Table(*columns, box=None)
    for letter in shown:
        told = _summary(letter)
        table.add_row(*(str(told[name]) for name in columns))
    Console().print(table)
    typer.echo(f"{len(letters)} dead letters" + (f", the newest {limit} shown" if len(letters) > limit else ""))


@app.command()
def show(id: Annotated[str, typer.Argument(help="As listed: partition:offset.")], format: Format = "table") -> None:
    """Show one dead letter whole: headers, key and value, decoded where it can be."""
    from pathline.dead_letters import contents, read
    from pathline.local import current
    from schemas.dead_letters import own_of
    from schemas.headers import headers_of

    settings = current.kafka_settings()
    found = [letter for letter in read(settings) if letter.id == id]
    if not found:
        raise UserError(f"There is no dead letter {id}.")
    ((letter, message),) = contents(settings, found)
    key, value = message.key(), message.value()
    own = [{"name": name, "value": _readable(data)} for name, data in own_of(headers_of(message))]
    whole = _summary(letter) | {
        "headers": dict(letter.headers),
        "own": own,
        "key": _readable(key),
        "value": _readable(value),
        "value_hex": None if value is None else value.hex(),
    }
    if format == "json":
        typer.echo(json.dumps(whole, indent=2))
        return
    lines = [*letter.headers.items(), *((f"own {header['name']}", header["value"]) for header in own)]
    for name, text in [*lines, ("key", whole["key"]), ("value", whole["value"])]:
        typer.echo(f"{name:<12} {text}")
    if value is not None:
        typer.echo(f"{'bytes':<12} {value.hex(' ', 4)}")


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="As listed: partition:offset.")] = None,
    all: Annotated[bool, typer.Option("--all", help="All that are neither replayed nor skipped.")] = False,
    topic: Topic = None,
    app: App = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    policy: Annotated[
        Literal["retry", "skip", "stop"],
        typer.Option(
            help="retry: give each to the app that failed on it, once more. skip: mark each as handled, and no more. "
            "stop: replay one at a time, wait for the app, end with the first that fails again."
        ),
    ] = "retry",
    attempts: Annotated[int, typer.Option(min=1, help="Leave alone what failed so often.")] = 5,
    patience: Annotated[float, typer.Option(help="With stop: wait so many seconds for the app.")] = 60.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    format: Format = "table",
) -> None:
    """Put dead letters back into the topics they came from, for the app that failed on them, each exactly once."""
    from pathline.local import current
    from pathline.replay import Order, foresee
    from pathline.replay import replay as put_back

    settings = current.kafka_settings()
    filtered = any(option is not None for option in (topic, app, error, since, until))
    if bool(ids) == (all or filtered):
        raise UserError("Name dead letters by their id (pathline dead-letters list), or say which by filters or --all.")
    wanted = _filter(settings, topic, app, error, since, until)
    order = Order(
        lambda letters: [letter for letter in letters if not letter.handled and wanted.takes(letter)],
        policy,
        attempts,
        patience,
    )
    if ids:
        order = Order(_named(ids, order.why_not), policy, attempts, patience)
    outcomes: list[Outcome] = []
    for outcome in foresee(settings, order) if dry_run else put_back(settings, order):
        outcomes.append(outcome)
        if format == "table" and outcome.done != "left alone":
            typer.echo(_line(outcome, dry_run))
    if format == "json":
        typer.echo(json.dumps([_told(outcome) for outcome in outcomes], indent=2))
    else:
        for why, count in Counter(o.why for o in outcomes if o.done == "left alone").most_common():
            typer.echo(f"{count} left alone: {why}")
    if any(outcome.done == "failed again" for outcome in outcomes):
        raise typer.Exit(1)


def _named(
    ids: list[str], why_not: Callable[[DeadLetter], str | None]
) -> Callable[[list[DeadLetter]], list[DeadLetter]]:
    """Chooses by id. What it returns raises UserError when one does not exist or can't be handled."""

    def choose(letters: list[DeadLetter]) -> list[DeadLetter]:
        there = {letter.id: letter for letter in letters}
        chosen = []
        for id_ in dict.fromkeys(ids):
            if id_ not in there:
                raise UserError(f"There is no dead letter {id_}.")
            if (why := why_not(there[id_])) is not None:
                raise UserError(f"Dead letter {id_} can't be replayed: {why}.")
            chosen.append(there[id_])
        return chosen

    return choose


def _filter(
    settings: Settings, topic: str | None, app: str | None, error: str | None, since: str | None, until: str | None
) -> Filter:
    """Raises UserError for a time that is none."""
    from pathline.dead_letters import Filter

    now = settings.make_clock().now()
    return Filter(topic, app, error, _instant(since, now), _instant(until, now))


def _instant(text: str | None, now: int) -> int | None:
    """Line time in milliseconds of an ISO 8601 time, UTC if it names no zone, or of so long ago."""
    from schemas.definitions.durations import duration

    if text is None:
        return None
    try:
        return now - duration(text)
    except ValueError:
        pass
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{text!r} is neither a time such as 2026-03-02T12:00 nor a duration such as 2h.") from None
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() * 1000)


def _summary(letter: DeadLetter) -> dict[str, Any]:
    at = datetime.fromtimestamp(letter.at / 1000, UTC).isoformat(timespec="seconds") if letter.at else ""
    return {
        "id": letter.id,
        "at": at,
        "by": letter.app,
        "from": letter.origin,
        "attempt": letter.attempt,
        "reason": letter.reason,
        "handled": letter.handled,
    }


def _told(outcome: Outcome) -> dict[str, Any]:
    letter = outcome.letter
    place = {"id": letter.id, "topic": letter.topic, "app": letter.app, "attempt": letter.attempt}
    return place | {"done": outcome.done, "why": outcome.why}


def _line(outcome: Outcome, dry_run: bool) -> str:
    letter = outcome.letter
    what = f"{letter.id} " + ("would be " if dry_run else "") + outcome.done
    if outcome.done == "replayed":
        what += f": {letter.topic} for {letter.app}"
    return what + (f": {outcome.why}" if outcome.why else "")


def _readable(data: bytes | None) -> str | None:
    """Text where it is text; control characters and other bytes escaped."""
    if data is None:
        return None
    return data.decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii")
