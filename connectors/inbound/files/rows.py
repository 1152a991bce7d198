"""Rows of tables to messages, by a mapping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from connectors.inbound.files.mapping import EXTERNAL, Mapping
from connectors.inbound.files.values import BadValue, reader

Message = dict[str, Any]
_Put = Callable[[Message, Any], None]


class Rows:
    """Makes messages of rows. `places` says where in a row each column of the mapping stands."""

    def __init__(self, mapping: Mapping, places: Sequence[int]) -> None:
        self._empty = mapping.empty
        self._columns = [
            (place, column.name, reader(column.type, column.format), _put(column.to))
            for place, column in zip(places, mapping.columns, strict=True)
        ]
        self._constants = [(_put(to), value) for to, value in mapping.constants.items()]
        self._track = not {"type"} & {*mapping.constants, *(column.to for column in mapping.columns)}

    def message(self, row: Sequence[Any]) -> Message:
        """The message of a row; raises BadValue with the column whose value can't be used."""
        message: Message = {"type": "track"} if self._track else {}
        for put, value in self._constants:
            put(message, value)
        for place, name, read, put in self._columns:
            given = row[place]
            if given is None or (isinstance(given, str) and given in self._empty):
                continue
            try:
                value = read(given)
                if value is not None:
                    put(message, value)
            except BadValue as error:
                raise BadValue(f"column {name}: {error}") from None
        return message


def _put(to: str) -> _Put:
    """What puts a value where a field of the mapping says."""
    if to.startswith(f"{EXTERNAL}."):
        type = to.removeprefix(f"{EXTERNAL}.")
        return lambda message, value: _list_in(message).append({"type": type, "id": value})
    *path, last = to.split(".")
    if not path:
        if last in ("properties", "traits", "context"):
            return lambda message, value: _joined(message, last, value)
        return lambda message, value: message.__setitem__(last, value)
    if len(path) == 1:
        [first] = path
        return lambda message, value: _inside(message, first).__setitem__(last, value)

    def put(message: Message, value: Any) -> None:
        for part in path:
            message = _inside(message, part)
        message[last] = value

    return put


def _list_in(message: Message) -> list[Any]:
    found = _inside(message, "context").setdefault("externalIds", [])
    if not isinstance(found, list):
        raise BadValue("context.externalIds is a value of its own already")
    return found


def _inside(message: Message, name: str) -> Message:
    found = message.setdefault(name, {})
    if not isinstance(found, dict):
        raise BadValue(f"{name} is a value of its own already")
    return found


def _joined(message: Message, name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise BadValue("not an object")
    _inside(message, name).update(value)
