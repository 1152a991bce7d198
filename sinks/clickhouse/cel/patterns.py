"""Regular expressions of the engine (Rust's `regex`) as ClickHouse's RE2 reads them."""

from __future__ import annotations

import re

from schemas.definitions import cel_engine
from sinks.clickhouse.cel.values import Inexpressible

#: classes that know all alphabets in the engine, and only ASCII in RE2
_CLASSES = {
    "d": r"\p{Nd}",
    "w": r"\p{L}\p{M}\p{Nd}\p{Pc}",
    "s": r"\s\x{0b}\x{85}\p{Z}",
}
_FOREIGN = re.compile(r"\(\?[a-zA-Z]*-?[a-zA-Z]*[uxR][a-zA-Z]*[:)]|\\[bB<>]|&&|--|~~")


def re2(pattern: str) -> str | None:
    """The same pattern for RE2, None for one that the engine refuses. Raises Inexpressible."""
    try:
        cel_engine.program("text.matches(pattern)").execute({"text": "", "pattern": pattern})
    except Exception:  # the engine's own errors have no common type
        return None
    if _FOREIGN.search(re.sub(r"\\\\", "", pattern)):
        raise Inexpressible(f"the pattern {pattern!r}: ClickHouse knows no \\b, no (?x) and no sets in classes as here")
    return f"(?-s){_translated(pattern)}"


def _translated(pattern: str) -> str:
    written, position, inside = list[str](), 0, False
    while position < len(pattern):
        one = pattern[position : position + (2 if pattern[position] == "\\" else 1)]
        position += len(one)
        name = one[1:].lower()
        if one.startswith("\\") and name in _CLASSES:
            if inside and one[1:] != name:
                raise Inexpressible(f"{one} inside a class of the pattern {pattern!r}")
            negated = "" if one[1:] == name else "^"
            one = _CLASSES[name] if inside else f"[{negated}{_CLASSES[name]}]"
        elif inside and one == "[" and not pattern.startswith(":", position):
            raise Inexpressible(f"a class within a class of the pattern {pattern!r}")
        elif inside and one == "[":
            end = pattern.index(":]", position) + 2
            one, position = one + pattern[position:end], end
        elif one == "[":
            # what comes first in a class stands for itself
            first = re.match(r"\^?\]?", pattern[position:])
            one, position = one + (first[0] if first else ""), position + (first.end() if first else 0)
            inside = True
        elif one == "]":
            inside = False
        written.append(one)
    return "".join(written).replace("(?<", "(?P<")
