"""The command line: which commands there are, and how their failures are told.

A command is a function of the same name in a module of `pathline.commands`, or a typer app named `app` there for a
group of commands. Modules are imported when their command is used.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core
import typer.main
from rich.console import Console

from pathline.errors import UserError

# what a command loads stays; looking for garbage after every 700 objects of it took a tenth of a worker's start
gc.set_threshold(10_000, 20, 20)

#: in the order of `pathline --help`: what a newcomer meets first stands first
COMMANDS = (
    "up",
    "down",
    "status",
    "restart",
    "demo",
    "check",
    "apply",
    "simulate",
    "load",
    "segments",
    "journeys",
    "template",
    "person",
    "why",
    "next",
    "forget",
    "export",
    "identity",
    "lists",
    "promos",
    "keys",
    "rfm",
    "predict",
    "paths",
    "report",
    "warehouse",
    "dead-letters",
    "state",
    "topics",
    "schemas",
    "settings",
    "process",
    "collect",
    "profiles",
    "dispatch",
    "sink",
    "mailbox",
)


class Commands(typer.core.TyperGroup):
    """Finds commands by name and turns what they raise into one clear message."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = import_module(f"pathline.commands.{name}")
        if hasattr(module, "app"):
            group = typer.main.get_command(module.app)
            group.name = cmd_name
            return group
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name=cmd_name)(getattr(module, name))
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            message = explain(error)
            if message is None:
                raise
            Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error


def explain(error: Exception) -> str | None:
    """What to tell the person who called a command; None for what only a developer can act on."""
    from confluent_kafka import KafkaError, KafkaException
    from pydantic import ValidationError

    from schemas.definitions import Invalid
    from schemas.kafka import WrongTopic

    match error:
        case UserError() | WrongTopic():
            return str(error)
        case Invalid():
            return "\n".join(str(problem) for problem in error.problems)
        case ValidationError():
            wrong = ("PATHLINE_" + "_".join(str(part) for part in e["loc"]).upper() for e in error.errors())
            told = (f"{name}: {e['msg']}" for name, e in zip(wrong, error.errors(), strict=True))
            return "\n".join(told)
        case KafkaException():
            inner = error.args[0]
            return f"Kafka: {inner.str() if isinstance(inner, KafkaError) else inner}"
        case OSError() if error.filename and error.strerror:
            return f"{error.filename}: {error.strerror}"
    return None


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pathline {version('pathline')}")
        raise typer.Exit


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def pathline(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Omnichannel customer journeys on Kafka: one live profile, segments, journeys, paths."""
