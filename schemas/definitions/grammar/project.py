"""The files beside segments and journeys: project, identity, events, channels, templates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, RootModel, Tag

from schemas.definitions.grammar.base import (
    Duration,
    EventName,
    EventNames,
    EventPath,
    Name,
    Part,
    Rate,
    Span,
    by_shape,
    span,
)
from schemas.definitions.grammar.conditions import Condition


class Holdout(Part):
    """People who get nothing, so that the effect of all journeys together can be measured."""

    share: float = Field(gt=0, lt=100, description="Percent of all people.")
    except_: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[list[str], Tag("<list>")],
        by_shape("a category or a list of categories is expected", "text", "list"),
    ] = Field(default_factory=list, alias="except", description="Categories or journeys that everyone gets.")


class IdentifierRules(Part):
    """One type of identifier."""

    limit: int | None = Field(None, ge=1, description="How many of them one person may have.")
    per: Span | None = Field(
        None, description="The limit counts those new within this time; one not seen for so long may change its owner."
    )
    normalize: Literal["email", "phone"] | None = None
    region: str | None = Field(None, pattern=r"^[A-Z]{2}$", description="Country of phone numbers without a +.")
    ignore: list[Literal["plus_tags", "dots"]] = Field(
        default_factory=list, description="Parts of an e-mail address that make it no other one."
    )
    hash: bool = Field(False, description="Keep only the SHA-256 of the value, nowhere the value itself.")
    shared: Literal["keep", "newest", "separate"] = Field(
        "keep", description="Who owns a shared one: the first owner, the newest, or a person of its own."
    )


def _empty(value: Any) -> Any:
    return {} if value is None else value


class IdentityFile(Part):
    """identity.yaml"""

    identifiers: dict[
        Name, Annotated[IdentifierRules, BeforeValidator(_empty, json_schema_input_type=IdentifierRules | None)]
    ] = Field(min_length=1, description="Types of identifiers, the strongest first.")
    blocked: list[str | int | float | bool | None] | None = Field(
        None, description="Values that identify nobody: exact, or /regular expression/."
    )
    hub: int | None = Field(None, ge=1, description="An identifier linked to more stronger ones than this is isolated.")
    remember_messages: Duration | None = Field(None, description="How long a message id is known as a duplicate.")


class EventRules(Part):
    """What is known about an event by its name."""

    same: EventPath | None = Field(None, description="Events with the same value here are one occurrence.")
    revenue: EventPath | None = Field(None, description="Where its amount stands.")
    undo: EventNames | None = Field(None, description="Events that take it back.")


class EventsFile(RootModel[dict[EventName, EventRules]]):
    """events.yaml"""


def _period(value: Any) -> int | None:
    if value == "calendar_day":
        return None
    try:
        return span(value)
    except ValueError as error:
        raise ValueError(f"{error}; or calendar_day") from None


class CapRule(Part):
    """At most so many messages in a rolling window, or in a day of the calendar."""

    at_most: int = Field(ge=0)
    per: Annotated[
        int | None,
        BeforeValidator(_period, json_schema_input_type=str),
        Field(json_schema_extra={"pattern": r"^((\d+[smhdw])+|calendar_day)$", "examples": ["1d", "calendar_day"]}),
    ]


class SharedCap(CapRule):
    """A cap over channels and journeys."""

    channels: list[Name] | None = Field(None, min_length=1, description="Only sends by these; default: all.")
    category: Literal["marketing"] | None = Field(None, description="Transactional messages are never capped.")
    purpose: EventNames | None = Field(None, description="Only sends of journeys of this purpose; default: all.")
    journeys: list[Name] | None = Field(None, min_length=1, description="Only sends of these; default: all.")


class TimerRules(Part):
    """What happens to timers that fell due while the line was down."""

    late_after: Duration | None = Field(None, description="A timer fired later than this is late; default: 15m.")
    per_second: float | None = Field(
        None, gt=0, description="Late timers are released at this rate in each partition; default: 500."
    )


class ProjectFile(Part):
    """project.yaml"""

    name: Name = "project"
    description: str = ""
    timezone: str = Field("UTC", description="IANA name, for people whose own zone is not known.")
    zone_from: list[Literal["location", "phone"]] | None = Field(
        None,
        description="What tells the zone of people who told none, in this order; default: location, then phone, unless "
        "the project's own is UTC.",
    )
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217.")
    holdout: Holdout | None = None
    caps: list[SharedCap] = Field(
        default_factory=list, description="Of marketing messages to one person, whatever sends them."
    )
    timers: TimerRules | None = None
    exclude: Condition | None = Field(
        None, description="Staff, bots: people for whom this holds are in no segment and get nothing."
    )


class QuietRules(Part):
    """When nothing is sent, and what becomes of what would have been."""

    hours: str = Field(description='A span of the person\'s day: "21:00-08:00".')
    then: Literal["wait", "skip"] = Field("wait", description="For the end, or nothing is sent.")
    spread: Span | None = Field(None, description="What waited goes out over this long after the end, not in a burst.")


QuietHours = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[QuietRules, Tag("<mapping>")],
    by_shape('a span of the day such as "21:00-08:00" or {hours: ...} is expected', "text", "mapping"),
]


class ChannelRules(Part):
    """One channel."""

    cost: float = Field(0, ge=0, description="Of one message, in the project's currency.")
    monthly_fee: float = Field(0, ge=0, description="Fixed, whatever is sent; in the project's currency.")
    connector: str = Field("", description="Who delivers, for example smtp.")
    consent: Literal["opt_in", "opt_out", "double_opt_in", "none"] = "none"
    caps: list[CapRule] = Field(default_factory=list)
    quiet: QuietHours | None = Field(None, description='No marketing at this time of the person\'s day: "21:00-08:00".')
    kind: Literal["send", "session", "audience"] = Field(
        "send",
        description="session: what people visit; a visit is one touch. audience: what segments are synced to.",
    )
    identifiers: list[Name] | None = Field(None, min_length=1, description="Types of identifiers that are addresses.")
    rate: Rate | None = Field(None, description="Most messages handed to the provider: 30/s, 50000/h.")
    rate_per_recipient: Rate | None = Field(None, description="Most of them to one address: 1/s.")
    expires: Span | None = Field(None, description="What could not be handed over for so long is not sent any more.")


class ChannelsFile(
    RootModel[dict[Name, Annotated[ChannelRules, BeforeValidator(_empty, json_schema_input_type=ChannelRules | None)]]]
):
    """channels.yaml"""


class Button(Part):
    """A button below a message."""

    text: str
    url: str


class TemplateParts(Part):
    """The parts of a message, each a Liquid template."""

    subject: str | None = None
    preheader: str | None = Field(None, description="What mail clients show beside the subject.")
    title: str | None = None
    body: str | None = Field(None, description="HTML or MJML in e-mail, plain text elsewhere.")
    text: str | None = Field(None, description="The plain-text part; default: made from the body.")
    url: str | None = None
    image: str | None = None
    icon: str | None = None
    buttons: list[Button] | None = Field(None, min_length=1, max_length=10, description="In messengers and push.")
    from_: str | None = Field(None, alias="from", description="Who an e-mail is from: Shop <hello@shop.example>.")
    reply_to: str | None = Field(None, description="Where answers to an e-mail go.")
