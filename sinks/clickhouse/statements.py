"""Which SQL people may send to the query endpoint: one statement that reads what the warehouse holds.

The engine itself refuses writes on read-only connections; this refuses what it lets through there, such as the function
`file`. It looks at statements as the engine prints them (`formatQuerySingleLine`): one statement, without comments,
names unquoted where they can be, strings in single quotes.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|`((?:[^`\\]|\\.)*)`", re.DOTALL)
_NO_WORD = re.compile(r"[^\w/]")
_READS = re.compile(r"^[\s(]*(SELECT|WITH|SHOW|DESCRIBE|EXPLAIN|EXISTS|CHECK)\b", re.IGNORECASE)
_ROWS = re.compile(r"^[\s(]*(SELECT|WITH)\b", re.IGNORECASE)
_OUTFILE = re.compile(r"\bINTO OUTFILE\b")
_FORMAT = re.compile(r" FORMAT (\w+)(?: SETTINGS .*)?$", re.DOTALL)
_TAIL = re.compile(r"( SETTINGS [^()]*)?( FORMAT \w+)?( SETTINGS [^()]*)?$", re.DOTALL)
#: a name that is called, applied to columns, or given to a function of arrays or maps
_CALLED = (
    re.compile(r"(\w+)`?\("),
    re.compile(r"\bAPPLY\s*\(?\s*`?(\w+)", re.IGNORECASE),
    re.compile(r"\b(?:array|map)\w*\([(\s]*`?(\w+)", re.IGNORECASE),
)
#: a function of arrays or maps whose function the request names apart from the statement
_NAMED_ELSEWHERE = re.compile(r"\b(?:array|map)\w*\([(\s]*\{\w+:\s*Identifier\b", re.IGNORECASE)
_TOTALS = re.compile(r"\bWITH TOTALS\b")
#: functions that reach files, the network or the request of somebody else
_FUNCTIONS = frozenset(
    {"file", "getclienthttpheader", "showcertificate", "eval"}
    | {
        f"ai{what}"
        for what in ("redact", "similarity", "filter", "classify", "embed", "extract", "generate", "translate")
    }
)
#: table functions that make their rows out of nothing, or of tables here
_TABLES = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "primes", "values", "sqlstandardvalues", "null", "format", "view"}
    | {"generaterandom", "generateseries", "generate_series", "merge", "dictionary", "loop", "input"}
)


class NotAllowed(Exception):
    """The statement may not be run here."""


def check(sql: str, table_functions: Collection[str]) -> None:
    """Raises NotAllowed for anything but a reading statement. `table_functions` are all that the engine has."""
    bare = _bare(sql)
    if not _READS.match(bare):
        raise NotAllowed("Only reading statements are allowed here: SELECT, WITH, SHOW, DESCRIBE, EXPLAIN, EXISTS")
    if _OUTFILE.search(bare):
        raise NotAllowed("INTO OUTFILE is not allowed here")
    # files stand for tables in the embedded engine
    if bare.startswith("EXISTS") and "/" in bare:
        raise NotAllowed("There are no files here")
    if _NAMED_ELSEWHERE.search(bare):
        raise NotAllowed("A parameter can't name the function of an array or map function here")
    refused = _FUNCTIONS | ({name.lower() for name in table_functions} - _TABLES)
    for pattern in _CALLED:
        for name in pattern.findall(bare):
            if name.lower() in refused:
                raise NotAllowed(f"Function {name} is not allowed here")


def _bare(sql: str) -> str:
    """A printed statement without what stands in strings. Quoted names are kept, as one word each: what looks like a
    string, a call or a clause in them is none."""

    def word(found: re.Match[str]) -> str:
        return "''" if found[1] is None else f"`{_NO_WORD.sub('_', found[1])}`"

    return _LITERAL.sub(word, sql)


def format_of(sql: str) -> str | None:
    """The output format a statement names itself, None when it leaves the choice."""
    match = _FORMAT.search(_bare(sql))
    return match[1] if match else None


def in_parts(sql: str) -> bool:
    """Whether the rows of a statement can be told part by part."""
    return bool(_ROWS.match(sql)) and not _TOTALS.search(sql)


def of_no_rows(sql: str) -> str:
    """The same question, cut off before its first row: for the names of its columns."""
    return f"SELECT * FROM ({_TAIL.sub('', sql, count=1)}) LIMIT 0"
