"""The HTTP side of profiles: one person's profile for programs of the shop, as far as their key may read it."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from schemas.condition import Condition
from schemas.definitions.expressions import iso
from schemas.identifiers import Refused as NoIdentifier
from schemas.identifiers import normalise, split
from sinks.profiles.access import ACTOR, Caller, Gate, Refused, Register
from sinks.profiles.described import ANSWERS, Problem, Profile
from sinks.profiles.fields import Fields, NoField
from sinks.profiles.metrics import ANSWER_SECONDS, REQUESTS
from sinks.profiles.people import Nobody, People

PERSON_ID = "person_id"
SCHEME = "key"
RETRY_SECONDS = 5
#: what pages may send and see
_CORS = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": f"Authorization, Content-Type, {ACTOR}",
    "Access-Control-Expose-Headers": "Retry-After",
    "Access-Control-Max-Age": "600",
}
_EVENTS = 20
_MOST_EVENTS = 100
_AUTH: list[dict[str, list[str]]] = [{SCHEME: []}]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server works with. `as_of` is the line time up to which answers are whole, `complete` whether they are
    answers at all: all there was had been read once."""

    people: People
    gate: Gate
    register: Register
    condition: Condition
    as_of: Callable[[], int]
    complete: Callable[[], bool]


def make_app(parts: Parts) -> FastAPI:
    """The server as an ASGI app."""
    app = FastAPI(
        title="Pathline profiles",
        summary="People as the line knows them right now.",
        description="Authenticate with a key of `pathline keys create` as Bearer token.",
        version="1",
    )
    app.include_router(_people(parts))
    app.include_router(_operations(parts))
    _answer_errors(app)
    _allow_pages(app, parts.gate)
    _describe(app)
    return app


def _people(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["people"])

    @router.get(
        "/people/{who:path}",
        summary="A person",
        response_model=Profile,
        responses=ANSWERS,
        openapi_extra={"security": _AUTH},
    )
    async def person(
        request: Request,
        who: str,
        fields: Annotated[
            list[str] | None,
            Query(description="Only these, separated by commas: `traits`, or an entry, `traits.city`."),
        ] = None,
        events: Annotated[int, Query(ge=0, le=_MOST_EVENTS, description="At most so many last events.")] = _EVENTS,
    ) -> Response:
        """`who` is an identifier as `type:value` (`email:ann@example.com`), or a person id, also one the person had
        before it was merged."""
        caller = parts.gate.caller(request)
        asked_by, identifier = _meant(parts, who)
        wanted = _wanted(caller, fields)
        if not caller.key.asks_by(asked_by):
            parts.register.note(caller, "refused", asked_by, wanted.names)
            raise Refused(403, "identifier", f"the key {caller.key.name!r} may not ask by {asked_by}")
        if beyond := wanted.beyond(caller.key.allowed):
            parts.register.note(caller, "refused", asked_by, beyond)
            raise Refused(403, "fields", f"the key {caller.key.name!r} may not read {', '.join(beyond)}")
        if not parts.complete():
            detail = parts.condition.about()["detail"]
            raise Refused(503, "restoring", f"not all was read yet{f': {detail}' if detail else ''}", RETRY_SECONDS)
        as_of = iso(parts.as_of())
        by_id = asked_by == PERSON_ID
        found = parts.people.by_id(identifier) if by_id else parts.people.by_identifier(identifier)
        if isinstance(found, Nobody):
            parts.register.note(caller, found.why, asked_by, [])
            raise _nobody(found, asked_by)
        answer = {"as_of": as_of, **wanted.answer(found, events)}
        parts.register.note(caller, "read", asked_by, wanted.names, found.id)
        return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})

    return router


def _meant(parts: Parts, who: str) -> tuple[str, str]:
    """Type and normalised form of what was asked by. Raises Refused."""
    type, value = split(who)
    try:
        return PERSON_ID, str(UUID(value if type == PERSON_ID else who))
    except ValueError:
        if type == PERSON_ID:
            raise Refused(400, "identifier", f"{value!r} is no person id") from None
    if not value:
        raise Refused(400, "identifier", f"type:value expected, for example email:{type or 'ann@example.com'}")
    project = parts.people.project()
    if project is None:
        raise Refused(503, "project", "no project is published yet (pathline apply)", RETRY_SECONDS)
    try:
        return type, f"{type}:{normalise(project.identity, type, value)}"
    except NoIdentifier as error:
        there = f"; there are {', '.join(project.identity.types)}" if type not in project.identity.types else ""
        raise Refused(400, "identifier", f"{type}: {error}{there}") from None


def _wanted(caller: Caller, names: list[str] | None) -> Fields:
    """The fields that are asked for: all that may be read, or those named. Raises Refused."""
    if names is None:
        return caller.key.allowed
    try:
        return Fields.of(name.strip() for given in names for name in given.split(","))
    except NoField as error:
        raise Refused(400, "fields", str(error)) from None


def _nobody(found: Nobody, asked_by: str) -> Refused:
    if found.why == "erased":
        return Refused(410, "erased", "who this was is forgotten")
    return Refused(404, "unknown", f"nobody is known by this {asked_by}")


def _operations(parts: Parts) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/health", summary="The process runs")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/ready", summary="Answers are whole", responses={503: {"description": "They are not, and why."}})
    async def ready() -> JSONResponse:
        return JSONResponse(parts.condition.about(), 200 if parts.condition.ready else 503)

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def exposition() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        headers = {"Retry-After": str(math.ceil(error.wait))} if error.wait else {}
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="pathline"'
        return JSONResponse(Problem(code=error.code, message=str(error)).model_dump(), error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        told = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
        return JSONResponse(Problem(code="invalid", message=told).model_dump(), 400)


def _allow_pages(app: FastAPI, gate: Gate) -> None:
    """Lets pages of the sites that keys name ask (CORS). Which key it is shows with the request only; the gate looks
    then whether it may be used there."""

    @app.middleware("http")
    async def allow(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        origin = request.headers.get("origin")
        allowed = origin is not None and gate.allows_pages_of(origin)
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            response = Response(status_code=204 if allowed else 403)
        else:
            response = await proceed(request)
        if allowed and origin is not None:
            response.headers.update({**_CORS, "Access-Control-Allow-Origin": origin})
        response.headers["Vary"] = "Origin"
        route: Any = request.scope.get("route")
        if route is not None and route.path.startswith("/v1/"):
            ANSWER_SECONDS.labels(route.name).observe(time.perf_counter() - began)
            REQUESTS.labels(route.name, str(response.status_code)).inc()
        return response


def _describe(app: FastAPI) -> None:
    """Lets the OpenAPI page send a key, and takes out answers that are never given."""
    document = app.openapi()
    document["components"]["securitySchemes"] = {SCHEME: {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
