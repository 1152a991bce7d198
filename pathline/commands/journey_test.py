"""`pathline journeys test`: a journey tried on a person, with its messages sent to an address of one's own."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.commands.given import EventFile, address_of, event_of, now, profile_json
from pathline.commands.in_force import Folder, Journey, found_person, in_force

if TYPE_CHECKING:
    from schemas.definitions.model import Project
    from schemas.records import Decision, SendCommand


def try_on(
    name: Journey,
    as_: Annotated[str, typer.Option("--as", help="The person it is tried as: type:value or a person id.")],
    to: Annotated[list[str], typer.Option(help="Where the messages go instead; once for each kind of address.")],
    fast: Annotated[bool, typer.Option("--fast", help="Waits are left out.")] = False,
    event: EventFile = None,
    project: Folder = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="table or json, an object a line.")] = "table",
) -> None:
    """Try a journey on a person: real messages go to an address of yours, marked as a test, and nothing of it counts.

    What is waited for does not happen. Without --fast waits take their time (Ctrl-C ends it).
    """
    from pathline.commands.asking import answering
    from pathline.errors import UserError
    from pathline.journeys.trying import Person, run
    from schemas.definitions.expressions import iso

    with answering() as warehouse:
        loaded, journey = in_force(warehouse, project, name)
        person = found_person(warehouse, loaded, as_)
        started_by = event_of(warehouse, loaded, journey, person, event)
        profile = profile_json(warehouse, person)
    addresses = tuple(address_of(loaded, text) for text in to)
    messengers = _Messengers(loaded)
    say = _as_json if format == "json" else _as_text

    def happened(one: Decision | SendCommand) -> None:
        say(messengers, one)

    def pause(since: int, until: int) -> None:
        if format == "table":
            typer.echo(f"{iso(since)}  time goes on to {iso(until)}")
        if not fast:
            time.sleep((until - since) / 1000)

    try:
        stays = run(loaded, journey, Person(str(person), profile, addresses), started_by, now(), pause, happened)
    finally:
        messengers.close()
    if not messengers.sent and format == "table":
        typer.echo("no message came of it")
    if stays is not None and format == "table":
        typer.echo(f"{iso(stays)}  waits for something that does not happen in a test")
    if messengers.failed:
        raise UserError(f"{messengers.failed} messages could not be handed over")


class _Messengers:
    """Hands messages to the providers of their channels, with the connectors that dispatch uses."""

    def __init__(self, project: Project) -> None:
        from pathline.local import current

        # no links that would tell the line of clicks and openings
        self._settings = current.settings().model_copy(update={"public_url": ""})
        self._project = project
        self._channels: dict[str, Any] = {}
        self._runner = asyncio.Runner()
        self.sent = self.failed = 0

    def hand_over(self, command: SendCommand) -> tuple[bool, str]:
        """Whether the provider took it, and what it said."""
        from connectors.outbound.registry import connector_of, make

        self.sent += 1
        try:
            if command.channel not in self._channels:
                connector = connector_of(self._project.channels[command.channel])
                self._channels[command.channel] = make(connector, self._settings, command.channel)
            outcome = self._runner.run(self._channels[command.channel].hand_over(command))
        except ValueError as error:
            self.failed += 1
            return False, str(error)
        self.failed += outcome.kind != "accepted"
        return outcome.kind == "accepted", f"{outcome.kind} {outcome.detail}".strip()

    def close(self) -> None:
        self._runner.close()


def _as_text(messengers: _Messengers, one: Decision | SendCommand) -> None:
    from schemas.definitions.expressions import iso
    from schemas.records import SendCommand

    if isinstance(one, SendCommand):
        _, said = messengers.hand_over(one)
        typer.echo(f"{iso(one.at)}  {one.channel} to {one.to}: {said}")
    else:
        step = f"step {one.step} " if one.step else ""
        typer.echo(f"{iso(one.at)}  {step}{one.channel} {one.reason} {one.detail}".replace("  ", " ").rstrip())


def _as_json(messengers: _Messengers, one: Decision | SendCommand) -> None:
    from schemas.definitions.expressions import iso
    from schemas.records import SendCommand

    told: dict[str, Any] = {"at": iso(one.at), "step": one.step, "channel": one.channel}
    if isinstance(one, SendCommand):
        taken, said = messengers.hand_over(one)
        told |= {"to": one.to, "template": one.template, "taken": taken, "provider": said}
    else:
        told |= {"reason": one.reason, "detail": one.detail}
    typer.echo(json.dumps(told, ensure_ascii=False))
