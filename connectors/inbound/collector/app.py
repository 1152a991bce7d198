"""The HTTP collector: the endpoints of Segment's HTTP API in front of the topic `events`.

Spec: segment.com/docs/connections/sources/catalog/libraries/server/http-api. What is good is accepted and what is bad
becomes a dead letter; the answer comes when Kafka has acknowledged both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.requests import ClientDisconnect

from connectors.inbound.collector import described, payload, tracking, unsubscribing
from connectors.inbound.collector.auth import Unauthorized, write_key
from connectors.inbound.collector.intake import Intake, Receipt, Refusal
from connectors.inbound.collector.metrics import Metrics
from connectors.inbound.collector.publisher import Busy, NotAcknowledged, Outgoing
from connectors.inbound.collector.webpush import webpush
from connectors.inbound.hooks.router import hooks
from connectors.links import Choice, Click, Opening, read
from connectors.signing import BadToken
from schemas.condition import RUNNING, WAITING_FOR_BROKER, Condition
from schemas.definitions.model import IdentityRules, Project
from schemas.records import Event
from schemas.topics import EDGE_BYTES, EVENTS

#: call -> its short paths, as the browser library uses them
CALLS = {"track": "t", "identify": "i", "page": "p", "screen": "s", "group": "g", "alias": "a"}
BATCHES = ("batch", "import", "b")
SCHEME = "writeKey"
BUSY_SECONDS, DOWN_SECONDS = "1", "5"
_UNCACHED = {"Cache-Control": "no-store, max-age=0"}
_log = structlog.get_logger("collector")

_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "Nothing in it could be used; the bytes are kept as dead letters."},
    401: {"model": Refusal, "description": "No write key, or an unknown one."},
    413: {"model": Refusal, "description": "The body is too large."},
    415: {"model": Refusal, "description": "A Content-Encoding other than gzip."},
    429: {"model": Refusal, "description": "Kafka is slower than what comes in: try again after Retry-After seconds."},
    503: {"model": Refusal, "description": "Kafka did not acknowledge: send it again, duplicates are dropped."},
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the collector works with. `rules` gives the identity rules in force, None before a project is published;
    `ready` says why it is not ready, None when it is; `webpush_key` is the public key of web push,
    `project` the one published last, `public_url` the collector as others call it."""

    intake: Intake
    write_keys: Sequence[str]
    rules: Callable[[], IdentityRules | None]
    ready: Callable[[], Awaitable[str | None]]
    secret: bytes
    webpush_key: Callable[[], str] = str
    project: Callable[[], Project | None] = lambda: None
    public_url: str = ""


class _NotYet(Exception):
    """No project is published, so identifiers can't be judged."""


def make_app(parts: Parts) -> FastAPI:
    """The collector as an ASGI app."""
    app = FastAPI(
        title="Pathline collector",
        summary="Events into the line, by the HTTP API of Segment.",
        description="Point any Segment library at this host. Authenticate with the write key as Basic auth user name.",
        version="1",
    )
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["*"], max_age=86_400
    )
    metrics = Metrics(parts.intake.publisher)
    app.include_router(_calls(parts, metrics))
    app.include_router(_links(parts))
    app.include_router(webpush(parts.webpush_key))
    app.include_router(hooks(parts.intake, parts.project, parts.public_url))
    app.include_router(_operations(parts, metrics))
    _declare_write_key(app)
    return app


def _declare_write_key(app: FastAPI) -> None:
    """Lets the OpenAPI page send a write key."""
    document = app.openapi()
    document["components"]["securitySchemes"] = {
        SCHEME: {"type": "http", "scheme": "basic", "description": "User name: the write key. Password: empty."}
    }


def _calls(parts: Parts, metrics: Metrics) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["events"])

    def add(call: str, path: str, hidden: bool) -> None:
        async def endpoint(request: Request) -> Response:
            response = await _handle(parts, request, call, metrics)
            metrics.answered(call, response.status_code)
            return response

        router.add_api_route(
            f"/{path}",
            endpoint,
            methods=["POST"],
            name=call,
            summary=f"{call.capitalize()}: {'messages of any kind' if call == 'batch' else 'one message'}",
            response_model=Receipt,
            responses=_ANSWERS,
            include_in_schema=not hidden,
            openapi_extra={"requestBody": described.body_of(call), "security": _SECURITY},
        )

    for call, short in CALLS.items():
        add(call, call, hidden=False)
        add(call, short, hidden=True)
    for path in BATCHES:
        add("batch", path, hidden=path != "batch")
    return router


