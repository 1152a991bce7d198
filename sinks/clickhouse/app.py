"""The process `pathline sink`: writes the warehouse, and lets others read the embedded one over HTTP."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import structlog
import uvicorn
from clickhouse_connect.driver.exceptions import ClickHouseError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from schemas.condition import JOINING, RUNNING, WAITING_FOR_BROKER, Condition
from schemas.registry import codec_for
from schemas.settings import Settings
from schemas.waiting import wait_for_broker
from sinks.clickhouse import http
from sinks.clickhouse.connect import folder
from sinks.clickhouse.engine import Warehouse, another, open_embedded, open_server
from sinks.clickhouse.retention import retain
from sinks.clickhouse.squash import last_run, squash
from sinks.clickhouse.writer import GROUP, Writer

HOST = "127.0.0.1"

#: between two looks whether it is time to squash
_LOOK_SECONDS = 60.0
#: a statement of a squash that takes longer is not waited for: it can be cut off anywhere
_STOP_SECONDS = 10.0

log = structlog.get_logger("sink")


def run(settings: Settings, http_port: int = 0) -> None:
    """Write until SIGTERM or SIGINT; waits for Kafka first. `http_port` is that of the query endpoint, 0 picks a free
    one; with a ClickHouse server configured there is none.

    Raises what stops the writer: the supervisor starts it again, and nothing is lost or doubled.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    condition = Condition(GROUP, "opening the warehouse", RUNNING.__eq__)
    warehouse = open_warehouse(settings)
    try:
        if changed := retain(warehouse, settings):
            log.info("rows are kept for other times than before", days=changed)
        with ExitStack() as endpoints:
            endpoints.enter_context(serving(operations(condition), settings.web_port, "metrics"))
            if warehouse.path is not None:
                endpoint = http.application(warehouse.path, settings.warehouse_password)
                endpoints.enter_context(serving(endpoint, http_port, "warehouse"))
            if not wait_for_broker(settings.brokers, stopping.wait, partial(_waiting, condition)):
                return
            condition.be(JOINING)
            if settings.squash_hours and settings.worker == 0:
                endpoints.enter_context(squashing(settings, warehouse))
            Writer(settings, warehouse, codec_for(settings), settings.make_clock(), stopping.is_set, condition).run()
    finally:
        warehouse.close()


def _waiting(condition: Condition, why: str) -> None:
    condition.be(WAITING_FOR_BROKER, why)
    log.warning("waiting for the broker", why=why)


def open_warehouse(settings: Settings) -> Warehouse:
    """The line's warehouse, for the process that writes it. Raises WarehouseError."""
    if settings.warehouse:
        return open_server(settings.warehouse)
    return open_embedded(folder(settings.home))


@contextmanager
def squashing(settings: Settings, warehouse: Warehouse) -> Iterator[None]:
    """Squash now and then in a thread of its own, which the writer does not wait for."""
    ended = threading.Event()
    thread = threading.Thread(target=_squash_often, args=(settings, warehouse, ended), name="squash", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_STOP_SECONDS)


def _squash_often(settings: Settings, warehouse: Warehouse, ended: threading.Event) -> None:
    began, every = time.time(), settings.squash_hours * 3600
    own = open_server(settings.warehouse, prepare=False) if warehouse.path is None else another(warehouse.path)
    while not ended.wait(min(every, _LOOK_SECONDS)):
        try:
            if time.time() - max(began, last_run(own)) >= every:
                for said in squash(own):
                    log.info("squash", said=said)
                    if ended.is_set():
                        break
        except ClickHouseError as error:
            log.warning("squash: trying again later", error=str(error))
    own.close()


def operations(condition: Condition) -> Starlette:
    """Readiness and metrics of the process."""

    async def readiness(request: Request) -> Response:
        return JSONResponse(condition.about(), status_code=200 if condition.ready else 503)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/ready", readiness), Route("/metrics", metrics)])


@contextmanager
def serving(application: ASGIApp, port: int, name: str) -> Iterator[int]:
    """Serve on the loopback address in a thread; gives the port."""
    # without the protocol asyncio leaves Nagle's algorithm on: each answer on a kept connection would wait 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    # a client may come before the server in its thread has begun
    listener.listen()
    bound = int(listener.getsockname()[1])
    config = uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=name, daemon=True)
    thread.start()
    log.info("listening", what=name, url=f"http://{HOST}:{bound}/")
    try:
        yield bound
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
