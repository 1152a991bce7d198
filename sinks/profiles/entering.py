"""`POST /v1/journeys/NAME/enter`: a program lets a person into a journey.

The request is an ordinary event of the line (`schemas.requests`): it counts once, stands in the timeline, and the rules
of the journey decide what comes of it. Sent again with the same `messageId` it is the same request.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from connectors.inbound.collector import payload
from connectors.inbound.collector.described import body_of
from connectors.inbound.collector.publisher import Busy, NotAcknowledged, Outgoing
from connectors.inbound.segment import Rejected, to_event
from processors.journeys.ids import instance_id
from schemas.definitions.model import Project, Requested
from schemas.records import Event
from schemas.requests import ENTRY_REQUESTED
from schemas.topics import EDGE_BYTES, EVENTS
from sinks.profiles.access import Refused
from sinks.profiles.described import Entered, answers
from sinks.profiles.parts import AUTH, RETRY_SECONDS, Parts

_BUSY_SECONDS = 1


def router(parts: Parts) -> APIRouter:
    """The calls."""
    calls = APIRouter(prefix="/v1", tags=["journeys"])

    @calls.post(
        "/journeys/{name}/enter",
        summary="Let a person into a journey",
        status_code=202,
        response_model=Entered,
        responses=answers(400, 401, 403, 404, 409, 413, 429, 503),
        openapi_extra={"security": AUTH, "requestBody": body_of("enter")},
    )
    async def enter(request: Request, name: str) -> Response:
        """The body names the person as a track call does; its `properties` are those of the entry event."""
        # taken first: an answer before it would break the connection under the client
        body = await _body(request)
        caller = parts.gate.caller(request)
        if not caller.key.enters(name):
            raise Refused(403, "journey", f"the key {caller.key.name!r} may not let anybody into {name}")
        project = parts.people.project()
        if project is None:
            raise Refused(503, "project", "no project is published yet (pathline apply)", RETRY_SECONDS)
        _check(project, name)
        event = _event(parts, project, name, _message(body), f"api:{caller.key.name}")
        await publish(parts, event)
        told = Entered(
            message_id=event.message_id, event_id=event.event_id, instance_id=instance_id(name, event.event_id)
        )
        return JSONResponse(told.model_dump(), 202)

    return calls


async def publish(parts: Parts, *events: Event) -> None:
    """Put events into the line; returns when Kafka has them. Raises Refused."""
    records = [Outgoing(EVENTS, event.identifiers[0].encode(), parts.codec.encode(event)) for event in events]
    try:
        await parts.publisher.publish(records)
    except Busy as error:
        raise Refused(429, "busy", str(error), _BUSY_SECONDS) from None
    except NotAcknowledged as error:
        raise Refused(503, "unavailable", f"{error}: send it again", RETRY_SECONDS) from None


async def _body(request: Request) -> bytes:
    try:
        return await payload.read(request.stream(), EDGE_BYTES)
    except payload.TooLarge as error:
        raise Refused(413, "too_large", str(error)) from None


def _message(body: bytes) -> dict[str, Any]:
    try:
        [posted], _ = payload.one(body, "track")
    except payload.Malformed as error:
        raise Refused(400, "malformed", str(error)) from None
    assert posted.message is not None
    return posted.message


def _check(project: Project, name: str) -> None:
    """Whether a journey is there and can be entered so. Raises Refused."""
    open_to_all = [
        journey.name
        for journey in project.journeys.values()
        if any(isinstance(entry.trigger, Requested) for entry in journey.entries)
    ]
    if name in open_to_all:
        return
    those = f"those that are: {', '.join(sorted(open_to_all))}" if open_to_all else "none is (enter: {api: true})"
    if name not in project.journeys:
        raise Refused(404, "unknown", f"there is no journey {name!r} to be entered by request; {those}")
    raise Refused(409, "journey", f"the journey {name!r} is not entered by request; {those}")


def _event(parts: Parts, project: Project, name: str, message: dict[str, Any], source: str) -> Event:
    """The request as an event. Raises Refused."""
    properties = message.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise Refused(400, "rejected", "properties: an object expected")
    requested = message | {"event": ENTRY_REQUESTED, "properties": {**(properties or {}), "journey": name}}
    try:
        return to_event(requested, project.identity, received_at=parts.clock.now(), source=source)
    except Rejected as error:
        raise Refused(400, "rejected", str(error)) from None
