"""What the edge could not use: the original bytes, where they came from and why they are here.

The headers are those of the dead letters of processors (`processors.runtime.deadletters`), as far as they mean
something at the edge, and `source`: connector and write key, or file and line.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

Headers = list[tuple[str, str | bytes]]
_LONGEST_MESSAGE = 2_000


def headers(app: str, source: str, error: Exception | str, at: int) -> Headers:
    """Headers of a dead letter; `at` is line time in milliseconds since 1970 UTC."""
    text = {
        "app": app,
        "version": _version(),
        "source": source,
        "error": "Rejected" if isinstance(error, str) else type(error).__name__,
        "message": str(error)[:_LONGEST_MESSAGE],
        "at": str(at),
    }
    return [(name, value.encode("utf-8", "replace")) for name, value in text.items()]


@cache
def _version() -> str:
    try:
        return version("pathline")
    except PackageNotFoundError:
        return "unknown"
