"""The HTTP side: what programs of the shop ask of the line, and may by their key."""

from __future__ import annotations

import math
import time
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    app.add_middleware(Pages, gate=parts.gate)
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


class Pages:
    """Lets pages of the sites that keys name ask (CORS), and counts answers. Which key it is shows with the request
    only; the gate looks then whether it may be used there.

    Plain ASGI: Starlette's middleware of functions would take a third of the time of an answer.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        asked = Headers(scope=scope)
        origin = asked.get("origin")
        allowed = origin is not None and self._gate.allows_pages_of(origin)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                if allowed and origin is not None:
                    headers.update({**_CORS, "Access-Control-Allow-Origin": origin})
                headers["Vary"] = "Origin"
            await send(message)

        if scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            await Response(status_code=204 if allowed else 403)(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)
        route: Any = scope.get("route")
        if route is not None and route.path.startswith("/v1/"):
            ANSWER_SECONDS.labels(route.name).observe(time.perf_counter() - began)
            REQUESTS.labels(route.name, str(status)).inc()


def _describe(app: FastAPI) -> None:
    """Lets the OpenAPI page send a key, and takes out answers that are never given."""
    document = app.openapi()
    document["components"]["securitySchemes"] = {SCHEME: {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
