"""ClickHouse's HTTP interface to the embedded engine, for reading, and the way in for files of money.

What ClickHouse clients, `curl` and BI tools need: queries by GET and POST, formats, `param_...`, `database`, settings
that change how results look, compression, credentials as they send them, errors with ClickHouse's codes. Connections
are read-only in the engine itself. A client that goes away ends its query.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sinks.clickhouse import metrics
from sinks.clickhouse.asked import (
    AUTHENTICATION_FAILED,
    MOST_SECONDS,
    READONLY,
    Query,
    Refused,
    authenticate,
    body_of,
    query_of,
)
from sinks.clickhouse.engine import another
from sinks.clickhouse.files import BadFile, Loaded, load_text
from sinks.clickhouse.packing import Packer
from sinks.clickhouse.running import Running
from sinks.clickhouse.squash import squash
from sinks.clickhouse.statements import NotAllowed

_MOST_AT_ONCE = 4
#: an answer that is longer goes out before it is complete
_FIRST_BYTES = 64 * 1024
_STATUS = {
    AUTHENTICATION_FAILED: 403,
    **dict.fromkeys((36, 41, 42, 43, 46, 47, 53, 62, 70, 115, READONLY, 386, 457), 400),
    **dict.fromkeys((60, 81), 404),
    **dict.fromkeys((159, 160), 408),
}
_CODE = re.compile(r"Code: (\d+)\.")
_TEXT = "text/plain; charset=UTF-8"
_CONTENT = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "CSVWithNames": "text/csv; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "Vertical": _TEXT,
}


def application(path: Path, password: str) -> Starlette:
    """The endpoint over the engine whose files this process has open. An empty password lets everyone in."""
    turns = asyncio.Semaphore(_MOST_AT_ONCE)

    async def answer(request: Request) -> Response:
        try:
            query = await query_of(request, password)
            if query is None:
                return PlainTextResponse("Ok.\n")
            return await _answer(request, path, query, turns)
        except NotAllowed as error:
            return _failure(Refused(READONLY, f"{error}. (READONLY)"))
        except Exception as error:
            return _failure(error)

    async def take(request: Request) -> Response:
        try:
            authenticate(request, request.query_params, password)
            text = (await body_of(request)).decode()
            async with turns:
                loaded = await run_in_threadpool(_load, path, text, request.query_params.get("file", ""))
        except (BadFile, UnicodeDecodeError) as error:
            return PlainTextResponse(str(error), status_code=400)
        except Refused as error:
            return _failure(error)
        return JSONResponse(asdict(loaded))

    async def squash_now(request: Request) -> Response:
        try:
            authenticate(request, request.query_params, password)
        except Refused as error:
            return _failure(error)
        return StreamingResponse(_squash(path), media_type=_TEXT)

    async def ping(request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def options(request: Request) -> Response:
        return Response(status_code=204, headers={"Allow": "GET, HEAD, OPTIONS, POST"})

    return Starlette(
        routes=[
            *(Route(place, options, methods=["OPTIONS"]) for place in ("/", "/query")),
            *(Route(place, answer, methods=["GET", "POST"]) for place in ("/", "/query")),
            Route("/files", take, methods=["POST"]),
            Route("/squash", squash_now, methods=["POST"]),
            Route("/ping", ping, methods=["GET"]),
            Route("/replicas_status", ping, methods=["GET"]),
        ]
    )


async def _answer(request: Request, path: Path, query: Query, turns: asyncio.Semaphore) -> Response:
    """Run a query and begin its answer: a short one is complete, a long one goes out while the engine reads on.

    Raises NotAllowed, Refused, ChdbError.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(turns)
        running = await run_in_threadpool(Running, path, query)
        stack.push_async_callback(run_in_threadpool, running.close)
        reader = _Reader(running, asyncio.ensure_future(_gone(request)))
        stack.callback(reader.gone.cancel)
        await run_in_threadpool(running.start)
        begun, ended = bytearray(), False
        while not ended and len(begun) < _FIRST_BYTES:
            part = await reader.part()
            begun += part
            ended = not part
        metrics.QUERIES.labels("answered").inc()
        packer, headers = Packer(query.encoding), _headers(query, running)
        if ended:
            return Response(packer.pack(bytes(begun), last=True), headers=headers)
        return _Long(reader, bytes(begun), packer, headers, stack.pop_all())


