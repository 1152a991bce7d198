"""The engine of CEL, without the command line that its package loads as well.

That one (prompt_toolkit, pygments, rich) took a tenth of a second of processor and 7 MB in every process of the line.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

# `cel/__init__.py` imports its command line beside the engine, and uses nothing of it
_nothing = ModuleType("cel.cli")
_found = sys.modules.setdefault("cel.cli", _nothing)
import cel  # noqa: E402

if _found is _nothing:
    # whoever wants it after us gets the real one
    del sys.modules["cel.cli"]


def program(source: str) -> Any:
    """What is executed with a mapping of names. Raises ValueError for what is not CEL."""
    return cel.compile(source)
