"""What a message or a journey is tried with: an event, a person's profile, the address of who tries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.definitions.model import Journey as JourneyModel
    from schemas.definitions.model import Project, Trigger
    from schemas.records import Event
    from sinks.clickhouse.engine import Warehouse

EventFile = Annotated[
    Path | None,
    typer.Option(
        "--event",
        help="File with the event, a message of the Segment spec; default: the newest that fits.",
        show_default=False,
    ),
]


def event_of(
    warehouse: Warehouse, project: Project, journey: JourneyModel, person: UUID, file: Path | None
) -> Event | None:
    """The event that starts the trial. Raises UserError when the journey needs one and there is none."""
    from pathline.errors import UserError
    from pathline.journeys.words import trigger as spoken
    from schemas.definitions.model import Trigger

    given = event_file(file, project)
    if given is not None:
        return given
    triggers = [t for t in (entry.trigger for entry in journey.entries) if isinstance(t, Trigger) and t.events]
    fitting = _fitting(warehouse, person, triggers)
    if fitting is None and triggers and triggers[0] is journey.entries[0].trigger:
        wanted = " or ".join(map(spoken, triggers))
        raise UserError(f"the person has no {wanted}: give an event by --event FILE")
    return fitting


def newest_for(warehouse: Warehouse, project: Project, template: str, person: UUID) -> Event | None:
    """The person's newest event that would start a journey which sends the template."""
    from schemas.definitions.model import Trigger
    from schemas.definitions.steps import senders

    triggers = [
        entry.trigger
        for journey in senders(project, template)
        for entry in journey.entries
        if isinstance(entry.trigger, Trigger) and entry.trigger.events
    ]
    return _fitting(warehouse, person, triggers)


def newest_caught(warehouse: Warehouse, project: Project, template: str, person: UUID) -> dict[str, Event]:
    """The person's newest events that journeys which send the template would have caught, by the names from `as:`."""
    from schemas.definitions.steps import catches

    found = {name: _fitting(warehouse, person, triggers) for name, triggers in catches(project, template).items()}
    return {name: event for name, event in found.items() if event is not None}


def caught_files(given: Sequence[str], project: Project, template: str) -> dict[str, Event]:
    """The events of `NAME=FILE`. Raises UserError."""
    from pathline.errors import UserError
    from schemas.definitions.problems import nearest
    from schemas.definitions.steps import catches

    found = {}
    for text in given:
        name, told, file = text.partition("=")
        if not told or not file:
            raise UserError(f"--caught {text!r}: NAME=FILE is expected, such as view=event.json")
        known = catches(project, template)
        if name not in known:
            raise UserError(f"no journey that sends {template} catches {name!r} (as:): {nearest(name, known)}")
        event = event_file(Path(file), project)
        assert event is not None  # there is a file
        found[name] = event
    return found


def _fitting(warehouse: Warehouse, person: UUID, triggers: Sequence[Trigger]) -> Event | None:
    from pathline.journeys.known import events_of

    names = sorted({name for trigger in triggers for name in trigger.events})
    for event in events_of(warehouse, person, names, 1_000) if names else ():
        about = [trigger for trigger in triggers if event.name in trigger.events]
        if any(_fits(t, event) for t in about):
            return event
    return None


def _fits(trigger: Trigger, event: Event) -> bool:
    """Whether a trigger names an event, as far as that hangs on the event alone."""
    from schemas.definitions.expressions import document

    where = trigger.where
    return where is None or bool(where.roots - {"event"}) or where.holds({"event": document(event)})


def event_file(file: Path | None, project: Project) -> Event | None:
    """The event in a file. Raises UserError."""
    from connectors.inbound.segment import Rejected, to_event
    from pathline.errors import UserError

    if file is None:
        return None
    try:
        message = json.loads(file.read_text("utf-8"))
        return to_event(message, project.identity, received_at=now(), source="test", use_sent_at=False)
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, Rejected, AttributeError) as error:
        raise UserError(f"{file} is no message of the Segment spec: {error}") from error


def address_of(project: Project, text: str) -> str:
    """`type:value` of an address. Raises UserError."""
    from pathline.errors import UserError
    from schemas.identifiers import Refused, normalise, split

    kind, value = split(text)
    if not value or kind not in project.identity.types:
        if "@" not in text and not any(letter.isdigit() for letter in text):
            raise UserError(f"{text!r} is no address; write an e-mail address, a phone number or type:value")
        kind, value = ("email" if "@" in text else "phone"), text
    if kind not in project.identity.types:
        raise UserError(f"{text!r} is no address that identity.yaml knows; write type:value, for example email:{text}")
    try:
        return f"{kind}:{normalise(project.identity, kind, value)}"
    except Refused as error:
        raise UserError(f"{text!r}: {error}") from error


def profile_json(warehouse: Warehouse, person: UUID) -> bytes:
    """The profile of a person, with nothing in it where nobody keeps one."""
    from pathline.journeys.known import profile_of

    return profile_of(warehouse, person) or b'{"traits": {}}'


def now() -> int:
    """Line time, milliseconds UTC."""
    from pathline.local import current

    return current.settings().make_clock().now()
