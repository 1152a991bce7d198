"""What is true of somebody who has done nothing yet: the same for everybody, so it is worked out once a version.

A first event then changes only what reads it, and what time alone changes (times of day) is asked at its instant. With
a thousand segments nine of ten answers are the same for every visitor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from processors.segments.conditions import answer, explain
from processors.segments.model import State
from processors.segments.plan import Plan, named
from processors.segments.view import View
from schemas.definitions.hoisting import EXCLUDED
from schemas.definitions.model import ComputedTrait

_NEVER_BEFORE = 0


@dataclass(frozen=True, slots=True)
class Newborn:
    """`computed` are the values of computed traits, `reasons` says why the person is in each segment that it is in;
    `by_time` are the positions that time may change."""

    computed: Mapping[str, Any]
    reasons: Mapping[str, str]
    by_time: tuple[int, ...]


@lru_cache(maxsize=16)
def newborn(plan: Plan) -> Newborn:
    """What is true before the first event has been looked at."""
    computed, reasons, by_time = dict[str, Any](), dict[str, str](), list[int]()
    view = View({"": State(first_seen=_NEVER_BEFORE)}, plan, computed)
    for position, one in enumerate(plan.order):
        if isinstance(one, ComputedTrait):
            value, until = view.compute(one.measure, _NEVER_BEFORE)
            if value is not None:
                computed[one.name] = value
        else:
            member = dict.fromkeys(reasons, _NEVER_BEFORE)
            holds, until = answer(one.when, view, member, _NEVER_BEFORE)
            if holds and (EXCLUDED not in reasons or named(one) == EXCLUDED):
                reasons[one.name] = explain(one.when, view, member, _NEVER_BEFORE)
        if until is not None:
            by_time.append(position)
    return Newborn(computed, reasons, tuple(by_time))