async def _handle(parts: Parts, request: Request, call: str, metrics: Metrics) -> Response:
    """One call, from bytes to answer."""
    header = request.headers.get("authorization")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    limit = payload.BATCH_BYTES if call == "batch" else EDGE_BYTES
    try:
        # the body is taken first even from strangers: an answer before it would break the connection under the client
        body = await payload.read(request.stream(), limit)
        known = write_key(parts.write_keys, header, None) if header is not None else None
        try:
            plain = payload.unpack(body, encoding, limit)
            posted, in_body = payload.many(plain) if call == "batch" else payload.one(plain, call)
        except payload.Malformed as error:
            # strangers leave no dead letters
            await parts.intake.bury(error, _source(known or write_key(parts.write_keys, None, None)))
            metrics.rejected(1)
            return _refused(400, "malformed", str(error))
        source = _source(known or write_key(parts.write_keys, None, in_body))
        rules = parts.rules()
        if rules is None:
            raise _NotYet("no project is published yet (pathline apply)")
        with metrics.acknowledging():
            receipt = await parts.intake.take(posted, rules, source)
    except Unauthorized as error:
        return _refused(401, "unauthorized", str(error), {"WWW-Authenticate": 'Basic realm="pathline"'})
    except payload.TooLarge as error:
        return _refused(413, "too_large", str(error))
    except payload.Unsupported as error:
        return _refused(415, "unsupported", str(error))
    except Busy as error:
        return _refused(429, "busy", str(error), {"Retry-After": BUSY_SECONDS})
    except (NotAcknowledged, _NotYet) as error:
        return _refused(503, "unavailable", str(error), {"Retry-After": DOWN_SECONDS})
    except ClientDisconnect:
        return Response(status_code=400)
    metrics.accepted(receipt.accepted)
    metrics.rejected(len(receipt.rejected))
    if not receipt.accepted:
        message = receipt.rejected[0].reason if receipt.rejected else "the batch is empty"
        refusal = Refusal(code="rejected", message=message, rejected=receipt.rejected)
        return JSONResponse(refusal.model_dump(), 400)
    return JSONResponse(receipt.model_dump())


def _source(key: str) -> str:
    return f"collector:{key}"


def _refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(Refusal(code=code, message=message).model_dump(), status, headers)


def _links(parts: Parts) -> APIRouter:
    broken: dict[int | str, dict[str, Any]] = {404: {"description": "The link is not one of this line.", **_PAGE}}
    router = APIRouter(tags=["links in messages"], responses=broken)

    @router.get("/unsubscribe/{token}", response_class=HTMLResponse, summary="Ask before unsubscribing")
    async def ask(token: str) -> HTMLResponse:
        try:
            return HTMLResponse(unsubscribing.asking(read(parts.secret, token, Choice)))
        except BadToken:
            return HTMLResponse(unsubscribing.broken(), 404)

    @router.post(
        "/unsubscribe/{token}",
        response_class=HTMLResponse,
        summary="Unsubscribe (one-click, RFC 8058)",
        responses={503: {"description": "Kafka did not acknowledge: try again.", **_PAGE}},
    )
    async def unsubscribe(token: str) -> HTMLResponse:
        try:
            asked = read(parts.secret, token, Choice)
        except BadToken:
            return HTMLResponse(unsubscribing.broken(), 404)
        try:
            await _publish(parts, unsubscribing.event(asked, parts.intake.clock.now()))
        except (Busy, NotAcknowledged):
            return HTMLResponse("Please try again in a minute.", 503, {"Retry-After": DOWN_SECONDS})
        return HTMLResponse(unsubscribing.done(asked))

    @router.head("/l/{token}", include_in_schema=False)
    @router.get(
        "/l/{token}", status_code=302, response_class=RedirectResponse, summary="A link in a message was clicked"
    )
    async def click(token: str, request: Request) -> Response:
        try:
            link = read(parts.secret, token, Click)
        except BadToken:
            return HTMLResponse(unsubscribing.broken(), 404)
        await _tell(parts, link, request)
        return RedirectResponse(link.url, 302, _UNCACHED)

    @router.head("/o/{token}", include_in_schema=False)
    @router.get("/o/{token}", response_class=Response, summary="A message was opened")
    async def opening(token: str, request: Request) -> Response:
        try:
            link = read(parts.secret, token.removesuffix(".gif"), Opening)
        except BadToken:
            return HTMLResponse(unsubscribing.broken(), 404)
        await _tell(parts, link, request)
        return Response(tracking.PICTURE, media_type="image/gif", headers=_UNCACHED)

    return router


async def _tell(parts: Parts, link: Click | Opening, request: Request) -> None:
    """Publish what happened. Whoever clicks gets to the page also when Kafka is away: that is not told then, and the
    log says so."""
    machine = tracking.by_machine(request.method, request.headers.get("user-agent", ""))
    try:
        await _publish(parts, tracking.receipt(link, parts.intake.clock.now(), machine))
    except (Busy, NotAcknowledged) as error:
        _log.warning("a receipt is lost", receipt=link.receipt, send_id=link.send_id, error=str(error))


async def _publish(parts: Parts, event: Event) -> None:
    record = Outgoing(EVENTS, event.identifiers[0].encode(), parts.intake.codec.encode(event))
    await parts.intake.publisher.publish([record])


def _operations(parts: Parts, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["operations"])
    condition = Condition("collector", WAITING_FOR_BROKER, RUNNING.__eq__)

    @router.get("/health", summary="The process runs")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/ready", summary="It can take events", responses={503: {"description": "It can't, with the reason."}})
    async def ready() -> JSONResponse:
        if missing := await parts.ready():
            condition.be(WAITING_FOR_BROKER, missing)
        elif parts.rules() is None:
            condition.be("waiting for a project", "no project is published yet (pathline apply)")
        else:
            condition.be(RUNNING)
        return JSONResponse(condition.about(), 200 if condition.ready else 503)

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def exposition() -> Response:
        return Response(metrics.text(), media_type=metrics.MEDIA_TYPE)

    return router


_PAGE: dict[str, Any] = {"content": {"text/html": {"schema": {"type": "string"}}}}
_SECURITY: list[dict[str, list[str]]] = [{SCHEME: []}]