class _Reader:
    """Takes the parts of an answer for as long as the client is there; `gone` is done when it is not."""

    def __init__(self, running: Running, gone: asyncio.Future[None]) -> None:
        self._running = running
        self.gone = gone

    async def part(self) -> bytes:
        """The next part, empty at the end. Raises ChdbError, also when the client went away: nobody waits then."""
        if self.gone.done():
            raise ConnectionError("the client went away")
        work = asyncio.ensure_future(run_in_threadpool(self._running.part))
        either: set[asyncio.Future[Any]] = {work, self.gone}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not work.done():
                await run_in_threadpool(self._running.stop)
        return await work


class _Long(Response):
    """An answer that goes out part by part. A failure on the way is told at its end, which is then cut off."""

    def __init__(
        self, reader: _Reader, begun: bytes, packer: Packer, headers: dict[str, str], held: AsyncExitStack
    ) -> None:
        self.status_code, self.background = 200, None
        self._reader, self._begun, self._packer, self._held = reader, begun, packer, held
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held, asyncio.timeout(MOST_SECONDS):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            part = self._begun
            while part:
                await send({"type": "http.response.body", "body": self._packer.pack(part), "more_body": True})
                try:
                    part = await self._reader.part()
                except Exception as error:
                    if not self._reader.gone.done():
                        told = self._packer.pack(f"\n{_told(error)[1]}\n".encode(), last=True)
                        await send({"type": "http.response.body", "body": told, "more_body": True})
                    return
            await send({"type": "http.response.body", "body": self._packer.pack(b"", last=True), "more_body": False})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _headers(query: Query, running: Running) -> dict[str, str]:
    kind = running.format
    summary = {
        "read_rows": running.read_rows,
        "read_bytes": 0,
        "written_rows": 0,
        "written_bytes": 0,
        "total_rows_to_read": running.read_rows,
        "result_rows": running.result_rows,
        "result_bytes": running.result_bytes,
        "elapsed_ns": running.elapsed_ns,
    }
    told = json.dumps({name: str(value) for name, value in summary.items()}, separators=(",", ":"))
    headers = {
        "Content-Type": _CONTENT.get(kind, _TEXT if kind.startswith("Pretty") else "application/octet-stream"),
        "X-ClickHouse-Format": kind,
        "X-ClickHouse-Query-Id": query.query_id,
        "X-ClickHouse-Server-Display-Name": "pathline",
        "X-ClickHouse-Timezone": running.timezone,
        "X-ClickHouse-Summary": told,
    }
    if query.progress:
        headers["X-ClickHouse-Progress"] = told
    if query.encoding:
        headers |= {"Content-Encoding": query.encoding, "Vary": "Accept-Encoding"}
    return headers


def _load(path: Path, text: str, file: str) -> Loaded:
    warehouse = another(path)
    try:
        return load_text(warehouse, text, file)
    finally:
        warehouse.close()


def _squash(path: Path) -> Iterator[str]:
    """A line for each step."""
    warehouse = another(path)
    try:
        for said in squash(warehouse):
            yield f"{said}\n"
    finally:
        warehouse.close()


def _failure(error: Exception) -> Response:
    code, text = _told(error)
    metrics.QUERIES.labels("refused").inc()
    headers = {"X-ClickHouse-Exception-Code": str(code), "X-ClickHouse-Server-Display-Name": "pathline"}
    return PlainTextResponse(text + "\n", status_code=_STATUS.get(code, 500), headers=headers)


def _told(error: Exception) -> tuple[int, str]:
    """ClickHouse's code of an error, and its message."""
    message = str(error)
    match = _CODE.search(message)
    code = int(match[1]) if match else 1001
    # the statement was read by a function: that is nobody's concern
    text = re.sub(r": In scope SELECT formatQuerySingleLine.*\. \(", ". (", message, flags=re.DOTALL)
    return code, text[match.start() :] if match else f"Code: {code}. DB::Exception: {message}"
