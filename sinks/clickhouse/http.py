"""ClickHouse's HTTP interface to the embedded engine, for reading, and the way in for files of money.

What ClickHouse clients, `curl` and BI tools need: queries by GET and POST, formats, `param_...`, `database`, settings
that change how results look, credentials as they send them, errors with ClickHouse's codes. Connections are read-only
in the engine itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import chdb
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from sinks.clickhouse import metrics
from sinks.clickhouse.asked import AUTHENTICATION_FAILED, READONLY, Query, Refused, authenticate, body_of, query_of
from sinks.clickhouse.engine import another
from sinks.clickhouse.files import BadFile, Loaded, load_text
from sinks.clickhouse.squash import squash
from sinks.clickhouse.statements import NotAllowed, check, format_of

_MOST_AT_ONCE = 4
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
    "Pretty": _TEXT,
    "PrettyCompact": _TEXT,
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
            check(query.sql)
            async with turns:
                data = await run_in_threadpool(_run, path, query)
        except NotAllowed as error:
            return _failure(Refused(READONLY, f"{error}. (READONLY)"))
        except Refused as error:
            return _failure(error)
        except Exception as error:
            return _failure(error)
        metrics.QUERIES.labels("answered").inc()
        kind = format_of(query.sql) or query.format
        headers = {
            "Content-Type": _CONTENT.get(
                kind, "text/plain; charset=UTF-8" if kind == "Pretty" else "application/octet-stream"
            ),
            "X-ClickHouse-Format": kind,
            "X-ClickHouse-Query-Id": query.query_id,
            "X-ClickHouse-Server-Display-Name": "pathline",
        }
        return Response(data, headers=headers)

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
        return StreamingResponse(_squash(path), media_type="text/plain; charset=UTF-8")

    async def ping(request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    return Starlette(
        routes=[
            Route("/", answer, methods=["GET", "POST"]),
            Route("/query", answer, methods=["GET", "POST"]),
            Route("/files", take, methods=["POST"]),
            Route("/squash", squash_now, methods=["POST"]),
            Route("/ping", ping, methods=["GET"]),
            Route("/replicas_status", ping, methods=["GET"]),
        ]
    )


def _run(path: Path, query: Query) -> bytes:
    """Run a query on a connection of its own: opening one takes a fraction of a millisecond, and nothing a reader sets
    outlives the request."""
    connection = chdb.connect(str(path))
    try:
        # readonly comes last, it forbids all further settings
        changes = ", ".join(f"{name} = {_quoted(value)}" for name, value in query.settings.items())
        connection.query(f"SET {changes}")
        connection.query(f"USE {_identifier(query.database)}")
        connection.query("SET readonly = 1")
        result: Any = connection.query(query.sql, query.format, params=query.parameters)
        return bytes(result.bytes())
    finally:
        connection.close()


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
    message = str(error)
    match = _CODE.search(message)
    code = int(match[1]) if match else 1001
    text = message[match.start() :] if match else f"Code: {code}. DB::Exception: {message}"
    metrics.QUERIES.labels("refused").inc()
    status = error.code if isinstance(error, Refused) else code
    return PlainTextResponse(
        text + "\n", status_code=_STATUS.get(status, 500), headers={"X-ClickHouse-Exception-Code": str(code)}
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
