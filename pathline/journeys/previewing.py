"""A template as a person would get it, channel by channel."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from processors.journeys.pools import NamedCode
from processors.journeys.snapshot import Snapshot
from schemas.definitions.expressions import document, iso
from schemas.definitions.model import Issue, Project, Send
from schemas.definitions.steps import all_steps, senders
from schemas.definitions.templates import TemplateError, is_sms, render
from schemas.localtime import zone_of
from schemas.records import Event
from schemas.sms import split

#: parts in the order in which people read them
_ORDER = ("from", "reply_to", "subject", "preheader", "title", "text", "buttons", "url", "image", "icon", "html")


@dataclass(frozen=True, slots=True)
class Preview:
    """A message in a channel: its parts, or the error for which it would not be sent. `facts` are figures about it."""

    channel: str
    parts: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> str:
        """The message for the terminal."""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        lines = [f"--- {self.channel}" + (f" ({facts})" if facts else "")]
        if self.error:
            return "\n".join([*lines, f"would not be sent: {self.error}", ""])
        for name in (name for name in _ORDER if name in self.parts):
            value = self.parts[name]
            if name == "html":
                lines.append(f"html: {len(value):,} characters (--output FILE writes the page)")
            elif name == "text":
                lines += ["", value, ""]
            else:
                lines.append(f"{name}: {value}")
        return "\n".join([*lines, ""])


def previews(
    project: Project,
    name: str,
    profile: Mapping[str, Any],
    event: Event | None,
    at: int,
    language: str = "",
    channels: Collection[str] = (),
    caught: Mapping[str, Event] = {},
) -> list[Preview]:
    """The template in these channels, else in those that journeys send it by, else in e-mail, at an instant
    (milliseconds UTC); `caught` are events by the names from `as:`."""
    snapshot = msgspec.convert({key: value for key, value in profile.items() if value is not None}, Snapshot)
    shown = document(event) if event is not None else {}
    person = {"id": "", "traits": snapshot.traits}
    other = {**_codes(project, name, at), **{known: document(found) for known, found in caught.items()}}
    names = {**other, "entry": shown, "event": shown, "person": person, "now": at}
    zone = zone_of(snapshot.timezone, project.timezone).key
    return [
        _preview(project, name, channel, language or snapshot.language(), names, zone)
        for channel in (channels or _used(project, name) or ["email"])
    ]


def _preview(project: Project, name: str, channel: str, language: str, names: Mapping[str, Any], zone: str) -> Preview:
    try:
        parts = render(project.templates[name], channel, language, names, zone)
    except TemplateError as error:
        return Preview(channel, error=str(error))
    return Preview(channel, parts, facts=_facts(channel, parts))


def _facts(channel: str, parts: Mapping[str, str]) -> dict[str, Any]:
    text = parts.get("text", "")
    if "html" in parts:
        return {"bytes": len(orjson.dumps(parts))}
    if not is_sms(channel):
        return {"characters": len(text)}
    message = split(text)
    return {
        "segments": len(message.segments),
        "characters": message.units,
        "encoding": message.encoding + (f" for {message.odd}" if message.odd else ""),
    }


def _codes(project: Project, name: str, at: int) -> dict[str, NamedCode]:
    """Codes of nobody, under the names that journeys which send the template give to codes."""
    found = {}
    for journey in senders(project, name):
        for step in all_steps(journey.steps):
            if isinstance(step, Issue):
                expires_at = iso(at + step.expires) if step.expires is not None else None
                told = {"code": "TEST-CODE", "promo": step.promo, "expires_at": expires_at}
                found[step.name] = NamedCode.of(orjson.dumps(told))
    return found


def _used(project: Project, name: str) -> list[str]:
    """Channels that journeys send the template by, in order of the project."""
    sending = [channel.name for channel in project.channels.values() if channel.kind == "send"]
    wanted: set[str] = set()
    for journey in senders(project, name):
        for step in all_steps(journey.steps):
            if isinstance(step, Send) and step.template == name:
                wanted.update(step.channels or sending)
    return [channel for channel in sending if channel in wanted]
