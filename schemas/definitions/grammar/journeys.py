"""The journey language: what may stand in a file in journeys/."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, RootModel, Tag, model_validator

from schemas.definitions.grammar.base import (
    Cel,
    Day,
    Duration,
    EventName,
    EventNames,
    Findings,
    Name,
    Part,
    Span,
    Value,
    by_key,
    by_shape,
)
from schemas.definitions.grammar.conditions import Condition
from schemas.definitions.grammar.entries import (
    A_TRIGGER,
    TRIGGERS,
    Enter,
    EventTrigger,
    LeftTrigger,
    ReceiptTrigger,
    SegmentTrigger,
    Triggers,
)
from schemas.definitions.problems import nearest
from schemas.definitions.yaml12 import Mapping, Mark

STEPS = (
    *(
        "wait",
        "wait_for",
        "branch",
        "send",
        "split",
        "update",
        "emit",
        "add_to",
        "remove_from",
        "start",
        "issue",
        "call",
        "task",
        "repeat",
    ),
    "exit",
)
#: rounds of a `repeat`, those around it multiplied
MOST_ROUNDS = 1_000
CHOICES = ("cheapest", "preferred", "best", "all")
BEST_HOUR = "best_hour"
RECEIPTS = ("delivered", "opened", "clicked")


class Goal(Part):
    """What the journey wants: counted, and a message of it not needed any more."""

    event: EventNames | None = None
    where: Cel | None = None
    segment: Name | None = None
    within: Span | None = Field(None, description="Counted from the entry.")

    @model_validator(mode="after")
    def _one(self) -> Goal:
        if (self.event is None) == (self.segment is None):
            raise ValueError("a goal is an event or a segment")
        if self.segment is not None and self.where is not None:
            raise ValueError("where belongs to an event")
        return self


class Step(Part):
    id: Name | None = Field(None, description="Default: the path of the step, for example 2 or 3.a.1.")

    @classmethod
    def judge_key(cls, key: str, data: Mapping, findings: Findings) -> None:
        if key in STEPS and key not in cls.names():
            findings.add(data.keys_at[key], f"{key!r} is a step of its own", "begin it with '- '")
        else:
            super().judge_key(key, data, findings)


class Lateness(Part):
    """What becomes of whoever comes to the end of a wait too late: after downtime, or as the date was past already."""

    late: Literal["now", "next_window", "skip", "exit"] | None = Field(
        None, description="Go on now (default), at the next time of the kind, without the step behind, or not at all."
    )
    late_after: Duration | None = Field(None, description="How much is too late; default: as project.yaml says.")


class WaitUntil(Lateness):
    """A time of day, or a date that a trait or a property of the entry event holds."""

    for_: Duration | None = Field(None, alias="for")
    until: str | None = Field(None, description='"09:00", or traits.x or properties.x.')
    days: list[Day] | None = Field(None, min_length=1)
    before: Duration | None = Field(None, description="This much earlier than the date.")
    after: Duration | None = Field(None, description="This much later than the date.")

    @model_validator(mode="after")
    def _one(self) -> WaitUntil:
        if (self.for_ is None) == (self.until is None):
            raise ValueError("a duration (for) or a time (until) is expected")
        if self.before is not None and self.after is not None:
            raise ValueError("before or after, not both")
        return self


class WaitStep(Step, Lateness):
    """Waits for a while or until a time."""

    wait: Annotated[
        Annotated[Duration, Tag("<text>")] | Annotated[WaitUntil, Tag("<mapping>")],
        by_shape("a duration or {until: ...} is expected", "text", "mapping"),
    ]
    restart_on: EventNames | None = Field(None, description="Events that start the wait again.")


class _Awaited(Part):
    then: list[AnyStep] | None = Field(None, description="Steps for when this happens; default: the step's own then.")


class AwaitedEvent(EventTrigger, _Awaited):
    """An event happens."""


class AwaitedSegment(SegmentTrigger, _Awaited):
    """The person enters a segment, or is in it."""


class AwaitedLeft(LeftTrigger, _Awaited):
    """The person leaves a segment."""


class AwaitedReceipt(ReceiptTrigger, _Awaited):
    """A receipt comes of a message that this run of the journey has sent."""


Awaited = Annotated[
    Annotated[AwaitedEvent, Tag("<event>")]
    | Annotated[AwaitedSegment, Tag("<segment>")]
    | Annotated[AwaitedLeft, Tag("<left>")]
    | Annotated[AwaitedReceipt, Tag("<receipt>")],
    by_key("what happens is expected", TRIGGERS),
]


class WaitForStep(Step):
    """Waits for one of several things to happen, and goes on by what happens first."""

    wait_for: Annotated[
        Annotated[list[Awaited], Tag("<list>")] | Annotated[Awaited, Tag("<mapping>")],
        by_shape(A_TRIGGER, "list", "mapping"),
    ]
    timeout: Span | None = None
    then: list[AnyStep] = Field(default_factory=list)
    on_timeout: list[AnyStep] = Field(default_factory=list)


class WhenArm(Part):
    """These steps if the condition holds."""

    when: Condition
    steps: list[AnyStep]


class OtherwiseArm(Part):
    """These steps if no condition held."""

    otherwise: list[AnyStep]


Arm = Annotated[
    Annotated[WhenArm, Tag("<when>")] | Annotated[OtherwiseArm, Tag("<otherwise>")],
    by_key("an arm is {when, steps} or {otherwise}", ("when", "otherwise")),
]


class BranchStep(Step):
    """The first arm whose condition holds."""

    branch: list[Arm] = Field(min_length=1)


class SendOver(Part):
    """A message, and the channels it may take."""

    template: Name
    channels: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[list[Name], Tag("<list>"), Field(min_length=1)],
        by_shape(f"a list of channels or one of {', '.join(CHOICES)} is expected", "text", "list"),
    ] = Field("cheapest", description="Channels in order, or cheapest, preferred, best or all.")
    until: Literal["delivered", "opened", "clicked"] | None = Field(
        None, description="Goes on to the next channel when this receipt did not come."
    )
    within: Span | None = Field(None, description="How long to wait for the receipt.")
    quiet: Literal["wait", "skip"] | None = Field(
        None, description="In quiet hours wait for their end, or send nothing; default: as the channel says."
    )
    at_: str | None = Field(
        None,
        alias="at",
        description='The next time of day, "18:00", or the next best_hour, when the person answers most. Default: now.',
    )
    between: str | None = Field(None, description='Best hours in this span of the day count: "09:00-21:00".')
    otherwise: str | None = Field(None, description="The time of day for people whose best hour is not known.")

    @model_validator(mode="after")
    def _cascade(self) -> SendOver:
        if (self.until is None) != (self.within is None):
            raise ValueError("until and within go together")
        if self.at_ != BEST_HOUR and (self.between is not None or self.otherwise is not None):
            raise ValueError(f"between and otherwise belong to at: {BEST_HOUR}")
        return self


class SendStep(Step):
    """Sends a message."""

    send: SendOver


def _arms_beside(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = schema["properties"].pop("arms")["additionalProperties"]


class Winner(Part):
    """The arm that does best by the journey's goal gets whoever comes once that is known."""

    after: int = Field(ge=1, description="So many people in each arm, all of whom had the time of the goal.")


