"""Request bodies to messages: size limits, gzip, and the exact bytes of each message of a batch."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from schemas.topics import EDGE_BYTES

#: a batch may be this large, unpacked; a single call is one event
BATCH_BYTES = 2 * 1024 * 1024
#: so much of a body that is too large is read and thrown away, so that its sender hears the answer
DRAIN_BYTES = 64 * 1024 * 1024


class TooLarge(Exception):
    """The body is above the limit."""


class Unsupported(Exception):
    """The body is encoded in a way that is not understood."""


class Malformed(Exception):
    """The body can't be taken apart; `body` holds its bytes as they came."""

    def __init__(self, reason: str, body: bytes) -> None:
        super().__init__(reason)
        self.body = body


@dataclass(frozen=True, slots=True)
class Posted:
    """One message of a request: its place, its bytes as they came, and the object in them or why there is none."""

    index: int
    raw: bytes
    message: dict[str, Any] | None
    problem: str = ""


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]
    sentAt: Any = None
    context: Any = None
    writeKey: Any = None


async def read(stream: AsyncIterator[bytes], limit: int) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes, after having taken it from the wire within reason."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        elif size > DRAIN_BYTES:
            break
    if size > limit:
        raise TooLarge(f"the body is above {limit} bytes")
    return b"".join(chunks)


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before Content-Encoding. Raises TooLarge, Unsupported or Malformed."""
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Unsupported(f"Content-Encoding {encoding} is not supported, send gzip or none")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise Malformed(f"not gzip: {error}", body) from None
    if len(plain) > limit:
        raise TooLarge(f"the body is above {limit} bytes when unpacked")
    if not inflate.eof:
        raise Malformed("not gzip: it ends too early", body)
    return plain


def one(body: bytes, call: str) -> tuple[list[Posted], str | None]:
    """The message of a single call, and the write key in it. Raises Malformed when the body is no JSON object."""
    message = _loaded(body)
    if not isinstance(message, dict):
        raise Malformed("a JSON object is expected", body)
    return [Posted(0, body, message | {"type": call})], _text(message.get("writeKey"))


def many(body: bytes) -> tuple[list[Posted], str | None]:
    """The messages of a batch, each judged for itself, and the write key beside them.

    What the batch says for all its messages (sentAt, context) is filled in where a message does not say it itself.
    Raises Malformed when the body is not an object with a list `batch`.
    """
    try:
        batch = msgspec.json.decode(body, type=_Batch)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a batch: {error}", body) from None
    shared = {
        field: value for field, value in (("sentAt", batch.sentAt), ("context", batch.context)) if value is not None
    }
    return [_posted(index, bytes(raw), shared) for index, raw in enumerate(batch.batch)], _text(batch.writeKey)


def _posted(index: int, raw: bytes, shared: dict[str, Any]) -> Posted:
    if len(raw) > EDGE_BYTES:
        return Posted(index, raw, None, f"too large: {len(raw)} bytes, at most {EDGE_BYTES} an event")
    try:
        message = _loaded(raw)
    except Malformed as error:
        return Posted(index, raw, None, str(error))
    if not isinstance(message, dict):
        return Posted(index, raw, None, "not a JSON object")
    filled = {field: value for field, value in shared.items() if message.get(field) is None}
    return Posted(index, raw, message | filled)


def _loaded(raw: bytes) -> Any:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8: byte {error.start}", raw) from None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}", raw) from None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
