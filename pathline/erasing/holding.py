"""What the processors and dead letters hold about one person right now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from pathline.erasing import letters
from pathline.erasing.reading import newest, topics_of
from processors.graph.model import NODES
from processors.journeys.model import PERSONS
from processors.runtime.contract import Table
from processors.runtime.store import state_key
from processors.segments.model import PEOPLE, State, opened
from schemas.headers import headers_of
from schemas.settings import Settings
from schemas.topics import changelog


def held(settings: Settings, persons: Iterable[str], identifiers: Iterable[str]) -> dict[str, Any]:
    """Links, state and dead letters of a person. Raises KafkaException."""
    there, identifiers = topics_of(settings.brokers), list(identifiers)
    persons = list(persons)

    def states(app: str, table: Table[Any], keys: list[str]) -> dict[str, Any]:
        raw = {state_key(table, key): key for key in keys}
        topic = changelog(app)
        found = newest(settings.brokers, topic, there[topic], lambda key, value: key in raw)
        return {raw[key]: _readable(table.decode(value)) for key, value in found.items()}

    return {
        "links": states("graph", NODES, identifiers),
        "state": {"segments": states("segments", PEOPLE, persons), "journeys": states("journeys", PERSONS, persons)},
        "dead_letters": [
            {
                "id": letter.id,
                "reason": letter.reason,
                "from": letter.origin,
                "own_headers": [name for name, _ in headers_of(message)],
                "value": (message.value() or b"").decode("utf-8", "backslashreplace"),
            }
            for letter, message in letters.of(settings, identifiers)
        ],
    }


def _readable(value: Any) -> Any:
    """A state as JSON can hold it; bytes that are JSON are shown as what they say."""
    if isinstance(value, bytes):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value.decode("utf-8", "backslashreplace")
    if isinstance(value, msgspec.Struct):
        value = opened(value) if isinstance(value, State) else value
        return {name: _readable(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {key if isinstance(key, str) else " ".join(map(str, key)): _readable(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(item) for item in value]
    return value
