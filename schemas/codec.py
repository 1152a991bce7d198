"""Records to bytes and back: Confluent framing around Avro binary.

A framed value is 0x00, the schema id as 4 bytes big endian, then the Avro binary (Confluent wire format). Ids come
from an `Ids` source: the id file kept with the schemas, or a schema registry over HTTP (`schemas.registry`).
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import fastavro
import msgspec

from schemas.records import RECORDS, Wire

FOLDER = Path(__file__).parent / "avro"
_HEADER = struct.Struct(">bI")
_NAMES: dict[type[Wire], str] = {record: name for name, record in RECORDS.items()}

W = TypeVar("W", bound=Wire)


class BadRecord(Exception):
    """The bytes of one record can't be used; it becomes a dead letter and the line goes on."""


class Ids(Protocol):
    """Where schema ids come from."""

    def id_of(self, name: str, version: int) -> int:
        """Id under which a version of a schema is written."""

    def schema_of(self, schema_id: int) -> Any:
        """The Avro schema behind an id, which need not be a record; None when there is no such id, or something else
        than Avro behind it. Raises OSError when the source is down."""


def versions(name: str) -> dict[int, dict[str, Any]]:
    """All versions of a schema, by number."""
    found = {int(path.stem[1:]): json.loads(path.read_text("utf-8")) for path in (FOLDER / name).glob("v*.avsc")}
    return dict(sorted(found.items()))


class IdFile:
    """Ids from `schemas/avro/ids.json`: `{schema: {version: id}}`."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str, int]] = json.loads((FOLDER / "ids.json").read_text("utf-8"))
        self._names = {i: (name, int(v)) for name, by_version in self._ids.items() for v, i in by_version.items()}

    def id_of(self, name: str, version: int) -> int:
        return self._ids[name][str(version)]

    def schema_of(self, schema_id: int) -> dict[str, Any] | None:
        if schema_id not in self._names:
            return None
        name, version = self._names[schema_id]
        return versions(name)[version]


class Codec:
    """Encodes and decodes records; safe to share between threads once warm."""

    def __init__(self, ids: Ids | None = None) -> None:
        self._ids = ids or IdFile()
        self._writers: dict[type[Wire], tuple[bytes, Any]] = {}
        self._readers: dict[tuple[int, type[Wire]], Callable[[io.BytesIO], Any]] = {}

    def encode(self, record: Wire) -> bytes:
        """The framed bytes of a record, written with the newest version of its schema."""
        kind = type(record)
        if kind not in self._writers:
            name = _NAMES[kind]
            newest, schema = list(versions(name).items())[-1]
            self._writers[kind] = (_HEADER.pack(0, self._ids.id_of(name, newest)), fastavro.parse_schema(schema))
        header, schema = self._writers[kind]
        out = io.BytesIO()
        out.write(header)
        fastavro.schemaless_writer(out, schema, msgspec.to_builtins(record, builtin_types=(bytes,)))
        return out.getvalue()

    def decode(self, kind: type[W], data: bytes | None) -> W:
        """The record in framed bytes.

        Raises BadRecord when the framing, the schema id or the Avro data is not usable.
        """
        if data is None or len(data) < _HEADER.size or data[0] != 0:
            raise BadRecord("not a framed Avro record (0x00 and a schema id of 4 bytes expected)")
        schema_id = _HEADER.unpack_from(data)[1]
        reader = self._readers.get((schema_id, kind)) or self._reader(schema_id, kind)
        stream = io.BytesIO(data)
        stream.seek(_HEADER.size)
        try:
            value = reader(stream)
            if stream.tell() != len(data):
                raise BadRecord(f"{len(data) - stream.tell()} bytes left over after the Avro record")
            return msgspec.convert(value, kind)
        except BadRecord:
            raise
        except Exception as error:
            raise BadRecord(f"not a readable {_NAMES[kind]} record: {type(error).__name__}: {error}") from error

    def _reader(self, schema_id: int, kind: type[Wire]) -> Callable[[io.BytesIO], Any]:
        name = _NAMES[kind]
        written = self._ids.schema_of(schema_id)
        if written is None:
            raise BadRecord(f"unknown schema id {schema_id}")
        wanted = _newest(name)
        if _full_name(written) != _full_name(wanted):
            raise BadRecord(f"schema id {schema_id} is of {_full_name(written)}, {_full_name(wanted)} is expected here")
        try:
            parsed = fastavro.parse_schema(written)
        except Exception as error:
            raise BadRecord(f"schema id {schema_id} can't be understood: {error}") from error
        # the same schema on both sides takes fastavro's fast path
        reader_schema = None if written == wanted else fastavro.parse_schema(wanted)

        def read(stream: io.BytesIO) -> Any:
            return fastavro.schemaless_reader(stream, parsed, reader_schema)

        self._readers[schema_id, kind] = read
        return read


def _full_name(schema: Any) -> str:
    """Name of an Avro schema with its namespace; primitive types and unions have none of their own."""
    if not isinstance(schema, dict) or "name" not in schema:
        return "no record"
    return f"{schema['namespace']}.{schema['name']}" if "namespace" in schema else str(schema["name"])


@cache
def _newest(name: str) -> dict[str, Any]:
    return list(versions(name).values())[-1]


def schema_id(data: bytes | None) -> int | None:
    """The schema id in a framed value, None when it has no framing."""
    if data is None or len(data) < _HEADER.size or data[0] != 0:
        return None
    return int(_HEADER.unpack_from(data)[1])
