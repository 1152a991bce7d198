"""What is wrong with a project, said so that its author can put it right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: where (path in the project, line and column from 1; 0 is the file as a whole), what, what to do."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class Invalid(ValueError):
    """The project can't be used; `problems` has all that was found, by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def closest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that was probably meant; None when there is none like it."""
    folded = {candidate.casefold(): candidate for candidate in sorted(allowed)}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return folded[close[0]] if close else None


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`did you mean X?` when one of the allowed names is close, else the names themselves."""
    names = sorted(allowed)
    meant = closest(name, names)
    if meant is not None:
        return f"did you mean {meant}?"
    shown = ", ".join(names[:15]) + (", ..." if len(names) > 15 else "")
    return f"allowed: {shown}" if names else "there are none"
