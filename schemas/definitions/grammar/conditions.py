"""The segment language: what may stand after `when:`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, Tag, model_validator

from schemas.definitions.durations import UNITS
from schemas.definitions.grammar.base import (
    Cel,
    Day,
    Duration,
    EventName,
    EventNames,
    EventPath,
    Name,
    Part,
    Span,
    Value,
    Windowed,
    by_key,
    by_shape,
)
from schemas.definitions.grammar.measures import (
    MEASURES,
    AverageOf,
    DistinctOf,
    FirstOf,
    GreatestOf,
    LastOf,
    LeastOf,
    MostFrequentOf,
    SumOf,
)
from schemas.definitions.grammar.predictions import PredictsThis
from schemas.definitions.grammar.rfm import ScoredBy

Percentage = Annotated[float, Field(ge=0, le=100)]
DAY = UNITS["d"]

KINDS = (
    *("all", "any", "not", "did", "did_in_order", *MEASURES, "trait", "in"),
    *("consent", "reachable", "prefers", "rfm", "predicts", "time", "percent", "cel"),
)
#: of `did_in_order`
MAX_STEPS = 16
OPERATORS = (
    *("equals", "not_equals", "one_of", "at_least", "at_most", "exists", "contains"),
    *("within", "before", "after", "anniversary", "held_for"),
)


class AllOf(Part):
    """True when every condition is."""

    all: list[Condition] = Field(min_length=1)


class AnyOf(Part):
    """True when at least one condition is."""

    any: list[Condition] = Field(min_length=1)


class NotThis(Part):
    """True when the condition is not."""

    not_: Condition = Field(alias="not")


class Count(Part):
    """How many events; without it at least 1."""

    at_least: int | None = Field(None, ge=0)
    at_most: int | None = Field(None, ge=0)
    exactly: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _bounds(self) -> Count:
        written = {key for key in ("at_least", "at_most", "exactly") if getattr(self, key) is not None}
        if not written:
            raise ValueError("say at_least, at_most or exactly")
        if "exactly" in written and len(written) > 1:
            raise ValueError("exactly stands alone, without at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"nothing is at least {self.at_least} and at most {self.at_most}")
        return self


class DidThis(Windowed):
    """Events of these names happened, counted in a window."""

    did: EventNames = Field(description="The name of an event, or a list: any of them.")
    where: Cel | None = None
    count: Count | None = None
    each: EventPath | None = Field(None, description="A list in the event: its entries are counted, each as item.")


class OrderStep(Part):
    """One of several events in order."""

    did: EventNames = Field(description="The name of an event, or a list: any of them.")
    where: Cel | None = None


class DidInOrder(Windowed):
    """Events happened one after the other, all of them in the window."""

    did_in_order: list[
        Annotated[
            Annotated[EventName, Tag("<text>")]
            | Annotated[list[EventName], Field(min_length=1), Tag("<list>")]
            | Annotated[OrderStep, Tag("<mapping>")],
            by_shape("an event, a list of events or {did, where} is expected", "text", "list", "mapping"),
        ]
    ] = Field(min_length=2, max_length=MAX_STEPS)
    same: EventPath | None = Field(None, description="A property that has the same value in all of them.")


class Anniversary(Part):
    """Days around a day that comes every year."""

    within: Duration | None = Field(None, description="From so many days before it; the day itself belongs to it.")
    after: Duration | None = Field(None, description="Up to so many days after it; the day itself belongs to it.")

    @model_validator(mode="after")
    def _days(self) -> Anniversary:
        if self.within is None and self.after is None:
            raise ValueError("say within, after or both")
        for length in (self.within or 0, self.after or 0):
            if length % DAY or length > 180 * DAY:
                raise ValueError("an anniversary is counted in whole days, at most 180d; 0d is the day itself")
        return self


class TraitIs(Part):
    """A trait of the person, compared; several operators must all hold."""

    trait: str = Field(min_length=1)
    equals: Value | None = None
    not_equals: Value | None = None
    one_of: list[Value] | None = Field(None, min_length=1)
    at_least: int | float | str | None = None
    at_most: int | float | str | None = None
    exists: bool | None = None
    contains: Value | None = None
    within: Span | None = Field(None, description="From exactly this long before the date to less than this after it.")
    before: str | None = Field(None, description="The trait is a date before this one, or at least so long ago.")
    after: str | None = Field(None, description="The trait is a date after this one, or less long ago, or to come.")
    anniversary: Anniversary | None = Field(None, description="The trait is a date, such as a birthday.")
    held_for: Span | None = Field(None, description="The trait has had its value for at least this long.")

    @model_validator(mode="after")
    def _operator(self) -> TraitIs:
        if not self.operators():
            raise ValueError(f"say how the trait compares: {', '.join(OPERATORS)}")
        return self

    def operators(self) -> list[tuple[str, Any]]:
        """(operator, value) of those that were written."""
        found = [(name, getattr(self, name)) for name in OPERATORS]
        return [(name, value) for name, value in found if value is not None]


class InThis(Part):
    """The person is in another segment, or in a static list."""

    in_: str = Field(alias="in", description="The name of a segment, or list:NAME.")


class ConsentTo(Part):
    """A channel, and a purpose of messages if it matters."""

    channel: Name
    purpose: str = ""


class Consent(Part):
    """The person may be contacted."""

    consent: Annotated[
        Annotated[Name, Tag("<text>")] | Annotated[ConsentTo, Tag("<mapping>")],
        by_shape("a channel or {channel, purpose} is expected", "text", "mapping"),
    ]


class ReachableBy(Part):
    """An address for the channel is known."""

    reachable: Name


class TimeOfDay(Part):
    """What the person's clock shows: from a time of day up to another, on some days of the week."""

    from_: str | None = Field(None, alias="from", description='"09:00"; default: midnight, when the day begins.')
    to: str | None = Field(None, description='"18:00", not included; default: midnight, when the day ends.')
    days: list[Day] | None = Field(None, min_length=1, description="The days on which it begins; default: all.")

    @model_validator(mode="after")
    def _some(self) -> TimeOfDay:
        if self.from_ is None and self.to is None and self.days is None:
            raise ValueError("say from, to or days")
        if self.from_ is not None and self.from_ == self.to:
            raise ValueError("from and to are the same: nothing lies between them")
        return self