class SplitStep(Step):
    """Divides people by chance, for good: shares in percent; every arm but holdout has a list of steps by its name."""

    model_config = ConfigDict(json_schema_extra=_arms_beside)
    split: dict[Name, Annotated[float, Field(gt=0, le=100)]] = Field(min_length=2)
    winner: Winner | None = None
    arms: dict[str, list[AnyStep]] = Field(default_factory=dict, exclude=True)

    @classmethod
    def prepared(cls, data: Mapping) -> dict[str, Any]:
        # the arms are keys beside `split:`; as a field of their own they are checked like any other steps
        shares = data["split"] if isinstance(data.get("split"), dict) else {}
        arms = {key: value for key, value in data.items() if key in shares and key not in _RESERVED}
        return {**{key: data[key] for key in _RESERVED if key in data}, "arms": arms}

    @classmethod
    def judge_key(cls, key: str, data: Mapping, findings: Findings) -> None:
        shares = data["split"] if isinstance(data.get("split"), dict) else {}
        allowed = {*_RESERVED, *shares} - {"holdout"}
        if key not in allowed:
            findings.add(data.keys_at[key], f"unknown key {key!r}", nearest(key, allowed))


_RESERVED = frozenset({"id", "split", "winner"})


class UpdateStep(Step):
    """Sets traits of the person; text is a Liquid template."""

    update: dict[str, Value | None] = Field(min_length=1, description="traits.NAME: value")


class Emitted(Part):
    """An event of the person; in its properties text is a Liquid template, `{{ path }}` alone keeps its type."""

    event: EventName
    properties: dict[str, Any] = Field(default_factory=dict)


class EmitStep(Step):
    """Sends an event of the person back into the line, where it counts as any other."""

    emit: Emitted


class AddToStep(Step):
    """Puts the person into a static list."""

    add_to: Name


class RemoveFromStep(Step):
    """Takes the person out of a static list."""

    remove_from: Name


class Started(Part):
    """A journey, and what stands in place of the entry event's properties there."""

    journey: Name
    properties: dict[str, Any] | None = Field(None, description="Text is a Liquid template.")


class StartStep(Step):
    """Lets the person enter another journey, with this one's entry event."""

    start: Annotated[
        Annotated[Name, Tag("<text>")] | Annotated[Started, Tag("<mapping>")],
        by_shape("a journey is expected", "text", "mapping"),
    ]


class IssueOf(Part):
    """A code of a promo."""

    promo: Name
    as_: Name = Field("code", alias="as", description="The name of the code in templates and CEL.")
    expires: Span | None = Field(None, description="How long it holds; default: for ever.")


