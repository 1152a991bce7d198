"""Mapping files: which column of a table is which field of a message of the Segment spec.

columns:
  customer: userId
  bought_at: {to: timestamp, dates: "%d.%m.%Y %H:%M", timezone: Europe/Kyiv}
  sum: properties.total
constants: {event: Order Completed, context.channel: store}
delimiter: ";"
encoding: windows-1251
decimal: ","
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connectors.inbound.files.base import BadSource
from connectors.inbound.files.values import TYPES, Format
from schemas.definitions import yaml12
from schemas.definitions.problems import Problem

PLAIN = (
    "type",
    "event",
    "userId",
    "anonymousId",
    "previousId",
    "messageId",
    "timestamp",
    "groupId",
    "name",
    "category",
)
OBJECTS = ("properties", "traits", "context")
EXTERNAL = "context.externalIds"
_VALID = f"{', '.join(PLAIN)}, properties.NAME, traits.NAME, context.NAME, {EXTERNAL}.TYPE"
#: fields of Segment's e-commerce spec that are numbers
_NUMBERS = frozenset(
    f"properties.{name}"
    for name in ("revenue", "total", "subtotal", "value", "price", "quantity", "discount", "tax", "shipping")
)
#: one of these says whose an event is
_IDENTIFYING = (
    "userId",
    "anonymousId",
    "previousId",
    EXTERNAL,
    "traits",
    "context.traits",
    "context.device",
    "context",
)
_COLUMN = ("to", "type", "dates", "timezone", "decimal", "thousands")
_FILE = ("columns", "constants", "rest", "delimiter", "encoding", "header", "empty", *_COLUMN[2:])


@dataclass(frozen=True, slots=True)
class Column:
    """Where the values of a column go. `type` is one of `TYPES`; None takes them as they are."""

    name: str
    to: str
    type: str | None
    format: Format
    at: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file. `header` names the columns of a file that does not; `rest` takes all other columns."""

    file: str
    columns: tuple[Column, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    rest: str | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    empty: frozenset[str] = frozenset({""})
    format: Format = field(default_factory=Format)

    def over(self, table: str, names: Iterable[str]) -> Mapping:
        """The same for a table with these columns, `rest` told apart. Raises BadSource for columns it has not."""
        there = list(dict.fromkeys(names))
        missing = [column for column in self.columns if column.name not in there]
        if missing:
            raise BadSource("\n".join(self._no_column(column, table, there) for column in missing))
        if self.rest is None:
            return self
        taken = {column.name for column in self.columns}
        # a part of what is taken whole, or a whole of which a part is taken, stays
        others = [name for name in there if not any(_within(name, one) or _within(one, name) for one in taken)]
        others = [name for name in others if not any(_within(name, one) for one in others if one != name)]
        more = tuple(_column(name, f"{self.rest}.{name}", self.format) for name in others)
        return Mapping(self.file, self.columns + more, self.constants, format=self.format, empty=self.empty)

    def _no_column(self, column: Column, table: str, there: list[str]) -> str:
        close = get_close_matches(column.name, there, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        text = f"there is no column {column.name} in {table}{hint}; there are {', '.join(there)}"
        return str(Problem(self.file, *column.at, text))


def read_mapping(path: Path) -> Mapping:
    """A mapping file. Raises BadSource with every mistake in it."""
    try:
        value = yaml12.read(str(path), path.read_text("utf-8"))
    except OSError as error:
        raise BadSource(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadSource(f"{path} is not UTF-8: {error}") from None
    except yaml12.Unreadable as error:
        raise BadSource(str(error.problem)) from None
    reader = _Reader(str(path))
    mapping = reader.read(value)
    if reader.problems or mapping is None:
        raise BadSource("\n".join(str(problem) for problem in reader.problems))
    return mapping


def named_as_fields(table: str, names: Iterable[str]) -> Mapping:
    """The mapping of a table whose columns are named as the fields are. Raises BadSource when they are not."""
    there = list(names)
    unknown = [name for name in there if not _is_field(name)]
    needed = _needed(there, {})
    if unknown or needed:
        told = [f"columns that are no fields of a message: {', '.join(unknown)}"] if unknown else []
        raise BadSource(
            f"{table}: {'; '.join(told + needed)}. Say in a mapping file what its columns are (--mapping FILE), or name"
            f" them as the fields: {_VALID}"
        )
    return Mapping(table, tuple(_column(name, name, Format()) for name in there))


def _column(name: str, to: str, format: Format, type: str | None = None, at: tuple[int, int] = (0, 0)) -> Column:
    return Column(name, to, type or _type_of(to), format, at)


def _type_of(to: str) -> str | None:
    if to == "timestamp":
        return "time"
    if to in _NUMBERS:
        return "number"
    if to in OBJECTS:
        return "json"
    return "boolean" if to.startswith("context.consent.categoryPreferences.") else None


def _is_field(name: str) -> bool:
    first, dot, rest = name.partition(".")
    if first in OBJECTS:
        return not dot or (all(rest.split(".")) and name != EXTERNAL)
    return name in PLAIN


def _within(name: str, whole: str) -> bool:
    return name == whole or name.startswith(f"{whole}.")


def _needed(fields: Iterable[str], constants: dict[str, Any]) -> list[str]:
    """What no message can do without and nothing gives."""
    given = {*fields, *constants}
    missing = []
    if "timestamp" not in given:
        missing.append("nothing gives the timestamp")
    if not any(_within(name, who) for name in given for who in _IDENTIFYING):
        missing.append("nothing says whose an event is (userId, anonymousId, context.externalIds.TYPE, traits.email)")
    if "type" not in given and "event" not in given:
        missing.append("nothing gives the event (its name), nor another type than track")
    return missing


class _Reader:
    """Reads a mapping file and keeps what is wrong with it."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []

    def read(self, value: Any) -> Mapping | None:
        if not isinstance(value, yaml12.Mapping):
            self._wrong(None, "a mapping file has `columns: {COLUMN: FIELD}` and may have `constants: {FIELD: VALUE}`")
            return None
        self._known(value, _FILE)
        format = self._format(value, Format())
        given = value.get("columns")
        if not isinstance(given, yaml12.Mapping) or not given:
            self._wrong(value.values_at.get("columns"), "columns: {COLUMN: FIELD} is needed")
            return None
        columns = tuple(column for name in given for column in self._columns(given, name, format))
        constants = value.get("constants", yaml12.Mapping(value.mark))
        if not isinstance(constants, yaml12.Mapping):
            self._wrong(value.at("constants"), "constants: {FIELD: VALUE} is expected")
            return None
        for to in constants:
            self._field(constants.keys_at.get(to), to)
        if value.get("rest") not in (None, "properties", "traits"):
            self._wrong(value.at("rest"), "rest: properties or traits is expected, for all other columns")
        rest = value.get("rest")
        if not self.problems:
            for missing in _needed((column.to for column in columns), constants):
                self._wrong(value.at("columns"), missing)
        return Mapping(
            self._file,
            columns,
            dict(constants),
            rest,
            self._delimiter(value),
            self._encoding(value),
            self._texts(value, "header"),
            frozenset({"", *self._texts(value, "empty")}),
            format,
        )

    def _columns(self, given: yaml12.Mapping, name: str, format: Format) -> Iterable[Column]:
        options, mark = given[name], given.keys_at.get(name)
        type = None
        if isinstance(options, yaml12.Mapping):
            self._known(options, _COLUMN)
            type, format = options.get("type"), self._format(options, format)
            if type is not None and type not in TYPES:
                self._wrong(options.at("type"), f"type {type} is none of {', '.join(TYPES)}")
                type = None
            options = options.get("to")
        for to in options if isinstance(options, list) else [options]:
            if self._field(mark, to):
                yield _column(name, to, format, type, (mark.line, mark.column) if mark else (0, 0))

    def _field(self, mark: yaml12.Mark | None, to: Any) -> bool:
        if isinstance(to, str) and _is_field(to):
            return True
        close = get_close_matches(str(to), PLAIN, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        self._wrong(mark, f"{to} is no field of a message{hint}; there are {_VALID}")
        return False

    def _format(self, given: yaml12.Mapping, base: Format) -> Format:
        """How values are written; what is not said is as in `base`."""
        dates = self._texts(given, "dates") or base.dates
        zone, decimal, thousands = base.zone, given.get("decimal", base.decimal), given.get("thousands", base.thousands)
        if "timezone" in given:
            try:
                zone = ZoneInfo(given["timezone"])
            except (KeyError, ValueError, TypeError, OSError):
                self._wrong(given.at("timezone"), f"timezone: {given['timezone']} is none, as Europe/Kyiv or UTC are")
        if decimal not in (".", ","):
            self._wrong(given.at("decimal"), 'decimal: "." or "," is expected')
        if not isinstance(thousands, str) or len(thousands) > 1 or (thousands and thousands == decimal):
            self._wrong(given.at("thousands"), "thousands: one character, and another one than decimal, is expected")
        for pattern in dates:
            if reason := Format.wrong(pattern):
                self._wrong(given.at("dates"), reason)
        return Format(dates, zone, decimal, thousands)

    def _texts(self, given: yaml12.Mapping, name: str) -> tuple[str, ...]:
        value = given.get(name)
        texts = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(text, str) for text in texts):
            self._wrong(given.at(name), f"{name}: a text or a list of them is expected")
            return ()
        return tuple(texts)

    def _delimiter(self, value: yaml12.Mapping) -> str | None:
        given = value.get("delimiter")
        given = "\t" if given == "tab" else given
        if given is None or (isinstance(given, str) and len(given) == 1 and given not in '"\r\n'):
            return given
        self._wrong(value.at("delimiter"), 'delimiter: one character as ";", or tab, is expected')
        return None

    def _encoding(self, value: yaml12.Mapping) -> str:
        given = value.get("encoding", "utf-8")
        try:
            return codecs.lookup(given).name
        except (LookupError, TypeError):
            self._wrong(
                value.at("encoding"), f"encoding {given} is unknown; there are utf-8, utf-16, windows-1251, ..."
            )
            return "utf-8"

    def _known(self, given: yaml12.Mapping, names: tuple[str, ...]) -> None:
        for name in given:
            if name not in names:
                self._wrong(given.keys_at.get(name), f"unknown key {name}; there are {', '.join(names)}")

    def _wrong(self, mark: yaml12.Mark | None, text: str) -> None:
        self.problems.append(Problem(self._file, mark.line if mark else 0, mark.column if mark else 0, text))
