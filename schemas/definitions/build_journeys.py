"""Journeys as written to journeys as run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from schemas.definitions import durations
from schemas.definitions.build_conditions import ConditionBuilder
from schemas.definitions.build_entries import TriggerBuilder
from schemas.definitions.catching import caught_before, never_caught, shown, texts_of
from schemas.definitions.grammar import journeys as written
from schemas.definitions.grammar.base import DAYS, Findings, Part
from schemas.definitions.grammar.entries import EventTrigger
from schemas.definitions.hoisting import Hoist
from schemas.definitions.liquid_check import check_liquid
from schemas.definitions.model import (
    Arm,
    Branch,
    Call,
    ChangeList,
    Condition,
    Emit,
    Exit,
    Issue,
    Journey,
    Migration,
    Moment,
    Repeat,
    Segment,
    Send,
    Split,
    Start,
    Step,
    Task,
    UpdateTraits,
    Wait,
    WaitFor,
    root,
)
from schemas.definitions.names import JOURNEY_NAMES, Names, bindable, refer
from schemas.definitions.problems import nearest
from schemas.definitions.steps import all_steps, last_of
from schemas.definitions.yaml12 import Mark
from schemas.requests import RESERVED

_TIME = re.compile(r"\d{1,2}:\d\d")
_URL = re.compile(r"https?://[^\s/?#{}%@]+([/?#].*)?", re.IGNORECASE | re.DOTALL)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: what a call says itself, by its signature or its transport
_OWN_HEADERS = ("webhook-", "content-", "host", "idempotency-key", "connection", "transfer-encoding")
_NAMES_AT_RUN = JOURNEY_NAMES - {"item"}
_TOLD = "what became of a call or a task is an event, such as Service Call Failed or Task Answered"


@dataclass(frozen=True, slots=True)
class Use:
    """A template used by a send: by which channels it may go, the names its journey has, and those of them that nobody
    who comes to the send can have."""

    step: str
    template: str
    channels: tuple[str, ...]
    names: frozenset[str]
    file: str
    mark: Mark
    absent: frozenset[str] = frozenset()


@dataclass(slots=True)
class Built:
    """A journey, the hidden segments that answer its questions about history, and the templates it uses."""

    journey: Journey
    hidden: list[Segment] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)


class JourneyBuilder:
    """Builds the journey of one file."""

    def __init__(self, file: str, names: Names, findings: Findings) -> None:
        self._file = file
        self._names = names
        self._findings = findings
        self._ids: dict[str, Mark] = {}
        self._sending: set[str] = set()
        self._caught: frozenset[str] = frozenset()
        self._uses: list[Use] = []
        self._rounds = 1

    def build(self, name: str, part: written.JourneyFile) -> Built:
        """The journey; problems go to the findings."""
        self._goal_is_event = part.goal is not None and part.goal.event is not None
        self._caught = frozenset(self._catches(part))
        self._conditions = ConditionBuilder(name, self._names, self._findings, self._names_at_run)
        self._hoist = Hoist(name, self._file)
        self._triggers = TriggerBuilder(self._names, self._findings, self._names_at_run)
        if part.intent:
            check_liquid(part.intent, self._names_at_run | {"item"}, self._findings, part.at("intent"))
        elif part.intent_for is not None:
            self._findings.add(part.at("intent_for"), "intent_for belongs to an intent")
        journey = Journey(
            name=name,
            entries=self._triggers.entries(part.enter),
            steps=self._steps(part.steps, ""),
            exit=self._triggers.triggers(part.exit) if part.exit is not None else (),
            goal=self._triggers.goal(part.goal) if part.goal is not None else None,
            priority=part.priority,
            category=part.category,
            purpose=part.purpose,
            intent=part.intent,
            intent_for=part.intent_for,
            path=self._file,
            migrate=self._migration(part.migrate) if part.migrate is not None else None,
        )
        for asked, mark in self._triggers.asked:
            if refer("step", asked, self._ids, self._findings, mark) and asked not in self._sending:
                self._findings.add(mark, f"step {asked!r} sends no message, so no receipt comes of it", _TOLD)
        return Built(journey, self._hoist.segments, self._absent(journey))

    def _absent(self, journey: Journey) -> list[Use]:
        """The uses of templates with the names that are never there; problems of what steps say themselves."""
        absent = {id_: self._caught - caught.ever for id_, caught in caught_before(journey).items()}
        for step in (step for step in all_steps(journey.steps) if step.id in absent):
            for name in shown(texts_of(step), absent[step.id]):
                self._findings.add(self._ids[step.id], *never_caught(name))
        return [replace(use, absent=absent.get(use.step, frozenset())) for use in self._uses]

    def _migration(self, part: written.Migration) -> Migration:
        for step, target in part.steps.items():
            refer("step", target, self._ids, self._findings, part.at_step(step))
        return Migration(part.steps, part.others)

    @property
    def _names_at_run(self) -> frozenset[str]:
        return _NAMES_AT_RUN | self._caught

    def _catches(self, part: Part) -> list[str]:
        """Names given by `as:` anywhere in the journey."""
        found: list[str] = []
        caught = part.as_ if isinstance(part, EventTrigger | written.IssueOf) else None
        if caught is not None and bindable(caught, self._findings, part.at("as")):
            found.append(caught)
        for field_name in type(part).model_fields:
            value = getattr(part, field_name)
            inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            for item in inner:
                for one in item if isinstance(item, list) else [item]:
                    if isinstance(one, Part):
                        found += self._catches(one)
        return found

    # --- steps ---------------------------------------------------------------------------------------------------

    def _steps(self, parts: Sequence[written.Step], within: str) -> tuple[Step, ...]:
        steps = tuple(self._step(part, f"{within}{number}") for number, part in enumerate(parts, 1))
        last = last_of(steps)
        if last is not None and last + 1 < len(parts):
            self._findings.add(parts[last + 1].at(), "never reached: the step before it always ends the journey")
        return steps

    def _step(self, part: written.Step, path: str) -> Step:
        step_id = part.id or path
        if step_id in self._ids:
            mark = part.at("id")
            self._findings.add(mark, f"step id {step_id!r} stands here twice, first in line {self._ids[step_id].line}")
        self._ids.setdefault(step_id, part.at("id"))
        match part:
            case written.WaitStep():
                return self._wait(part, step_id)
            case written.WaitForStep():
                return self._wait_for(part, step_id, path)
            case written.BranchStep():
                return self._branch(part, step_id, path)
            case written.SendStep():
                self._sending.add(step_id)
                return self._send(part.send, step_id)
            case written.SplitStep():
                return self._split(part, step_id, path)
            case written.UpdateStep():
                return self._update(part, step_id)
            case written.EmitStep():
                return self._emit(part.emit, step_id)
            case written.AddToStep():
                return ChangeList(step_id, part.add_to, True)
            case written.RemoveFromStep():
                return ChangeList(step_id, part.remove_from, False)
            case written.IssueStep(issue=asked):
                refer("promo", asked.promo, self._names.promos, self._findings, asked.at("promo"))
                return Issue(step_id, asked.promo, asked.as_, asked.expires)
            case written.CallStep():
                return self._call(part, step_id)
            case written.TaskStep():
                return self._task(part, step_id)
            case written.StartStep():
                return self._start(part, step_id)
            case written.RepeatStep():
                return self._repeat(part.repeat, step_id, path)
            case written.ExitStep():
                return Exit(step_id, part.exit or "")
            case _:
                raise AssertionError(f"no such step: {part!r}")

    def _wait(self, part: written.WaitStep, step_id: str) -> Wait:
        wait = part.wait
        inside = None if isinstance(wait, int) else wait
        for key in ("late", "late_after"):
            if inside is not None and getattr(part, key) is not None and getattr(inside, key) is not None:
                self._findings.add(part.at(key), f"{key} stands here twice")
        told = [one for one in (part, inside) if one is not None]
        late = next((one.late for one in told if one.late is not None), None) or "now"
        late_after = next((one.late_after for one in told if one.late_after is not None), None)
        return replace(self._waiting(part, step_id), late=late, late_after=late_after)

    def _waiting(self, part: written.WaitStep, step_id: str) -> Wait:
        restart_on = tuple(part.restart_on or ())
        if isinstance(part.wait, int):
            return Wait(step_id, duration=part.wait, restart_on=restart_on)
        wait = part.wait
        if wait.until is None:
            if wait.days or wait.before is not None or wait.after is not None:
                self._findings.add(wait.at(), "days, before and after belong to until")
            return Wait(step_id, duration=wait.for_, restart_on=restart_on)
        days = frozenset(DAYS.index(day) for day in wait.days or ())
        offset = (wait.before or 0) - (wait.after or 0)
        if _TIME.fullmatch(wait.until):
            if offset:
                self._findings.add(wait.at(), "before and after belong to a date (traits.x or properties.x)")
            return Wait(step_id, until=self._time(wait.until, wait.at("until")), days=days, restart_on=restart_on)
        path = wait.until.removeprefix("person.").removeprefix("entry.")
        if path.split(".")[0] not in ("traits", "properties") or not all(path.split(".")[1:]) or "." not in path:
            self._findings.add(
                wait.at("until"),
                f"{wait.until!r} is neither a time of day nor a date",
                'write "09:00", traits.NAME or properties.NAME',
            )
        if days:
            self._findings.add(wait.at("days"), "days belong to a time of day")
        return Wait(step_id, until_path=path, before=offset, restart_on=restart_on)

    def _wait_for(self, part: written.WaitForStep, step_id: str, path: str) -> WaitFor:
        awaited = part.wait_for if isinstance(part.wait_for, list) else [part.wait_for]
        own = tuple(
            None if one.then is None else self._steps(one.then, f"{path}.{number}.")
            for number, one in enumerate(awaited, 1)
        )
        if part.then and awaited and None not in own:
            self._findings.add(part.at("then"), "never reached: all that is waited for has its own then")
        if part.on_timeout and part.timeout is None:
            self._findings.add(part.at("on_timeout"), "never reached: there is no timeout")
        return WaitFor(
            step_id,
            self._triggers.triggers(awaited),
            part.timeout,
            self._steps(part.then, f"{path}.then."),
            self._steps(part.on_timeout, f"{path}.on_timeout."),
            own if any(steps is not None for steps in own) else (),
        )

    def _time(self, text: str, mark: Mark) -> int:
        try:
            return durations.time_of_day(text)
        except ValueError as error:
            self._findings.add(mark, str(error))
            return 0

    def _branch(self, part: written.BranchStep, step_id: str, path: str) -> Branch:
        arms: list[Arm] = []
        asked: list[Condition] = []
        for number, arm in enumerate(part.branch, 1):
            if isinstance(arm, written.OtherwiseArm):
                if number < len(part.branch):
                    self._findings.add(arm.at("otherwise"), "otherwise comes last")
                arms.append(Arm(None, self._steps(arm.otherwise, f"{path}.otherwise.")))
            else:
                when = self._conditions.build(arm.when)
                if when in asked:
                    self._findings.add(arm.at("when"), "never reached: an arm before it asks the same")
                asked.append(when)
                condition = self._hoist.without_history(when, step_id, str(number))
                arms.append(Arm(condition, self._steps(arm.steps, f"{path}.{number}.")))
        if all(arm.when is None for arm in arms):
            self._findings.add(part.at("branch"), "a branch needs at least one arm with when")
        return Branch(step_id, tuple(arms))

    def _send(self, part: written.SendOver, step_id: str) -> Send:
        refer("template", part.template, self._names.templates, self._findings, part.at("template"))
        mark = part.at("channels") if part.has("channels") else part.at()
        sending = [name for name, channel in self._names.channels.items() if channel.kind == "send"]
        channels: tuple[str, ...] = ()
        choice = "order"
        if isinstance(part.channels, list):
            channels = tuple(dict.fromkeys(part.channels))
        elif part.channels in written.CHOICES:
            choice = part.channels
        elif part.channels in self._names.channels:
            channels = (part.channels,)
        else:
            allowed = {*written.CHOICES, *sending}
            self._findings.add(mark, f"there is no channel {part.channels!r}", nearest(part.channels, allowed))
        for channel in channels:
            if channel in self._names.channels and self._names.channels[channel].kind == "session":
                self._findings.add(mark, f"{channel!r} is a channel people visit, nothing can be sent over it")
            elif channel in self._names.channels and self._names.channels[channel].kind == "audience":
                self._findings.add(mark, f"{channel!r} is an audience, nothing can be sent over it", "sync a segment")
            elif isinstance(part.channels, list):
                refer("channel", channel, self._names.channels, self._findings, mark)
        used = channels or tuple(sending)
        names = self._names_at_run | {"item"}
        self._uses.append(Use(step_id, part.template, used, names, self._file, part.at("template")))
        cascade, moment = (part.until, part.within), self._moment(part)
        return Send(step_id, part.template, channels, choice, *cascade, part.quiet, moment)  # type: ignore[arg-type]

    def _moment(self, part: written.SendOver) -> Moment | None:
        if part.at_ is None:
            return None
        if part.at_ != written.BEST_HOUR:
            if _TIME.fullmatch(part.at_):
                return Moment(self._time(part.at_, part.at("at")))
            hint = nearest(part.at_, [written.BEST_HOUR])
            self._findings.add(part.at("at"), f"{part.at_!r} is no time of day", hint if hint else "")
            return None
        between = None
        if part.between is not None:
            try:
                between = durations.day_span(part.between)
            except ValueError as error:
                self._findings.add(part.at("between"), str(error))
        otherwise = None if part.otherwise is None else self._time(part.otherwise, part.at("otherwise"))
        return Moment(None, between, otherwise)

    def _split(self, part: written.SplitStep, step_id: str, path: str) -> Split:
        total = sum(part.split.values())
        if abs(total - 100) > 1e-6:
            self._findings.add(part.at("split"), f"the shares add up to {total:g}, 100 is expected")
        for name in part.split:
            if name in ("id", "split", "winner"):
                self._findings.add(part.at("split"), f"an arm can't be named {name!r}")
            elif name == "holdout" and part.arms.get(name):
                self._findings.add(part.at(name), "holdout gets nothing, so it has no steps")
            elif name != "holdout" and name not in part.arms:
                self._findings.add(part.at("split"), f"arm {name!r} has no steps", f"write {name}: [...] beside split")
        arms = ((name, share, part.arms.get(name, [])) for name, share in part.split.items())
        built = tuple((name, share, self._steps(s, f"{path}.{name}.")) for name, share, s in arms)
        if part.winner is None:
            return Split(step_id, built)
        if not self._goal_is_event:
            self._findings.add(part.at("winner"), "a winner needs a goal of the journey that is an event")
        if len(built) - ("holdout" in part.split) < 2:
            self._findings.add(part.at("winner"), "there is one arm only that could win")
        return Split(step_id, built, part.winner.after)

    def _update(self, part: written.UpdateStep, step_id: str) -> UpdateTraits:
        traits: dict[str, object] = {}
        for path, value in part.update.items():
            if not path.startswith("traits.") or not all(path.split(".")[1:]):
                self._findings.add(part.at("update"), f"{path!r} can't be set", f"write traits.{path}: ...")
            elif root(path.removeprefix("traits.")) in self._names.traits:
                self._findings.add(part.at("update"), f"{path!r} is worked out over events, it can't be set")
            if isinstance(value, str):
                check_liquid(value, self._names_at_run | {"item"}, self._findings, part.at("update"))
            traits[path.removeprefix("traits.")] = value
        return UpdateTraits(step_id, traits)

    def _emit(self, part: written.Emitted, step_id: str) -> Emit:
        if part.event in RESERVED:
            self._findings.add(part.at("event"), f"{part.event!r} is a name that Pathline uses itself")
        self._check_texts(part.properties, part.at("properties"))
        return Emit(step_id, part.event, part.properties)

    def _start(self, part: written.StartStep, step_id: str) -> Start:
        if isinstance(part.start, str):
            refer("journey", part.start, self._names.journeys, self._findings, part.at("start"))
            return Start(step_id, part.start)
        refer("journey", part.start.journey, self._names.journeys, self._findings, part.start.at("journey"))
        if part.start.properties is not None:
            self._check_texts(part.start.properties, part.start.at("properties"))
        return Start(step_id, part.start.journey, part.start.properties)

    def _call(self, part: written.CallStep, step_id: str) -> Call:
        if isinstance(part.call, str):
            url, headers, data, mark = part.call, {}, {}, part.at("call")
        else:
            url, headers, data, mark = part.call.url, part.call.headers, part.call.data, part.call.at("url")
            for name in headers:
                if not _HEADER.fullmatch(name):
                    self._findings.add(part.call.at("headers"), f"{name!r} is no name of a header")
                elif name.lower().startswith(_OWN_HEADERS):
                    self._findings.add(part.call.at("headers"), f"the header {name} is Pathline's own")
            self._check_texts(headers, part.call.at("headers"))
            self._check_texts(data, part.call.at("data"))
        if not _URL.fullmatch(url):
            # what people tell of themselves must not choose who is called
            self._findings.add(mark, f"{url!r} is no URL", "begin with https://HOST; {{ }} may stand behind the host")
        self._check_texts(url, mark)
        return Call(step_id, url, headers, data)

    def _task(self, part: written.TaskStep, step_id: str) -> Task:
        if isinstance(part.task, str):
            self._check_texts(part.task, part.at("task"))
            return Task(step_id, part.task, "", "", {})
        told = part.task
        for name in ("title", "text", "queue", "data"):
            self._check_texts(getattr(told, name), told.at(name))
        return Task(step_id, told.title, told.text, told.queue, told.data, told.due)

    def _repeat(self, part: written.Rounds, step_id: str, path: str) -> Repeat:
        around, self._rounds = self._rounds, self._rounds * part.times
        if around <= written.MOST_ROUNDS < self._rounds:
            message = f"{self._rounds} rounds with those around it, at most {written.MOST_ROUNDS} are allowed"
            self._findings.add(part.at("times"), message)
        steps = self._steps(part.steps, f"{path}.")
        self._rounds = around
        return Repeat(step_id, part.times, steps)

    def _check_texts(self, value: object, mark: Mark) -> None:
        """Whether the Liquid in JSON values can be rendered."""
        if isinstance(value, str):
            check_liquid(value, self._names_at_run | {"item"}, self._findings, mark)
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                self._check_texts(inner, mark)
