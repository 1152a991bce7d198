"""The order in which segments are evaluated: each after those it refers to."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.definitions.hoisting import references
from schemas.definitions.model import Segment


def in_order(segments: Mapping[str, Segment]) -> tuple[dict[str, Segment], list[list[str]]]:
    """(segments so that each stands after those it refers to, cycles as lists of names).

    Independent segments keep the order of their names, so that the same project always has the same order.
    """
    ordered: dict[str, Segment] = {}
    cycles: list[list[str]] = []
    entered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered or name not in segments:
            return
        if name in entered:
            cycles.append([*entered[entered.index(name) :], name])
            return
        entered.append(name)
        for other in sorted(references(segments[name].when)):
            visit(other)
        entered.pop()
        ordered[name] = segments[name]

    for name in sorted(segments):
        visit(name)
    return ordered, cycles
