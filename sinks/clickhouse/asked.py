"""What a request to the query endpoint asks for: statement, parameters, settings, credentials."""

from __future__ import annotations

import hmac
import re
import uuid
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP

from starlette.requests import Request

from sinks.clickhouse.packing import ENCODINGS, Broken, TooLong, chosen, unpacked

#: limits of one query; a client may ask for less
MOST_SECONDS = 120
MOST_MEMORY = 4 * 1024**3
MOST_RESULT_BYTES = 2 * 1024**3
MOST_BODY_BYTES = 256 * 1024**2

AUTHENTICATION_FAILED, READONLY, UNKNOWN_SETTING, BAD_ARGUMENTS = 516, 164, 115, 36
_NAME = re.compile(r"^[A-Za-z_]\w*$")
#: what the transport itself understands or may ignore
_TRANSPORT = frozenset(
    {
        *("query", "database", "default_format", "user", "password", "quota_key", "role", "readonly", "query_id"),
        *("session_id", "session_timeout", "session_check", "close_session", "stacktrace", "add_http_cors_header"),
        *("compress", "decompress", "enable_http_compression", "http_zlib_compression_level"),
        *("wait_end_of_query", "buffer_size", "client_protocol_version"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
    }
)
#: settings a reader may choose: how results look and how much of the machine the query takes
_FREE = re.compile(
    r"^(output_format_\w+|format_\w+|date_time_(in|out)put_format|join_use_nulls|extremes|limit|offset"
    r"|max_threads|max_block_size|max_query_size|max_result_rows|result_overflow_mode|session_timezone|final"
    r"|max_rows_to_read|read_overflow_mode|max_rows_to_group_by|prefer_column_name_to_alias"
    r"|allow_experimental_funnel_functions|allow_experimental_analyzer)$"
)
#: among these, those that name files to read or write, or addresses to ask
_OF_FILES = frozenset(
    {"output_format_schema", "format_schema", "format_schema_source", "format_schema_message_name"}
    | {"format_template_row", "format_template_resultset", "format_avro_schema_registry_url"}
)
#: what drivers send with everything and only writing would obey
_FOR_WRITING = re.compile(r"^(async_insert|wait_for_async_insert\w*|insert_\w+|input_format_\w+)$")
#: settings a reader may lower
_CAPPED = {
    "max_execution_time": MOST_SECONDS,
    "max_memory_usage": MOST_MEMORY,
    "max_result_bytes": MOST_RESULT_BYTES,
}


class Refused(Exception):
    """A request that is not run; `code` is ClickHouse's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Query:
    """One request as it came. `whole`: its answer is complete before it begins; `progress`: how far it got is told in a
    header; `encoding` is how it is packed, empty for not at all."""

    sql: str
    parameters: dict[str, str]
    settings: dict[str, str]
    database: str
    format: str
    query_id: str
    whole: bool
    progress: bool
    encoding: str


async def query_of(request: Request, password: str) -> Query | None:
    """The query in a request, None when there is none. Raises Refused."""
    arguments = dict(request.query_params)
    form = request.headers.get("content-type", "").startswith("multipart/form-data")
    if not form:
        authenticate(request, arguments, password)
    body = await body_of(request)
    if form:
        arguments |= _fields(body, request.headers["content-type"])
        body = b""
        authenticate(request, arguments, password)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refused(BAD_ARGUMENTS, "The query is not UTF-8. (BAD_ARGUMENTS)") from error
    sql = "\n".join(part for part in (arguments.get("query", ""), text) if part.strip())
    if not sql:
        return None
    if _on(arguments, "compress"):
        raise Refused(
            BAD_ARGUMENTS,
            "compress=1 is not supported here: set compress=0 (in JDBC ?compress=false), or let HTTP compress"
            " (enable_http_compression=1, in JDBC client.use_http_compression=true). (BAD_ARGUMENTS)",
        )
    given = {name: value for name, value in arguments.items() if not name.startswith("param_")}
    return Query(
        sql=sql,
        parameters={name[6:]: value for name, value in arguments.items() if name.startswith("param_")},
        settings=_settings(given),
        database=arguments.get("database") or request.headers.get("x-clickhouse-database") or "default",
        format=arguments.get("default_format") or request.headers.get("x-clickhouse-format") or "TabSeparated",
        query_id=arguments.get("query_id") or str(uuid.uuid4()),
        whole=_on(arguments, "wait_end_of_query") or _on(arguments, "extremes"),
        progress=_on(arguments, "send_progress_in_http_headers"),
        encoding=chosen(request.headers.get("accept-encoding", ""))
        if _on(arguments, "enable_http_compression")
        else "",
    )


def _on(arguments: Mapping[str, str], name: str) -> bool:
    return arguments.get(name, "").lower() in ("1", "true")


def authenticate(request: Request, arguments: Mapping[str, str], password: str) -> None:
    """Any user with the line's password, where ClickHouse clients put it. Raises Refused."""
    given = arguments.get("password") or request.headers.get("x-clickhouse-key") or _basic(request)
    if password and not hmac.compare_digest(given.encode(), password.encode()):
        raise Refused(AUTHENTICATION_FAILED, "Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)")


def _basic(request: Request) -> str:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return encoded.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(encoded, validate=True).decode().partition(":")[2]
    except (NotBase64, UnicodeDecodeError):
        return ""


def _settings(arguments: Mapping[str, str]) -> dict[str, str]:
    """The settings among the arguments. Raises Refused for those a reader may not choose."""
    chosen = {name: str(limit) for name, limit in _CAPPED.items()}
    for name, value in arguments.items():
        if name in _TRANSPORT or _FOR_WRITING.match(name):
            continue
        if not _NAME.match(name):
            raise Refused(UNKNOWN_SETTING, f"Unknown setting {name!r}. (UNKNOWN_SETTING)")
        if name in _CAPPED:
            try:
                asked = float(value)
            except ValueError:
                raise Refused(BAD_ARGUMENTS, f"{name} is not a number: {value!r}. (BAD_ARGUMENTS)") from None
            # 0 stands for no limit
            lower = 0 < asked < _CAPPED[name]
            chosen[name] = str(int(asked) if asked.is_integer() else asked) if lower else str(_CAPPED[name])
        elif _FREE.match(name) and name not in _OF_FILES:
            chosen[name] = value
        else:
            raise Refused(READONLY, f"Cannot modify '{name}' setting in readonly mode. (READONLY)")
    return chosen


async def body_of(request: Request) -> bytes:
    """What was sent, uncompressed. Raises Refused when it is too large."""
    return _decoded(await _body(request), request.headers.get("content-encoding", ""))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise _too_long()
    return bytes(body)


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding.lower() in ("", "identity"):
        return body
    if encoding.lower() not in ENCODINGS:
        raise Refused(BAD_ARGUMENTS, f"Content-Encoding {encoding} is none of {', '.join(ENCODINGS)}. (BAD_ARGUMENTS)")
    try:
        return unpacked(body, encoding.lower(), MOST_BODY_BYTES)
    except TooLong:
        raise _too_long() from None
    except Broken as error:
        raise Refused(BAD_ARGUMENTS, f"The body is {error} {encoding}. (BAD_ARGUMENTS)") from error


def _too_long() -> Refused:
    return Refused(BAD_ARGUMENTS, f"The request is longer than {MOST_BODY_BYTES} bytes. (BAD_ARGUMENTS)")


def _fields(body: bytes, content_type: str) -> dict[str, str]:
    """Fields of a multipart form: clients move long parameters there. Raises Refused for files (external data)."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    found: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None:
            raise Refused(BAD_ARGUMENTS, "External data is not supported here. (BAD_ARGUMENTS)")
        payload = part.get_payload(decode=True)
        found[str(name)] = payload.decode() if isinstance(payload, bytes) else ""
    return found
