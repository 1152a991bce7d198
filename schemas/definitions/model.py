"""A checked Pathline project, as typed values.

`schemas.definitions.load` makes these from the YAML files; processors, connectors, sinks and the command line work on
them and never see YAML. Durations are milliseconds, times of day are minutes after local midnight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from schemas.definitions.expressions import Expression

Scalar = str | float | int | bool | None


# --- conditions: the segment language ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Condition


@dataclass(frozen=True, slots=True)
class Window:
    """Holds the events with `near <= now - t < far`; `within: w` is (0, w), no window is far None (ever).

    `since`/`until` (instants, milliseconds) bound the occurrence time instead: `since <= t < until`.
    """

    near: int = 0
    far: int | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Did:
    """Count of events of these names that match, compared with bounds (inclusive; at_most None is no bound)."""

    events: tuple[str, ...]
    where: Expression | None = None
    at_least: int = 1
    at_most: int | None = None
    window: Window = Window()
    each: str | None = None

    def __hash__(self) -> int:
        # asked for a dozen times an event, where one is found by itself
        return hash((self.events, self.at_least, self.at_most, self.window.far))


@dataclass(frozen=True, slots=True)
class InOrder:
    """Events one after the other, all in the window; of each step only `events` and `where` say something.

    `same` is a path whose value is the same in all of them.
    """

    steps: tuple[Did, ...]
    window: Window = Window()
    same: str | None = None


#: What can be worked out over events; `interval` and `next_expected` are computed traits only, `orders` is what
#: predictions go by.
Function = Literal[
    "count",
    "sum",
    "average",
    "min",
    "max",
    "distinct",
    "most_frequent",
    "first",
    "last",
    "interval",
    "next_expected",
    "orders",
]


@dataclass(frozen=True, slots=True)
class Measure:
    """A function of the values at the path `of`, over the matching events in a window; with `each` over their lines
    (`item`). Without `of` first and last are when it happened; interval and next_expected are kept apart by `of`."""

    function: Function
    events: tuple[str, ...]
    of: str | None = None
    where: Expression | None = None
    window: Window = Window()
    each: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure compared: all tests (operator of a trait, value) hold. Of first and last the operators of dates are
    about when it happened, and that is in the window `when` too."""

    measure: Measure
    tests: tuple[tuple[str, Any], ...] = ()
    when: Window = Window()


@dataclass(frozen=True, slots=True)
class Collect:
    """A list of what was added and neither removed nor cleared since, each element once.

    `by` is the path that names an element, `keep` what stands beside it and is kept of it; with `each` the lines of an
    event are added and removed (`item`), `where` is about what is added. The newest `at_most` elements are listed.
    """

    add: tuple[str, ...]
    remove: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    by: str = "properties.product_id"
    keep: tuple[str, ...] = ()
    at_most: int = 50
    where: Expression | None = None
    each: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the scores 2, 3, 4 and 5 begin: the last order is less than `recency` milliseconds ago, there are at least
    `frequency` orders, they are worth at least `monetary`."""

    recency: tuple[int, ...]
    frequency: tuple[int, ...]
    monetary: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scoring:
    """Which events are orders, the path of their worth, which of them count, and the bounds of scores if there are
    any."""

    events: tuple[str, ...]
    of: str
    window: Window = Window()
    bounds: Bounds | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """How people buy, as it was fitted: MBG/NBD with `alpha` in days, and the Gamma-Gamma model of what a day of
    purchases is worth, None where no amounts were known."""

    r: float
    alpha: float
    a: float
    b: float
    worth: tuple[float, float, float] | None = None  # p, q, gamma


@dataclass(frozen=True, slots=True)
class Predicting:
    """Which events are orders, the path of their worth, and how people buy if it was fitted."""

    events: tuple[str, ...]
    of: str
    habits: Habits | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a person who bought will do in the next `ahead` milliseconds (None: ever): the probability of a purchase,
    the expected worth of all purchases, or the probability that there is none (churn)."""

    what: Literal["purchase", "value", "churn"]
    ahead: int | None
    orders: Measure
    habits: Habits | None = None


@dataclass(frozen=True, slots=True)
class Predicts:
    """A prediction compared: all tests (at_least or at_most, number) hold."""

    prediction: Prediction
    tests: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Best:
    """When or where a person answers most: the local hour, 0 to 23, or the channel."""

    of: Literal["hour", "channel"]


