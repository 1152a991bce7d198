"""Journeys in words: what a step does, what its arms are called, what starts and ends a journey."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import orjson

from pathline.journeys.conditions import condition
from schemas.definitions.durations import spoken
from schemas.definitions.grammar.base import DAYS
from schemas.definitions.model import (
    Arm,
    Branch,
    Call,
    ChangeList,
    Emit,
    Entry,
    Exit,
    Issue,
    Journey,
    OnDate,
    Repeat,
    Requested,
    Schedule,
    Segment,
    Send,
    Split,
    Start,
    Step,
    Task,
    Trigger,
    UpdateTraits,
    Wait,
    WaitFor,
)


def told(step: Step) -> tuple[str, str]:
    """The kind of a step and, in a few words, what it does."""
    match step:
        case Wait():
            return "wait", _wait(step)
        case WaitFor(triggers=triggers, timeout=timeout):
            until = f", at most {spoken(timeout)}" if timeout is not None else ""
            return "wait for", " or ".join(map(trigger, triggers)) + until
        case Branch():
            return "branch", ""
        case Send():
            return "send", _send(step)
        case Split(arms=arms, winner_after=after):
            wins = f", the best after {after} people in each" if after is not None else ""
            return "split", ", ".join(f"{name} {share:g} %" for name, share, _ in arms) + wins
        case UpdateTraits(traits=traits):
            return "update", ", ".join(
                f"{name.removeprefix('traits.')}: {_value(value)}" for name, value in traits.items()
            )
        case Emit(event=event):
            return "emit", event
        case ChangeList(list=name, member=member):
            return ("add to" if member else "remove from"), f"list {name}"
        case Start(journey=journey):
            return "start", journey
        case Call(url=url):
            return "call", url
        case Task(title=title, queue=queue):
            return "task", title + (f", for {queue}" if queue else "")
        case Issue(promo=promo, expires=expires):
            return "issue", f"{promo}, for {spoken(expires)}" if expires is not None else promo
        case Repeat(times=times):
            return "repeat", f"{times} times"
        case Exit(reason=reason):
            return "exit", reason
        case _:
            assert_never(step)


def arms(step: Step, hidden: Mapping[str, Segment]) -> list[tuple[str, str, tuple[Step, ...]]]:
    """Label, what decisions call it, and steps of each arm; one that people pass by has no steps. `hidden` are the
    segments of the project."""
    match step:
        case WaitFor(triggers=triggers, then=then, on_timeout=on_timeout, own=own) if then or on_timeout or any(own):
            happened = [
                (trigger(one), "", steps) for one, steps in zip(triggers, own, strict=False) if steps is not None
            ]
            others = (
                [("in time" if not happened else "else in time", "", then)] if len(happened) < len(triggers) else []
            )
            return [*happened, *others, *([("too late", "", on_timeout)] if step.timeout is not None else [])]
        case Repeat(times=times, steps=steps):
            return [(f"{times} times", "", steps)]
        case Branch(arms=choices):
            found = [(_arm(arm, hidden), _called(number, arm), arm.steps) for number, arm in enumerate(choices, 1)]
            return found if choices[-1].when is None else [*found, ("none", "none", ())]
        case Split(arms=shares):
            return [(f"{name} {share:g} %", name, steps) for name, share, steps in shares]
        case _:
            return []


def entries(journey: Journey) -> list[str]:
    """What starts a journey."""
    return [_entry(entry) for entry in journey.entries]


def exits(journey: Journey) -> list[str]:
    """What ends it before its end."""
    return [trigger(found) for found in journey.exit]


def goal(journey: Journey) -> str:
    """What it is for, "" without a goal."""
    if journey.goal is None:
        return ""
    within = f" within {spoken(journey.goal.within)}" if journey.goal.within is not None else ""
    return trigger(journey.goal.trigger) + within


def trigger(found: Trigger) -> str:
    """An event or a segment change that is waited for."""
    if found.segment is not None:
        return f"{found.change} {found.segment}"
    if found.receipt:
        return f"{found.receipt} {found.of}".strip()
    where = f" where {found.where.source}" if found.where is not None else ""
    return " or ".join(found.events) + where


def entrance(entry: Entry) -> str:
    """What opens a way into a journey."""
    match entry.trigger:
        case Requested(where=where):
            return "a request of a program" + (f" where {where.source}" if where is not None else "")
        case Schedule(rule=rule, zone=zone, segment=segment):
            return f"{rule} of {segment}" + (f" in {zone}" if zone is not None else "")
        case OnDate(trait=trait, every=every, offset=offset, at=at):
            again = "" if every == "once" else f" every {spoken(every) if isinstance(every, int) else every}"
            shift = f"{spoken(abs(offset))} {'after' if offset > 0 else 'before'} " if offset else ""
            return f"{shift}the date {trait}{again}" + (f" at {at // 60:02}:{at % 60:02}" if at is not None else "")
        case Trigger():
            return trigger(entry.trigger)


def _entry(entry: Entry) -> str:
    what = entrance(entry)
    limits = ["once"] if entry.once else []
    limits += [f"at most every {spoken(entry.at_most_every)}"] if entry.at_most_every is not None else []
    limits += [f"one for each {entry.key}"] if entry.key is not None else []
    return ", ".join([what, *limits])


def _wait(step: Wait) -> str:
    if step.duration is not None:
        return spoken(step.duration)
    if step.until is not None:
        days = ", ".join(name for number, name in enumerate(DAYS) if number in step.days)
        return f"until {step.until // 60:02}:{step.until % 60:02}" + (f" on {days}" if days else "")
    offset = f"{spoken(abs(step.before))} {'before' if step.before > 0 else 'after'} " if step.before else ""
    return f"until {offset}{step.until_path}"


def _send(step: Send) -> str:
    by = "the " + step.choice if step.choice in ("cheapest", "best") else step.choice
    over = ", then ".join(step.channels) if step.choice == "order" else f"{by} channel" + ("s" if by == "all" else "")
    cascade = f", on if not {step.until} in {spoken(step.within)}" if step.until and step.within is not None else ""
    return f"{step.template} by {over}{cascade}"


def _value(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _called(number: int, arm: Arm) -> str:
    return "otherwise" if arm.when is None else str(number)


def _arm(arm: Arm, hidden: Mapping[str, Segment]) -> str:
    return "otherwise" if arm.when is None else condition(arm.when, hidden)
