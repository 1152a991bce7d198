"""Measures: what is worked out over events, compared in a condition or kept as a computed trait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from schemas.definitions.durations import is_duration
from schemas.definitions.grammar.base import Cel, EventNames, EventPath, Name, Part, Value, Windowed
from schemas.definitions.grammar.predictions import Predicted

MEASURES = ("sum", "average", "min", "max", "distinct", "most_frequent", "first", "last")
COMPUTED = ("count", *MEASURES, "interval", "next_expected", "collect", "predicts", "best")
NUMERIC = ("equals", "not_equals", "one_of", "at_least", "at_most")
VALUED = (*NUMERIC, "contains")
#: Operators for a property of the first or last; without `of` only those that speak of its date.
AT_END = (*VALUED, "exists")
DATED = ("within", "between", "from", "to", "before", "after", "at_least", "at_most")


class Over(Windowed):
    """Events in a window."""

    event: EventNames = Field(description="The name of an event, or a list: any of them.")
    where: Cel | None = None
    each: EventPath | None = Field(None, description="A list in the event: once for each line, as item.")


class ValuesOver(Over):
    """A property of events in a window."""

    of: EventPath = Field(description="Such as properties.total, or item.price with each.")


class EndOver(Over):
    """The first or last event in a window; of it a property, or its date."""

    of: EventPath | None = None


class TimesOver(Over):
    """When events in a window happened, apart for each value of a property with `by`."""

    by: EventPath | None = None


def _operators(part: Part, names: Iterable[str]) -> list[tuple[str, Any]]:
    """(operator, value) of those that were written."""
    return [(name, getattr(part, name)) for name in names if getattr(part, name) is not None]


class ComparedNumber(ValuesOver):
    """A number worked out over events, compared; several operators must all hold."""

    equals: int | float | None = None
    not_equals: int | float | None = None
    one_of: list[int | float] | None = Field(None, min_length=1)
    at_least: int | float | None = None
    at_most: int | float | None = None

    def operators(self) -> list[tuple[str, Any]]:
        return _operators(self, NUMERIC)

    @model_validator(mode="after")
    def _compared(self) -> Self:
        if not self.operators():
            raise ValueError(f"say how it compares: {', '.join(NUMERIC)}")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"nothing is at least {self.at_least} and at most {self.at_most}")
        return self


class ComparedValue(ValuesOver):
    """A value of events, compared; several operators must all hold."""

    equals: Value | None = None
    not_equals: Value | None = None
    one_of: list[Value] | None = Field(None, min_length=1)
    at_least: int | float | str | None = None
    at_most: int | float | str | None = None
    contains: Value | None = None

    def operators(self) -> list[tuple[str, Any]]:
        return _operators(self, VALUED)

    @model_validator(mode="after")
    def _compared(self) -> Self:
        if not self.operators():
            raise ValueError(f"say how it compares: {', '.join(VALUED)}")
        return self


class ComparedEnd(EndOver):
    """The first or last event ever: its date (within, between, from, to, before, after, and without `of` at_least and
    at_most ago), and with `of` a property of it."""

    before: str | None = Field(None, description="A date or instant, or a duration: longer ago than this.")
    after: str | None = Field(None, description="A date or instant, or a duration: not longer ago than this.")
    equals: Value | None = None
    not_equals: Value | None = None
    one_of: list[Value] | None = Field(None, min_length=1)
    at_least: int | float | str | None = None
    at_most: int | float | str | None = None
    exists: bool | None = None
    contains: Value | None = None

    def operators(self) -> list[tuple[str, Any]]:
        return [] if self.of is None else _operators(self, AT_END)

    @model_validator(mode="after")
    def _compared(self) -> Self:
        if self.of is None:
            for name, value in _operators(self, AT_END):
                if name not in DATED:
                    raise ValueError(f"{name} compares a property: say which by of, for example of: properties.total")
                if not is_duration(value):
                    raise ValueError(
                        f"{value!r} is not how long ago; write {name}: 30d, or of: the property it is about"
                    )
        allowed = DATED if self.of is None else (*AT_END, *DATED[:6])
        if not any(self.has(name) for name in allowed):
            raise ValueError(f"say how it compares: {', '.join(allowed)}")
        return self


class Measuring(Part):
    """One measure, by its key."""

    def over(self) -> tuple[str, ComparedNumber | ComparedValue | ComparedEnd]:
        """(function, what it is about)."""
        function = next(iter(type(self).model_fields))
        return function, getattr(self, function)


class SumOf(Measuring):
    """The sum of a number in events; of none it is 0."""

    sum: ComparedNumber


class AverageOf(Measuring):
    """The average of a number in events."""

    average: ComparedNumber


class LeastOf(Measuring):
    """The smallest number in events."""

    min: ComparedNumber


class GreatestOf(Measuring):
    """The greatest number in events."""

    max: ComparedNumber


class DistinctOf(Measuring):
    """How many different values a property of events has."""

    distinct: ComparedNumber


class MostFrequentOf(Measuring):
    """The value that a property of events has most often."""

    most_frequent: ComparedValue


class FirstOf(Measuring):
    """The first of such events ever."""

    first: ComparedEnd


class LastOf(Measuring):
    """The last of such events ever."""

    last: ComparedEnd


class Collection(Part):
    """A list of what was added and neither removed nor cleared since, such as a cart or the products viewed last."""

    add: EventNames
    remove: EventNames | None = None
    clear: EventNames | None = None
    by: EventPath = Field("properties.product_id", description="What names an element.")
    keep: list[Name] | None = Field(None, description="What is kept of an element: names of what stands beside `by`.")
    at_most: int = Field(50, ge=1, le=1_000, description="How many of the newest elements are in the list.")
    where: Cel | None = Field(None, description="What is added only.")
    each: EventPath | None = Field(None, description="A list in the events: each of its lines is an element, as item.")


class TraitFile(Part):
    """A file in traits/: a trait that is worked out over events, one of count, sum, average ..."""

    name: Name | None = Field(None, description="Default: the name of the file.")
    description: str = ""
    count: Over | None = None
    sum: ValuesOver | None = None
    average: ValuesOver | None = None
    min: ValuesOver | None = None
    max: ValuesOver | None = None
    distinct: ValuesOver | None = None
    most_frequent: ValuesOver | None = None
    first: EndOver | None = None
    last: EndOver | None = None
    interval: TimesOver | None = Field(None, description="Average days between events.")
    next_expected: TimesOver | None = Field(None, description="The last event's date and the average interval.")
    collect: Collection | None = None
    predicts: Predicted | None = Field(None, description="Probability of a purchase, expected value, or churn.")
    best: Literal["hour", "channel"] | None = Field(
        None, description="Where people answer most: the hour of their day (0 to 23), or the channel."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        written = [name for name in COMPUTED if getattr(self, name) is not None]
        if len(written) != 1:
            found = f", not {' and '.join(written)}" if written else ""
            raise ValueError(f"one of {', '.join(COMPUTED)} is expected{found}")
        return self

    def over(self) -> tuple[str, Over | Collection | Predicted | Literal["hour", "channel"]]:
        """(function, what it is about)."""
        return next((name, getattr(self, name)) for name in COMPUTED if getattr(self, name) is not None)