@dataclass(frozen=True, slots=True)
class TraitIs:
    """A trait compared: op is equals, not_equals, one_of, at_least, at_most, exists, contains, held_for, or of a date
    within, before, after (milliseconds ago, or a date as written) or anniversary (days ahead, days past)."""

    trait: str
    op: str
    value: Any


def root(trait: str) -> str:
    """The trait that a dotted name reaches into."""
    return trait.split(".")[0]


@dataclass(frozen=True, slots=True)
class InSegment:
    segment: str


@dataclass(frozen=True, slots=True)
class InList:
    """An identifier of the person is in a static list."""

    list: str


@dataclass(frozen=True, slots=True)
class HasConsent:
    channel: str
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Reachable:
    channel: str


@dataclass(frozen=True, slots=True)
class LocalTime:
    """The person's clock shows a time from `first` up to `end` (minutes after midnight; an end that is not later is on
    the next day) that began on one of these days (0 = Monday; none: any)."""

    first: int
    end: int
    days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Percent:
    """The person's number in the lottery `of`, from 0 up to 100, is at least `low` and below `high`."""

    low: float
    high: float
    of: str


@dataclass(frozen=True, slots=True)
class Prefers:
    """The channel the person answers in most."""

    channel: str


@dataclass(frozen=True, slots=True)
class Holds:
    """A CEL expression over `entry`, `event`, `person.traits` and `now`; in journeys only."""

    cel: Expression


Condition = (
    All
    | AnyOf
    | Not
    | Did
    | InOrder
    | Measured
    | TraitIs
    | InSegment
    | InList
    | HasConsent
    | Reachable
    | LocalTime
    | Percent
    | Prefers
    | Predicts
    | Holds
)

#: What a computed trait is worked out by.
Working = Measure | Collect | Prediction | Best


@dataclass(frozen=True, slots=True)
class Segment:
    name: str
    when: Condition
    path: str = ""
    sync: tuple[str, ...] = ()  # audiences joined on entering, left on leaving


@dataclass(frozen=True, slots=True)
class ComputedTrait:
    """A trait that follows from events; what is told under its name does not count."""

    name: str
    measure: Working
    path: str = ""


