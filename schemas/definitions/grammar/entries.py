"""What starts a journey, and what happens that one waits for or ends by."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from schemas.definitions import durations
from schemas.definitions.grammar.base import (
    Cel,
    Duration,
    EventNames,
    EventPath,
    Name,
    Part,
    Rate,
    Span,
    by_key,
    by_shape,
)

TRIGGERS = ("event", "segment", "left", "receipt")
A_TRIGGER = "an event or a segment, or a list of them, is expected"


class EventTrigger(Part):
    """An event happens."""

    event: EventNames
    where: Cel | None = None
    as_: Name | None = Field(None, alias="as", description="The name under which CEL and Liquid see the event.")


class SegmentTrigger(Part):
    """The person enters a segment."""

    segment: Name


class LeftTrigger(Part):
    """The person leaves a segment."""

    left: Name


class ReceiptTrigger(Part):
    """A receipt comes of a message that this run of the journey has sent."""

    receipt: Literal["delivered", "opened", "clicked", "replied", "bounced", "complained", "unsubscribed", "failed"]
    of: Name | None = Field(None, description="The id of the step that sent it; default any.")


Trigger = Annotated[
    Annotated[EventTrigger, Tag("<event>")]
    | Annotated[SegmentTrigger, Tag("<segment>")]
    | Annotated[LeftTrigger, Tag("<left>")]
    | Annotated[ReceiptTrigger, Tag("<receipt>")],
    by_key("what happens is expected", TRIGGERS),
]
Triggers = Annotated[
    Annotated[list[Trigger], Tag("<list>")] | Annotated[Trigger, Tag("<mapping>")],
    by_shape(A_TRIGGER, "list", "mapping"),
]


class Limits(Part):
    at_most_every: Span | None = Field(None, description="Counted per person.")
    once: bool = Field(False, description="A person enters once in all time.")
    on_repeat: Literal["ignore", "restart", "parallel"] = Field("ignore", description="A further entry while inside.")


class Keyed(Limits):
    where: Cel | None = None
    key: EventPath | None = Field(None, description="One instance for each value of this property.")
    max_age: Span | None = Field(None, description="An event older than this starts nothing.")


class EventEntry(Keyed):
    """The journey starts with an event."""

    event: EventNames


class SegmentEntry(Limits):
    """The journey starts when the person enters a segment."""

    segment: Name
    existing: bool = Field(False, description="Also when a merge, a split or a new definition causes it.")


class LeftEntry(Limits):
    """The journey starts when the person leaves a segment."""

    left: Name
    existing: bool = False


class ApiEntry(Keyed):
    """The journey starts for a person when a program asks for it: `POST /v1/journeys/NAME/enter`."""

    api: Literal[True]


class ScheduleEntry(Limits):
    """The journey starts at the times of a rule for everybody who is in a segment then: a broadcast."""

    schedule: str = Field(
        min_length=1,
        description="A recurrence rule (RFC 5545): FREQ=WEEKLY;BYDAY=MO;BYHOUR=10.",
        json_schema_extra={"examples": ["FREQ=WEEKLY;BYDAY=MO;BYHOUR=10", "FREQ=MONTHLY;BYMONTHDAY=1;BYHOUR=9"]},
    )
    of: Name = Field(description="The segment.")
    rate: Rate | None = Field(None, description="How many enter: 50000/h. Default: all at once.")
    timezone: str | None = Field(None, description="On whose clock; default: the project's.")


def _period(value: Any) -> str:
    return "<text>" if durations.is_duration(value) else "<word>"


class DateOf(Part):
    """A date of the person, and when around it the journey starts."""

    trait: str = Field(min_length=1, description="A trait, also a computed one: birthday.")
    every: Annotated[
        Annotated[Literal["once", "year", "month", "week"], Tag("<word>")] | Annotated[Span, Tag("<text>")],
        Discriminator(_period),
    ] = Field("once", description="Each year, month or week again, or each time so long after it: 40d.")
    before: Duration | None = Field(None, description="So much earlier; days are counted on the calendar.")
    after: Duration | None = Field(None, description="So much later.")
    at_: str | None = Field(None, alias="at", description='The time of that day in the person\'s zone: "10:00".')

    @model_validator(mode="after")
    def _one(self) -> DateOf:
        if self.before is not None and self.after is not None:
            raise ValueError("before or after, not both")
        return self


class DateEntry(Limits):
    """The journey starts on a date of the person; `traits.NAME` alone is each anniversary, at midnight."""

    date: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[DateOf, Tag("<mapping>")],
        by_shape("traits.NAME or {trait: NAME, ...} is expected", "text", "mapping"),
    ]


Entry = Annotated[
    Annotated[EventEntry, Tag("<event>")]
    | Annotated[SegmentEntry, Tag("<segment>")]
    | Annotated[LeftEntry, Tag("<left>")]
    | Annotated[ScheduleEntry, Tag("<schedule>")]
    | Annotated[DateEntry, Tag("<date>")]
    | Annotated[ApiEntry, Tag("<api>")],
    by_key("what starts the journey is expected", ("event", "segment", "left", "schedule", "date", "api")),
]
Enter = Annotated[
    Annotated[list[Entry], Tag("<list>"), Field(min_length=1)] | Annotated[Entry, Tag("<mapping>")],
    by_shape("what starts the journey is expected, or a list of it", "list", "mapping"),
]