class TimeIs(Part):
    """It is a certain time where the person is."""

    time: TimeOfDay


class PercentOf(Part):
    """A share of all people, the same ones every time."""

    percent: Annotated[
        Annotated[Percentage, Tag("<number>")]
        | Annotated[list[Percentage], Field(min_length=2, max_length=2), Tag("<list>")],
        by_shape("a percentage or [from, up to] is expected", "number", "list"),
    ]
    of: Name | None = Field(None, description="Name of the lottery; default: the name of the segment or journey.")

    @model_validator(mode="after")
    def _range(self) -> PercentOf:
        if isinstance(self.percent, list) and self.percent[0] >= self.percent[1]:
            raise ValueError("percent is [from, up to], the smaller first")
        return self


class PrefersChannel(Part):
    """The channel in which the person answers most: opens, clicks, replies, purchases."""

    prefers: Name


class CelHolds(Part):
    """A CEL condition; in journeys only."""

    cel: Cel


Condition = Annotated[
    Annotated[AllOf, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[NotThis, Tag("<not>")]
    | Annotated[DidThis, Tag("<did>")]
    | Annotated[DidInOrder, Tag("<did_in_order>")]
    | Annotated[SumOf, Tag("<sum>")]
    | Annotated[AverageOf, Tag("<average>")]
    | Annotated[LeastOf, Tag("<min>")]
    | Annotated[GreatestOf, Tag("<max>")]
    | Annotated[DistinctOf, Tag("<distinct>")]
    | Annotated[MostFrequentOf, Tag("<most_frequent>")]
    | Annotated[FirstOf, Tag("<first>")]
    | Annotated[LastOf, Tag("<last>")]
    | Annotated[TraitIs, Tag("<trait>")]
    | Annotated[InThis, Tag("<in>")]
    | Annotated[Consent, Tag("<consent>")]
    | Annotated[ReachableBy, Tag("<reachable>")]
    | Annotated[PrefersChannel, Tag("<prefers>")]
    | Annotated[ScoredBy, Tag("<rfm>")]
    | Annotated[PredictsThis, Tag("<predicts>")]
    | Annotated[TimeIs, Tag("<time>")]
    | Annotated[PercentOf, Tag("<percent>")]
    | Annotated[CelHolds, Tag("<cel>")],
    by_key("a condition is expected", KINDS),
]


class SegmentFile(Part):
    """A file in segments/: people for whom a condition holds right now."""

    name: Name | None = Field(None, description="Default: the name of the file.")
    description: str = ""
    when: Condition
    sync: list[Name] = Field(
        default_factory=list, description="Audiences (channels of kind: audience) joined on entering, left on leaving."
    )


for _part in (AllOf, AnyOf, NotThis, SegmentFile):
    _part.model_rebuild()
