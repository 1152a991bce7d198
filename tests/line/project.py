"""Small projects and recorded events for tests of the whole line."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday

IDENTITY = """
identifiers:
  user_id:      {limit: 1}
  loyalty_card: {limit: 1}
  email:        {limit: 5, normalize: email}
  phone:        {limit: 5, normalize: phone, region: UA}
  anonymous_id: {limit: 100}
blocked: ["", "null", "undefined", "anonymous"]
hub: 50
"""
CHANNELS = """
email:  {cost: 0.0004, connector: smtp, consent: opt_in}
sms:    {cost: 0.05, connector: smpp, consent: opt_in}
push:   {cost: 0, connector: webpush, consent: opt_out}
web:    {kind: session}
"""


def at(**delta: float) -> str:
    """An instant after START, ISO 8601."""
    return (START + timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


def track(name: str, when: str, user: str | None = "u1", **more: Any) -> dict[str, Any]:
    """A track message; `more` are its other fields."""
    message = {"type": "track", "event": name, "timestamp": when, "properties": {}, **more}
    message.setdefault("messageId", f"{name}-{when}-{user}-{sorted(more.items())}")
    return {**message, "userId": user} if user else message


def identify(when: str, user: str | None = "u1", **more: Any) -> dict[str, Any]:
    message = {
        "type": "identify",
        "timestamp": when,
        "messageId": f"identify-{when}-{user}-{sorted(more.items())}",
        **more,
    }
    return {**message, "userId": user} if user else message


def granted(*categories: str, refused: tuple[str, ...] = ()) -> dict[str, Any]:
    """A context in which these categories were granted or refused."""
    choices = {**dict.fromkeys(categories, True), **dict.fromkeys(refused, False)}
    return {"consent": {"categoryPreferences": choices}}


@dataclass(frozen=True)
class Simulated:
    """The five files."""

    people: list[dict[str, Any]]
    memberships: list[dict[str, Any]]
    sends: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    links: list[dict[str, Any]]
    output: str

    def changes(self, segment: str) -> list[tuple[str, str, str]]:
        """(at, change, cause) of a segment, in order."""
        return [(m["at"], m["change"], m["cause"]) for m in self.memberships if m["segment"] == segment]

    def reasons(self, journey: str) -> list[str]:
        return [d["reason"] for d in self.decisions if d["journey"] == journey]


class Lab:
    """A project in a folder and the command line that simulates it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"
        self.files({"project.yaml": "name: shop", "identity.yaml": IDENTITY, "channels.yaml": CHANNELS})
        self.template("hello", "Hi", "Hello there")

    def files(self, texts: dict[str, str]) -> None:
        for name, text in texts.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), "utf-8")

    def segment(self, name: str, when: str) -> None:
        self.files({f"segments/{name}.yaml": f"name: {name}\nwhen:\n{textwrap.indent(textwrap.dedent(when), '  ')}\n"})

    def journey(self, name: str, text: str) -> None:
        self.files({f"journeys/{name}.yaml": f"name: {name}\n{textwrap.dedent(text)}\n"})

    def template(self, name: str, subject: str, body: str) -> None:
        self.files({f"templates/{name}.yaml": f"subject: {json.dumps(subject)}\nbody: {json.dumps(body)}\n"})

    def simulate(self, messages: list[dict[str, Any]], until: str) -> Simulated:
        from pathline.cli import app

        recorded, output = self.folder.parent / "events.jsonl", self.folder.parent / "out"
        recorded.write_text("".join(json.dumps(message) + "\n" for message in messages), "utf-8")
        arguments = ["simulate", str(self.folder), "--events", str(recorded), "--until", until, "--output", str(output)]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        rows = {
            name: [json.loads(line) for line in (output / f"{name}.jsonl").read_text("utf-8").splitlines()]
            for name in ("people", "memberships", "sends", "decisions", "links")
        }
        return Simulated(**rows, output=result.output)
