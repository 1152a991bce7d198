"""The HTTP side: what programs of the shop ask of the line, and may by their key."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from sinks.profiles import asking, entering, inbox
from sinks.profiles.access import ACTOR, Gate, Refused
from sinks.profiles.described import Problem
from sinks.profiles.metrics import ANSWER_SECONDS, REQUESTS
from sinks.profiles.parts import SCHEME, Parts

#: what pages may send and see
_CORS = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": f"Authorization, Content-Type, {ACTOR}",
    "Access-Control-Expose-Headers": "Retry-After",
    "Access-Control-Max-Age": "600",
}


def make_app(parts: Parts) -> FastAPI:
    """The server as an ASGI app."""
    app = FastAPI(
        title="Pathline profiles",
        summary="People as the line knows them right now.",
        description="Authenticate with a key of `pathline keys create` as Bearer token.",
        version="1",
    )
    app.include_router(asking.router(parts))
    app.include_router(entering.router(parts))
    app.include_router(inbox.router(parts))
    app.include_router(_operations(parts))
    _answer_errors(app)
    _allow_pages(app, parts.gate)
    _describe(app)
    return app


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

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        problem = Problem(code="http", message=str(error.detail))
        return JSONResponse(problem.model_dump(), error.status_code, error.headers)


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
