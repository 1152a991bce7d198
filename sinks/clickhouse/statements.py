"""Which SQL people may send to the query endpoint: one statement that reads.

The engine itself refuses writes on read-only connections; this refuses what it lets through there.
"""

from __future__ import annotations

import re

_SKIPPED = re.compile(
    r"'(?:[^'\\]|\\.|'')*'"  # string
    r'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`'  # quoted names
    r"|/\*.*?\*/|--[^\n]*|\#[! ][^\n]*"  # comments
    r"|\$(\w*)\$.*?\$\1\$",  # heredoc
    re.DOTALL,
)
_READS = re.compile(r"^[\s(]*(SELECT|WITH|SHOW|DESCRIBE|DESC|EXPLAIN|EXISTS|FROM|VALUES|CHECK)\b", re.IGNORECASE)
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*(?:SETTINGS\b.*)?;?\s*$", re.IGNORECASE | re.DOTALL)


class NotAllowed(Exception):
    """The statement may not be run here."""


def check(sql: str) -> None:
    """Raises NotAllowed for anything but a single reading statement."""
    bare = _bare(sql)
    if not _READS.match(bare):
        raise NotAllowed("Only reading statements are allowed here: SELECT, WITH, SHOW, DESCRIBE, EXPLAIN, EXISTS")
    if _OUTFILE.search(bare):
        raise NotAllowed("INTO OUTFILE is not allowed here")
    if bare.rstrip().rstrip(";").count(";"):
        raise NotAllowed("Only one statement at a time is allowed here")


def format_of(sql: str) -> str | None:
    """The output format a statement names itself, None when it leaves the choice."""
    match = _FORMAT.search(_bare(sql).rstrip())
    return match[1] if match else None


def _bare(sql: str) -> str:
    """The statement without strings, quoted names and comments."""
    return _SKIPPED.sub(lambda match: " " if match[0][0] in "/-#" else "x", sql)
