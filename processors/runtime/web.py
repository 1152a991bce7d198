"""The web endpoint of a worker: /health (the process answers), /ready (it does all its work), /metrics (Prometheus)."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import structlog
from aiohttp import web
from mode import Service
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from processors.runtime.metrics import Metrics

log = structlog.get_logger()


class Web(Service):
    """Serves on host and port; port 0 takes a free one, which is logged."""

    def __init__(self, metrics: Metrics, host: str, port: int, **options: Any) -> None:
        super().__init__(**options)
        self._metrics = metrics
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Raises OSError when the port is taken."""
        served = web.Application()
        served.add_routes(
            [web.get("/health", self._health), web.get("/ready", self._ready), web.get("/metrics", self._show)]
        )
        self._runner = web.AppRunner(served, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        log.info("metrics and readiness", app=self._metrics.app, url=f"http://{host}:{port}")

    async def on_stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response(self._metrics.about())

    async def _ready(self, request: web.Request) -> web.Response:
        about = self._metrics.about()
        return web.json_response(about, status=200 if about["ready"] else 503)

    async def _show(self, request: web.Request) -> web.Response:
        # what stages count themselves is in the default registry
        body = generate_latest(self._metrics.registry) + generate_latest()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
