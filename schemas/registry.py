"""Schema ids from a schema registry over HTTP (Confluent's interface), when one is configured."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx

from schemas.codec import Codec, versions
from schemas.settings import Settings

_SECONDS = 10.0


class Registry:
    """Ids of a registry, each asked for once, unknown ones too.

    Schemas are registered under their own names (record name strategy), as several topics share some of them.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._ids: dict[tuple[str, int], int] = {}
        self._schemas: dict[int, Any] = {}

    def id_of(self, name: str, version: int) -> int:
        """Register a version of ours, which a registry does only once; its id. Raises OSError when that fails."""
        if (name, version) not in self._ids:
            schema = versions(name)[version]
            path = f"/subjects/{schema.get('namespace', 'pathline')}.{schema['name']}/versions"
            answer = self._ask("POST", path, {"schema": json.dumps(schema), "schemaType": "AVRO"})
            if answer is None:
                raise OSError(f"schema registry {self._url} does not know {path}")
            self._ids[name, version] = cast(int, answer["id"])
        return self._ids[name, version]

    def schema_of(self, schema_id: int) -> Any:
        """The schema behind an id, None when the registry has no such id or it is not Avro. Raises OSError when it does
        not answer."""
        if schema_id not in self._schemas:
            answer = self._ask("GET", f"/schemas/ids/{schema_id}")
            avro = answer is not None and answer.get("schemaType", "AVRO") == "AVRO"
            self._schemas[schema_id] = json.loads(answer["schema"]) if answer is not None and avro else None
        return self._schemas[schema_id]

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any] | None:
        """The answer, None for 404. Raises OSError: a registry that is down says nothing about the data."""
        try:
            response = httpx.request(method, self._url + path, json=body, timeout=_SECONDS)
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            response.raise_for_status()
            return cast(dict[str, Any], response.json())
        except (httpx.HTTPError, ValueError) as error:
            raise OSError(f"schema registry {self._url}: {error}") from error


def codec_for(settings: Settings) -> Codec:
    """The codec of a line: ids from its registry, or from the id file kept with the schemas."""
    return Codec(Registry(settings.registry)) if settings.registry else Codec()