class IssueStep(Step):
    """Gives the person a promo code."""

    issue: IssueOf


class Called(Part):
    """A service, and what it is told; text is a Liquid template, `{{ path }}` alone keeps its type."""

    url: str = Field(description="Where it is posted, signed; the host stands there as it is.")
    headers: dict[str, str] = Field(default_factory=dict, description="Sent along.")
    data: dict[str, Any] = Field(default_factory=dict, description="The content of the call.")


class CallStep(Step):
    """Calls a webhook."""

    call: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[Called, Tag("<mapping>")],
        by_shape("a URL or {url, headers, data} is expected", "text", "mapping"),
    ]


class Tasked(Part):
    """What people are to do; text is a Liquid template."""

    title: str = Field(min_length=1)
    text: str = ""
    queue: str = Field("", description="Who is to do it, as the call centre calls them.")
    due: Span | None = Field(None, description="Within so long.")
    data: dict[str, Any] = Field(default_factory=dict, description="What else they need.")


class TaskStep(Step):
    """Gives the call centre a task."""

    task: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[Tasked, Tag("<mapping>")],
        by_shape("a title or {title, text, queue, due, data} is expected", "text", "mapping"),
    ]


class Rounds(Part):
    """Steps that are taken several times."""

    times: int = Field(ge=1, le=MOST_ROUNDS)
    steps: list[AnyStep] = Field(min_length=1)


class RepeatStep(Step):
    """Takes steps several times, one round after the other."""

    repeat: Rounds


class ExitStep(Step):
    """Ends the journey for this person."""

    exit: str | None = Field(None, description="The reason.")


AnyStep = Annotated[
    Annotated[WaitStep, Tag("<wait>")]
    | Annotated[WaitForStep, Tag("<wait_for>")]
    | Annotated[BranchStep, Tag("<branch>")]
    | Annotated[SendStep, Tag("<send>")]
    | Annotated[SplitStep, Tag("<split>")]
    | Annotated[UpdateStep, Tag("<update>")]
    | Annotated[EmitStep, Tag("<emit>")]
    | Annotated[IssueStep, Tag("<issue>")]
    | Annotated[CallStep, Tag("<call>")]
    | Annotated[TaskStep, Tag("<task>")]
    | Annotated[AddToStep, Tag("<add_to>")]
    | Annotated[RemoveFromStep, Tag("<remove_from>")]
    | Annotated[StartStep, Tag("<start>")]
    | Annotated[RepeatStep, Tag("<repeat>")]
    | Annotated[ExitStep, Tag("<exit>")],
    by_key("a step is expected", STEPS),
]


class Migration(Part):
    """What becomes of people who are inside an earlier version when this one is published."""

    steps: dict[str, str] = Field(
        default_factory=dict, description="Id of the step they are at: id of the step of this version they go on at."
    )
    others: Literal["stay", "exit"] = Field(
        "stay", description="Who is at a step that is not named stays on the version they entered with, or leaves."
    )

    @model_validator(mode="after")
    def _something(self) -> Migration:
        if not self.steps and self.others == "stay":
            raise ValueError("this takes nobody over: name steps, or say others: exit")
        return self

    def at_step(self, step: str) -> Mark:
        """Where it stands what becomes of those at a step."""
        places = self._mapping.get("steps")
        return places.at(step) if isinstance(places, Mapping) else self.at("steps")


class WinnersFile(RootModel[dict[str, Name]]):
    """winners.yaml: JOURNEY/STEP of a split and the arm that won; written by `pathline journeys winners`."""


class JourneyFile(Part):
    """A file in journeys/: what happens to people, step by step."""

    later: ClassVar[frozenset[str]] = frozenset({"holdout", "winner"})

    name: Name | None = Field(None, description="Default: the name of the file.")
    description: str = ""
    enter: Enter
    exit: Triggers | None = Field(None, description="What ends it at once, also inside a wait.")
    goal: Goal | None = None
    priority: int = Field(50, ge=0, le=1000, description="Of two sends at one instant the higher goes first.")
    category: Literal["marketing", "transactional"] = "marketing"
    purpose: str = Field("", description="What the messages are for, as people consented to it.")
    intent: str = Field("", description="A Liquid template: no second message with the same result.")
    intent_for: Span | None = Field(None, description="For so long; default: ever.")
    steps: list[AnyStep] = Field(min_length=1)
    migrate: Migration | None = Field(
        None, description="Takes those over who are inside earlier versions; default: they stay on theirs."
    )


for _part in (
    AwaitedEvent,
    AwaitedSegment,
    AwaitedLeft,
    AwaitedReceipt,
    WaitForStep,
    Rounds,
    RepeatStep,
    WhenArm,
    OtherwiseArm,
    BranchStep,
    SplitStep,
    JourneyFile,
):
    _part.model_rebuild()

__all__ = ["AnyStep", "EventName", "JourneyFile", "WinnersFile"]
