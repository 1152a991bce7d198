"""What starts a journey, and what happens that one waits for or ends by."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from schemas.definitions.grammar.base import Cel, EventNames, EventPath, Name, Part, Span, by_key, by_shape

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


Entry = Annotated[
    Annotated[EventEntry, Tag("<event>")]
    | Annotated[SegmentEntry, Tag("<segment>")]
    | Annotated[LeftEntry, Tag("<left>")]
    | Annotated[ApiEntry, Tag("<api>")],
    by_key("what starts the journey is expected", ("event", "segment", "left", "api"), ("schedule", "date")),
]
Enter = Annotated[
    Annotated[list[Entry], Tag("<list>"), Field(min_length=1)] | Annotated[Entry, Tag("<mapping>")],
    by_shape("what starts the journey is expected, or a list of it", "list", "mapping"),
]
