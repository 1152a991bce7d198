"""`POST /v1/hooks/PROVIDER`: a call is proven, read, kept in Kafka, and only then answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from connectors.inbound.collector import payload
from connectors.inbound.collector.intake import APP, Intake, Refusal
from connectors.inbound.collector.publisher import Busy, NotAcknowledged, Outgoing
from connectors.inbound.hooks.base import Call, Forged, Heard, Hook, Unusable
from connectors.inbound.hooks.registry import PROVIDERS, hook_of
from connectors.inbound.segment import Rejected
from connectors.receipts import as_event
from schemas.clock import ScaledClock
from schemas.dead_letters import refused_at_edge
from schemas.definitions.model import Project
from schemas.topics import DEAD_LETTERS, EVENTS

log = structlog.get_logger()

LONGEST = 2 * 1024 * 1024
_DOWN = {"Retry-After": "5"}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Kept."},
    400: {"model": Refusal, "description": "It is the provider's and can't be read; the bytes are a dead letter."},
    403: {"model": Refusal, "description": "It does not prove that it comes from the provider; nothing is kept."},
    404: {"model": Refusal, "description": "No such provider, or not set up."},
    413: {"model": Refusal, "description": "The body is too large."},
    503: {"model": Refusal, "description": "Kafka did not acknowledge, or no project is published yet: call again."},
}

Find = Callable[[str, str], Hook | None]


def hooks(
    intake: Intake, project: Callable[[], Project | None], public_url: str = "", find: Find = hook_of
) -> APIRouter:
    """The endpoints. `public_url` is the collector as providers call it, which some of them sign."""
    router = APIRouter(prefix="/v1/hooks", tags=["webhooks of providers"])

    @router.post("/{provider}", summary="Receipts and replies, as the provider sends them", responses=_ANSWERS)
    async def take(provider: str, request: Request, channel: str = "") -> Response:
        known = PROVIDERS.get(provider)
        hook = find(provider, channel or known.channel) if known is not None else None
        if known is None or hook is None:
            return _said(404, "not_set_up", f"the webhook {provider!r} is not set up here")
        try:
            body = await payload.read(request.stream(), LONGEST)
            heard = await hook.hear(_call(request, body, public_url))
        except ClientDisconnect:
            return Response(status_code=400)
        except payload.TooLarge as error:
            return _said(413, "too_large", str(error))
        except Forged as error:
            log.warning("a call that does not prove itself", provider=provider, why=str(error))
            return _said(403, "forged", str(error))
        except Unusable as error:
            return await _bury(intake, provider, body, error)
        except Exception as error:
            # whatever a provider sends must neither stop the collector nor disappear
            log.exception("a webhook could not be read", provider=provider)
            return await _bury(intake, provider, body, Unusable(f"{type(error).__name__}: {error}"))
        return await _keep(intake, project(), f"hook:{provider}", channel or known.channel, heard, body)

    return router


def _call(request: Request, body: bytes, public_url: str) -> Call:
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{public_url.rstrip('/')}{request.url.path}{query}" if public_url else str(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(headers, body, url, time.time(), dict(request.query_params))


async def _keep(
    intake: Intake, project: Project | None, source: str, channel: str, heard: Heard, body: bytes
) -> Response:
    """Publish what a call tells; what is about nobody becomes a dead letter, as calling again would not help."""
    if project is None:
        return _said(503, "unavailable", "no project is published yet (pathline apply)", _DOWN)
    now, scaled = intake.clock.now(), isinstance(intake.clock, ScaledClock)
    records = []
    for incoming in heard.incoming:
        try:
            event = as_event(incoming, project, channel, source, now, scaled)
        except Rejected as error:
            records.append(Outgoing(DEAD_LETTERS, None, body, refused_at_edge(APP, source, error, now)))
        else:
            records.append(Outgoing(EVENTS, event.identifiers[0].encode(), intake.codec.encode(event)))
    try:
        await intake.publisher.publish(records)
    except (Busy, NotAcknowledged) as error:
        return _said(503, "unavailable", str(error), _DOWN)
    return Response(heard.answer, media_type=heard.media_type)


async def _bury(intake: Intake, provider: str, body: bytes, error: Unusable) -> Response:
    headers = refused_at_edge(APP, f"hook:{provider}", error, intake.clock.now())
    try:
        await intake.publisher.publish([Outgoing(DEAD_LETTERS, None, body, headers)])
    except (Busy, NotAcknowledged) as busy:
        return _said(503, "unavailable", str(busy), _DOWN)
    return _said(400, "malformed", str(error))


def _said(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(Refusal(code=code, message=message).model_dump(), status, headers)
