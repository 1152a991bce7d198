"""Steps that ask something of a service: a webhook is called, the call centre gets a task.

Each is a command on the service's own topic (`schemas.services`) under a derived id, handed over like a message. It is
none, so nothing that may hold back a message holds it back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from processors.journeys import ids
from processors.journeys.effects import filled, identifier_for
from processors.journeys.model import Instance
from processors.journeys.working import Working
from schemas import reasons, topics
from schemas.definitions.expressions import iso
from schemas.definitions.model import Call, Task
from schemas.definitions.templates import TemplateError, render_text
from schemas.records import SendCommand
from schemas.services import CALLS, TASKS

_UNFIT = re.compile(r"[^\x20-\x7e]")


def ask(person: Working, instance: Instance, step: Call | Task, names: Mapping[str, Any], at: int) -> None:
    """Do what a step says, and record it. Raises TemplateError when a text in it can't be rendered; then nothing is
    done."""
    zone = person.zone(person.project(instance)).key
    journey = person.journey(instance)
    if isinstance(step, Call):
        service, reason, content = CALLS, reasons.CALLED, _call(step, names, zone)
        to = detail = str(content["url"])
    else:
        service, reason, content = TASKS, reasons.TASKED, _task(step, names, zone, at)
        to, detail = next(iter(person.profile.addresses.get("phone", ())), ""), str(content["title"])
    id_ = ids.send_id(instance.id, step.id, instance.visit, service)
    command = SendCommand(
        send_id=id_,
        person_id=person.id,
        journey=journey.name,
        version=instance.version,
        instance_id=instance.id,
        step=step.id,
        channel=service,
        category=journey.category,
        purpose=journey.purpose,
        template="",
        to=to,
        identifier=identifier_for(person),
        at=at,
        content=orjson.dumps(content),
    )
    person.emit(topics.outbound(service, journey.category == "transactional"), command)
    person.decide(
        at,
        reason,
        detail,
        journey=journey.name,
        instance=instance,
        step=step.id,
        channel=service,
        send_id=id_,
    )


def _call(step: Call, names: Mapping[str, Any], zone: str) -> dict[str, Any]:
    url = render_text(step.url, names, zone)
    headers = {name: render_text(value, names, zone) for name, value in step.headers.items()}
    if " " in url or any(_UNFIT.search(text) for text in (url, *headers.values())):
        raise TemplateError("a URL or a header with characters that may not stand there: use the filter url_encode")
    return {"url": url, "headers": headers, "data": filled(step.data, names, zone)}


def _task(step: Task, names: Mapping[str, Any], zone: str, at: int) -> dict[str, Any]:
    texts = {"title": step.title, "text": step.text, "queue": step.queue}
    content: dict[str, Any] = {key: render_text(text, names, zone) for key, text in texts.items() if text}
    if step.due is not None:
        content["due"] = iso(at + step.due)
    return {**content, "data": filled(step.data, names, zone)}
