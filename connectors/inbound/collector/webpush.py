"""What a site needs for web push: the service worker, and the key to subscribe with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

_WORKER = Path(__file__).parent / "webpush.js"


class _Script(Response):
    media_type = "text/javascript"


def webpush(key: Callable[[], str]) -> APIRouter:
    """The endpoints; `key` gives the applicationServerKey."""
    router = APIRouter(tags=["web push"])

    @router.get("/webpush.js", summary="The service worker, for importScripts", response_class=_Script)
    def worker() -> Response:
        return _Script(_WORKER.read_bytes(), headers={"Cache-Control": "max-age=3600"})

    @router.get("/webpush/key", summary="The applicationServerKey to subscribe with", response_class=PlainTextResponse)
    def public_key() -> PlainTextResponse:
        return PlainTextResponse(key())

    return router
