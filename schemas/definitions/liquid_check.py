"""Liquid sources against the names that will be there when they are rendered."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from liquid.exceptions import LiquidError

from schemas.definitions.grammar.base import Findings
from schemas.definitions.liquid import TemplateError, first_line, parsed
from schemas.definitions.names import readable
from schemas.definitions.yaml12 import Mark

#: Tags that would need other templates.
_FILE_TAGS = frozenset({"include", "render", "extends", "import"})


def check_liquid(source: str, roots: Collection[str], findings: Findings, mark: Mark) -> None:
    """Report what can't be parsed and variables that are never there."""
    if not check_syntax(source, findings, mark):
        return
    for path, index in variables(source):
        readable(path, roots, findings, inside(mark, source, index))


def check_syntax(source: str, findings: Findings, mark: Mark) -> bool:
    """Whether a source can be parsed and uses known filters and tags; problems if not."""
    try:
        template = parsed(source)
        analysis = template.analyze(include_partials=False)
    except TemplateError as error:
        cause = error.__cause__
        token = getattr(cause, "token", None)
        findings.add(inside(mark, source, getattr(token, "start_index", 0)), f"not a Liquid template: {error}")
        return False
    except (LiquidError, RecursionError) as error:
        findings.add(mark, f"not a Liquid template: {first_line(error)}")
        return False
    sound = True
    for tag, spans in analysis.tags.items():
        if tag in _FILE_TAGS:
            findings.add(inside(mark, source, spans[0].index), f"not supported yet: {{% {tag} %}}")
            sound = False
    for name, spans in analysis.filters.items():
        if name not in template.env.filters:
            findings.add(inside(mark, source, spans[0].index), f"there is no Liquid filter {name!r}")
            sound = False
    return sound


def variables(source: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """(path, index in the source) of each variable that a parsable source reads from outside."""
    for found in parsed(source).analyze(include_partials=False).globals.values():
        for variable in found:
            path: list[str] = []
            for segment in variable.segments:
                if not isinstance(segment, str):
                    break
                path.append(segment)
            yield tuple(path), variable.span.index


def inside(mark: Mark, source: str, index: int) -> Mark:
    """Where a character of a source stands, given where the source stands."""
    # the text of a block (| or >) begins in the line after its mark, quoted text right there
    lines = source.count("\n", 0, max(index, 0))
    return Mark(mark.line + 1 + lines, 1) if mark.block else mark