# --- journeys --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event (one of these names, matching where), a segment entered or left, or a receipt (a word of
    `schemas.receipts.OUTCOMES`) of what the instance sent, at the step `of` if one is named."""

    events: tuple[str, ...] = ()
    where: Expression | None = None
    segment: str | None = None
    change: Literal["entered", "left"] = "entered"
    name: str = ""  # `as:` the name under which the event is kept
    receipt: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True)
class Requested:
    """A program asks for it: an event `schemas.requests.ENTRY_REQUESTED` that names the journey and matches where."""

    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Whoever is in a segment when a rule (`schemas.recurrence`) on the clock of `zone`, else the project's, says so;
    (how many, in how many milliseconds) at most, None all at once."""

    rule: str
    zone: str | None
    segment: str
    rate: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class OnDate:
    """The date in a trait (dotted), `offset` milliseconds later or, when negative, earlier; at `at` minutes of that
    local day if that is said. `every` repeats it: each year, month or week, or each time after so many milliseconds."""

    trait: str
    every: Literal["once", "year", "month", "week"] | int = "once"
    offset: int = 0
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that starts a journey, and what limits it; `key` is a path into its event."""

    trigger: Trigger | Requested | Schedule | OnDate
    existing: bool = False
    key: str | None = None  # path into the event, for example properties.cart_id
    at_most_every: int | None = None
    once: bool = False
    on_repeat: Literal["ignore", "restart", "parallel"] = "ignore"
    max_age: int | None = None


#: What tells the time zone of a person who told none.
ZoneSource = Literal["location", "phone"]

#: What becomes of an instance that comes to the end of a wait too late: it goes on at once, at the next time of the
#: kind, without the step behind the wait, or not at all.
Late = Literal["now", "next_window", "skip", "exit"]


@dataclass(frozen=True, slots=True)
class Wait:
    """`duration`, or `until` a local time of day (on `days`, 0 = Monday), or `until_path` (traits.x, properties.x) with
    an offset before it. `late` says what becomes of whoever comes to its end more than `late_after` milliseconds (None:
    as the project says) too late."""

    id: str
    duration: int | None = None
    until: int | None = None
    days: frozenset[int] = frozenset()
    until_path: str | None = None
    before: int = 0
    restart_on: tuple[str, ...] = ()
    late: Late = "now"
    late_after: int | None = None


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Goes on with the steps of `own` in the place of the trigger that happens first, else with `then`."""

    id: str
    triggers: tuple[Trigger, ...]
    timeout: int | None
    then: tuple[Step, ...] = ()
    on_timeout: tuple[Step, ...] = ()
    own: tuple[tuple[Step, ...] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    when: Condition | None  # None: otherwise
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    id: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of day a message goes out: `minute`, or, None, the person's best hour that lies in the span `between`;
    `otherwise` for people of whom none is known. All in minutes after local midnight."""

    minute: int | None = None
    between: tuple[int, int] | None = None
    otherwise: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """`channels` in order, or one of cheapest, preferred, best, all as `choice`; with `until` (a receipt: opened,
    clicked, delivered) and `within` the next channel is tried when it did not come. `quiet` says what becomes of it in
    quiet hours where the channel's own rule is not to count."""

    id: str
    template: str
    channels: tuple[str, ...] = ()
    choice: Literal["order", "cheapest", "preferred", "best", "all"] = "order"
    until: str | None = None
    within: int | None = None
    quiet: Literal["wait", "skip"] | None = None
    moment: Moment | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """With `winner_after` the arm that wins once each has so many people (`Project.winners`) gets who comes then."""

    id: str
    arms: tuple[tuple[str, float, tuple[Step, ...]], ...]  # name, share, steps
    winner_after: int | None = None


@dataclass(frozen=True, slots=True)
class UpdateTraits:
    id: str
    traits: Mapping[str, Any]  # dotted path under traits -> value; a string is a Liquid template


@dataclass(frozen=True, slots=True)
class Emit:
    """An event of the person; in its properties text is a Liquid template."""

    id: str
    event: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChangeList:
    """The person joins a static list, or leaves it."""

    id: str
    list: str
    member: bool


@dataclass(frozen=True, slots=True)
class Start:
    """The person enters another journey, with the entry event at hand; `properties` (text is a Liquid template) stand
    in place of its own."""

    id: str
    journey: str
    properties: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """The person gets a code of a promo, which is known as `name` from then on and holds for `expires` milliseconds
    (None: for ever)."""

    id: str
    promo: str
    name: str
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A signed webhook; text in `url`, `headers` and `data` is a Liquid template."""

    id: str
    url: str
    headers: Mapping[str, str]
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """Something for the people of a call centre to do, within `due` milliseconds (None: some time); text is a Liquid
    template."""

    id: str
    title: str
    text: str
    queue: str
    data: Mapping[str, Any]
    due: int | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    id: str
    times: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Exit:
    id: str
    reason: str = ""


#: What tells the line or a service something and goes on.
Effect = UpdateTraits | Emit | ChangeList | Start | Call | Task
Step = Wait | WaitFor | Branch | Send | Split | Effect | Issue | Repeat | Exit


@dataclass(frozen=True, slots=True)
class Goal:
    trigger: Trigger
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Migration:
    """Takes people who are at a step of an earlier version to one of this version, by the ids of both; `others` stay on
    the version they are on, or leave."""

    steps: Mapping[str, str]
    others: Literal["stay", "exit"] = "stay"


@dataclass(frozen=True, slots=True)
class Journey:
    name: str
    entries: tuple[Entry, ...]
    steps: tuple[Step, ...]
    exit: tuple[Trigger, ...] = ()
    goal: Goal | None = None
    priority: int = 50
    category: Literal["marketing", "transactional"] = "marketing"
    purpose: str = ""
    intent: str = ""
    intent_for: int | None = None
    path: str = ""
    migrate: Migration | None = None


# --- the rest of the project -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IdentifierType:
    """`rank` 0 is the strongest. `limit` None is no limit; `per` is its period in milliseconds, None for ever.

    `ignore` are the parts of an e-mail address that are left out; `hash`: only a hash of the value is kept.
    """

    name: str
    rank: int
    limit: int | None = None
    per: int | None = None
    normalize: str | None = None  # email | phone
    region: str | None = None
    shared: Literal["keep", "newest", "separate"] = "keep"
    ignore: frozenset[str] = frozenset()  # of plus_tags, dots
    hash: bool = False


@dataclass(frozen=True, slots=True)
class IdentityRules:
    types: Mapping[str, IdentifierType]
    blocked: frozenset[str]
    blocked_patterns: tuple[str, ...] = ()
    hub: int | None = None
    remember_messages: int = 7 * 86_400_000  # duplicates of a message id are dropped for this long


@dataclass(frozen=True, slots=True)
class EventRule:
    """`same`: path that names the occurrence; `revenue`: path of its amount; `undo`: events that take it back."""

    name: str
    same: str | None = None
    revenue: str | None = None
    undo: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cap:
    """At most this many marketing sends in a rolling window of `per` milliseconds; None is the local calendar day.

    A project's cap counts those of some channels, purposes and journeys, all of them where none are named.
    """

    at_most: int
    per: int | None
    channels: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    journeys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Quiet:
    """From `first` up to but without `end` (minutes of the local day; it may span midnight) nothing is sent: it waits
    for the end and at most `spread` milliseconds longer, or is skipped."""

    first: int
    end: int
    then: Literal["wait", "skip"] = "wait"
    spread: int = 0


#: the connector of channels that people read themselves, and the channels that have it when none is named
INBOX = "inbox"
INBOXES = ("app_inbox", "in_app")
#: a message stays there for so long at most, milliseconds
INBOX_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Channel:
    """`identifiers` are the identifier types that are addresses in this channel. `rate` is (how many, per how many
    milliseconds) of the whole channel, `rate_per_recipient` to one address; None is what the provider is known for.
    `expires` is how long a message may wait for its hand-over, in milliseconds. All three are of the wall clock. Of a
    channel that people read themselves (an inbox) `expires` is for how long a message stays there, in line time.
    """

    name: str
    cost: float = 0.0
    connector: str = ""
    consent: Literal["opt_in", "opt_out", "double_opt_in", "none"] = "none"
    caps: tuple[Cap, ...] = ()
    quiet: Quiet | None = None
    kind: Literal["send", "session", "audience"] = "send"
    identifiers: tuple[str, ...] = ()
    monthly_fee: float = 0.0
    rate: tuple[int, int] | None = None
    rate_per_recipient: tuple[int, int] | None = None
    expires: int | None = None

    @property
    def pull(self) -> bool:
        """Whether messages wait in an inbox until they are read, rather than being handed to a provider."""
        return self.connector == INBOX or (not self.connector and self.name in INBOXES)

    @property
    def stays(self) -> int:
        """How long a message stays in an inbox, in milliseconds."""
        return INBOX_MS if self.expires is None else min(self.expires, INBOX_MS)


@dataclass(frozen=True, slots=True)
class SourceRule:
    """What shows a source: tags by name, parameters of the page's address, referring hosts; `*` stands for anything,
    all that is named has to fit. `source` None is the tag, parameter or host itself."""

    source: str | None
    utm: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    click_ids: tuple[str, ...] = ()
    referrers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """Liquid sources by part (subject, body, text ...); `variants` override them by channel or language."""

    name: str
    parts: Mapping[str, str]
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holdout:
    share: float
    exempt: frozenset[str]


@dataclass(frozen=True, slots=True)
class Promo:
    """Codes for people: made of `prefix` and `length` characters, or, None, from the pool in `file` (its `column`), of
    which fewer than `low` left are few. `once` is whether a person has one that holds at a time. The events `redeemed`
    show at the path `code` which was used."""

    name: str
    prefix: str = ""
    length: int | None = None
    file: str = ""
    column: str = ""
    low: int = 0
    once: bool = True
    redeemed: tuple[str, ...] = ("Order Completed",)
    code: str = "properties.coupon"


@dataclass(frozen=True, slots=True)
class Timers:
    """A timer fired more than `late_after` milliseconds after its time is late; late ones are released at this rate in
    each partition."""

    late_after: int = 15 * 60_000
    per_second: float = 500.0


@dataclass(frozen=True, slots=True)
class Project:
    """Everything in a project folder. `version` is the content hash of its files, `files` their texts by path."""

    name: str
    timezone: str
    currency: str
    holdout: Holdout | None
    identity: IdentityRules
    events: Mapping[str, EventRule]
    channels: Mapping[str, Channel]
    segments: Mapping[str, Segment]  # in an order in which a segment stands after those it refers to
    journeys: Mapping[str, Journey]
    templates: Mapping[str, Template]
    version: str
    files: Mapping[str, str]
    sources: tuple[SourceRule, ...] = ()
    exclude: Condition | None = None  # of whom nothing is done
    caps: tuple[Cap, ...] = ()
    timers: Timers = Timers()
    zone_from: tuple[ZoneSource, ...] = ()
    promos: Mapping[str, Promo] = field(default_factory=dict)
    scoring: Scoring = Scoring((), "")
    predicting: Predicting = Predicting((), "")
    traits: Mapping[str, ComputedTrait] = field(default_factory=dict)
    winners: Mapping[str, str] = field(default_factory=dict)  # JOURNEY/STEP of a split -> its arm
