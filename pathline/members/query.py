"""A query as it grows: named parts that stand in its WITH clause, each once, in the order in which they were added."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, count
from textwrap import dedent, indent

from schemas.definitions.durations import UNITS
from schemas.definitions.expressions import iso
from schemas.definitions.model import Project, Window
from schemas.records import EARLIEST
from sinks.clickhouse.declared import declared
from sinks.clickhouse.paths.filters import quoted

#: the instant in milliseconds since 1970 UTC
NOW = "toUnixTimestamp64Milli(instant)"
_UNITS = (("d", "DAY"), ("h", "HOUR"), ("m", "MINUTE"), ("s", "SECOND"))


class Query:
    """Parts of a query about a project at an instant (milliseconds since 1970 UTC). `arrived`: only what had arrived by
    then counts, not what is known of that time today."""

    def __init__(self, project: Project, at: int, arrived: bool = False) -> None:
        self.project = project
        self.at = at
        self._parts: dict[str, tuple[str, str]] = {}
        self._names: dict[object, str] = {}
        self._arrived = arrived
        events = f"SELECT * FROM pathline.events WHERE {self.heard('occurred_at')}"
        self.part("known", "what is known at the instant", events)
        self.part("everybody", "a person exists from the first event on", "SELECT DISTINCT person_id FROM known")

    def part(self, name: str, comment: str, sql: str, key: object = None) -> str:
        """The name of a part. What was added under the same key before is used again."""
        if key is not None and key in self._names:
            return self._names[key]
        base = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")[:40]
        names = chain([base] if base else [], (f"{base or 'part'}_{number}" for number in count(2)))
        taken = next(one for one in names if one not in self._parts)
        self._parts[taken] = (comment, dedent(sql).strip())
        if key is not None:
            self._names[key] = taken
        return taken

    def heard(self, at: str) -> str:
        """SQL for what is known at the instant; `at` is the column with the time that a row is about."""
        return "received_at <= instant" if self._arrived else f"{at} <= instant OR received_at <= instant"

    def known(self, key: object) -> str | None:
        """The name of the part that was added under a key."""
        return self._names.get(key)

    def text(self, select: str, heading: str) -> str:
        """The whole statement."""
        instant = f"toDateTime64({quoted(_written(self.at))}, 3, 'UTC') AS instant"
        parts = [
            f"{_comment(comment)}\n{name} AS\n(\n{indent(sql, '    ')}\n)"
            for name, (comment, sql) in self._parts.items()
        ]
        functions = [f"{sql} AS {name}" for name, sql in declared("\n".join([*parts, select]))]
        clauses = ",\n".join([instant, *functions, *parts])
        return f"{_comment(heading)}\nWITH\n{indent(clauses, '    ')}\n{dedent(select).strip()}\n"


def inside(window: Window, column: str = "occurred_at") -> str:
    """SQL for what happened in a window, as the instant sees it."""
    found = [f"{column} <= instant{_ago(window.near)}"]
    if window.far is not None:
        found.append(f"{column} > instant{_ago(window.far)}")
    if window.since is not None:
        found.append(f"{column} >= {moment(window.since)}")
    if window.until is not None:
        found.append(f"{column} < {moment(window.until)}")
    return " AND ".join(found)


def texts(names: Iterable[str]) -> str:
    """Texts to look among: `('a', 'b')`."""
    listed = ", ".join(quoted(name) for name in names)
    return f"({listed})" if listed else "('')"


def array(names: Iterable[str]) -> str:
    """An array of texts."""
    return f"CAST([{', '.join(quoted(name) for name in names)}], 'Array(String)')"


def moment(at: int) -> str:
    """An instant written out."""
    return f"toDateTime64({quoted(_written(at))}, 3, 'UTC')"


def _ago(length: int) -> str:
    """`- INTERVAL ...`, nothing for no time."""
    for unit, name in _UNITS:
        if length % UNITS[unit] == 0:
            return f" - INTERVAL {length // UNITS[unit]} {name}" if length else ""
    return f" - INTERVAL {length} MILLISECOND"


def _written(at: int) -> str:
    return iso(max(at, EARLIEST)).replace("T", " ").removesuffix("Z")


def _comment(text: str) -> str:
    return "\n".join(f"-- {line}" for line in text.splitlines())
