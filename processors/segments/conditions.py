"""Whether a condition holds of a person, until when that can't change by time alone, and why, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from processors.segments.affinity import coming, ranked
from processors.segments.gauges import Gauge, end
from processors.segments.marks import lasting, span, tally, within
from processors.segments.measures import amount
from processors.segments.predicting import changing, predicted, told
from processors.segments.sequences import standing
from processors.segments.view import View
from schemas import traits
from schemas.consent import allowed
from schemas.definitions.durations import spoken
from schemas.definitions.expressions import iso
from schemas.definitions.model import (
    All,
    AnyOf,
    Condition,
    Did,
    HasConsent,
    InList,
    InOrder,
    InSegment,
    LocalTime,
    Measured,
    Not,
    Percent,
    Predicts,
    Prefers,
    Reachable,
    TraitIs,
    Window,
)
from schemas.localtime import Span, span_of_day, time_text


class Answer(NamedTuple):
    """`until` is the first instant at which the answer may differ without an event; None when it can't."""

    holds: bool
    until: int | None = None


def answer(condition: Condition, view: View, member: Mapping[str, int], now: int) -> Answer:
    """Whether a condition holds at `now`; `member` are the segments the person is in at that instant."""
    return _ANSWERS[type(condition)](condition, view, member, now)


def explain(condition: Condition, view: View, member: Mapping[str, int], now: int) -> str:
    """Why a condition holds or does not, in words: the parts that decide it."""
    match condition:
        case All(of) | AnyOf(of):
            parts = [(part, answer(part, view, member, now).holds) for part in of]
            # all parts together make `all` true and `any` false; one alone decides the opposite
            held = [holds for _, holds in parts]
            together = all(held) if isinstance(condition, All) else not any(held)
            decisive = [part for part, holds in parts if together or holds == isinstance(condition, AnyOf)]
            # of one trait several operators say the same, and one that asks for how long says it all
            said = dict.fromkeys(explain(part, view, member, now) for part in decisive[: None if together else 1])
            return " and ".join(one for one in said if not any(more.startswith(f"{one} since ") for more in said))
        case Not(of):
            return explain(of, view, member, now)
        case Did(events, where):
            count, _, _ = tally(view.spans(condition, now), condition, now)
            matching = f" where {where.source}" if where is not None else ""
            return f"{' or '.join(events)}{matching}: {count} {_window(condition.window)}".rstrip()
        case Measured(measure):
            value, _ = view.compute(measure, now)
            about = "" if measure.of is None else f"{measure.of} of "
            matching = "" if measure.where is None else f" where {measure.where.source}"
            shown = "nothing" if value is None else str(value)[:100]
            function = measure.function.replace("_", " ")
            names = " or ".join(measure.events)
            return f"{function} {about}{names}{matching}: {shown} {_window(measure.window)}".rstrip()
        case InOrder(steps, window):
            happened = "yes" if answer(condition, view, member, now).holds else "no"
            named = ", then ".join(" or ".join(step.events) for step in steps)
            return f"{named}{f' {_window(window)}'.rstrip()}: {happened}"
        case InSegment(name):
            return f"in {name}" if name in member else f"not in {name}"
        case InList(name):
            return f"{'in' if name in view.lists else 'not in'} list {name}"
        case TraitIs(trait, op, _):
            value = view.trait(trait)
            since = view.held_since(trait) if op == "held_for" else None
            unchanged = "" if since is None else f" since {iso(since)}"
            return f"no trait {trait}" if value is None else f"{trait} is {str(value)[:100]}{unchanged}"
        case HasConsent(channel, purpose):
            return f"consent: {_consented(view, channel, purpose)[1]}"
        case Reachable(channel):
            known = len(view.reached_by(channel))
            return f"{known} address{'' if known == 1 else 'es'} for {channel}"
        case Prefers():
            return f"prefers {', then '.join(ranked(view.engagements, now)) or 'no channel'}"
        case Predicts(asked):
            value = told(asked, predicted(asked, view.orders(asked, now)[0], now))
            ahead = "ever" if asked.ahead is None else f"within {spoken(asked.ahead)}"
            return f"{asked.what} {ahead}: {'unknown' if value is None else value}"
        case LocalTime():
            return f"{time_text(now, view.clock)} in {view.clock.key}"
        case Percent(_, _, of):
            return f"{view.lot(of):.2f} % of {of}"
    raise ValueError(f"{type(condition).__name__} can't stand in a segment")


def _answer_all(one: All, view: View, member: Mapping[str, int], now: int) -> Answer:
    return _all([answer(part, view, member, now) for part in one.of])


def _answer_any(one: AnyOf, view: View, member: Mapping[str, int], now: int) -> Answer:
    return _any([answer(part, view, member, now) for part in one.of])


def _answer_not(one: Not, view: View, member: Mapping[str, int], now: int) -> Answer:
    return _opposite(answer(one.of, view, member, now))


def _answer_did(one: Did, view: View, member: Mapping[str, int], now: int) -> Answer:
    if view.plan.rules.keys().isdisjoint(one.events) and (found := lasting(view.marks(one), one, now)) is not None:
        return Answer(*found)
    _, holds, until = tally(view.spans(one, now), one, now)
    return Answer(holds, until)


def _answer_in_order(one: InOrder, view: View, member: Mapping[str, int], now: int) -> Answer:
    return _any([Answer(*standing(one, taken, now)) for taken in view.taken(one).values()])


def _answer_measured(one: Measured, view: View, member: Mapping[str, int], now: int) -> Answer:
    """Of nothing nothing holds, but that a sum or a number of values is 0."""
    measure = one.measure
    if measure.function in ("first", "last"):
        return _answer_end(one, view, now)

    def meets(total: Gauge) -> bool:
        return total.value is not None and all(traits.compare(op, total.value, wanted) for op, wanted in one.tests)

    return Answer(*amount(measure, view.live(measure), now, meets))


def _answer_end(one: Measured, view: View, now: int) -> Answer:
    """Of the first or last: its date is as asked now, and its value meets the tests."""
    (at, value), until = amount(one.measure, view.live(one.measure), now, end)
    if at is None or not within(one.when, at):
        return Answer(False, until)
    asked = [Answer(traits.compare(op, value, wanted)) for op, wanted in one.tests if op not in traits.DATED]
    dates = [(op, wanted) for op, wanted in one.tests if op in traits.DATED]
    asked += [_during(traits.span(op, at, wanted, view.clock, now), now) for op, wanted in dates]
    found = _all([*asked, _during(span(one.when, at), now)])
    return Answer(found.holds, min((i for i in (until, found.until) if i is not None), default=None))


def _answer_in(one: InSegment, view: View, member: Mapping[str, int], now: int) -> Answer:
    return Answer(one.segment in member)


def _answer_list(one: InList, view: View, member: Mapping[str, int], now: int) -> Answer:
    return Answer(one.list in view.lists)


def _answer_trait(one: TraitIs, view: View, member: Mapping[str, int], now: int) -> Answer:
    if one.op == "held_for":
        since = view.held_since(one.trait)
        return _during(None if since is None else (since + one.value, None), now)
    actual = view.trait(one.trait)
    if one.op in traits.DATED:
        return _during(traits.span(one.op, actual, one.value, view.clock, now), now)
    return Answer(traits.compare(one.op, actual, one.value))


def _answer_consent(one: HasConsent, view: View, member: Mapping[str, int], now: int) -> Answer:
    return Answer(_consented(view, one.channel, one.purpose)[0])


def _answer_reachable(one: Reachable, view: View, member: Mapping[str, int], now: int) -> Answer:
    return Answer(bool(view.reached_by(one.channel)))


def _answer_time(one: LocalTime, view: View, member: Mapping[str, int], now: int) -> Answer:
    return _during(span_of_day(now, one.first, one.end, one.days, view.clock), now)


def _answer_percent(one: Percent, view: View, member: Mapping[str, int], now: int) -> Answer:
    return Answer(one.low <= view.lot(one.of) < one.high)


def _answer_prefers(one: Prefers, view: View, member: Mapping[str, int], now: int) -> Answer:
    return Answer(ranked(view.engagements, now)[:1] == [one.channel], coming(view.engagements, now))


def _answer_predicts(one: Predicts, view: View, member: Mapping[str, int], now: int) -> Answer:
    """What is unknown is neither likely nor unlikely."""
    asked = one.prediction
    bought, until = view.orders(asked, now)
    value, instants = predicted(asked, bought, now), [until]
    for op, wanted in one.tests if value is not None else ():
        instants.append(changing(asked, bought, now, lambda value: traits.compare(op, value, wanted)))  # noqa: B023
    holds = value is not None and all(traits.compare(op, value, wanted) for op, wanted in one.tests)
    return Answer(holds, min((instant for instant in instants if instant is not None), default=None))


#: how each kind of condition is answered; `plan.prepare` lets no other kind into a segment
_ANSWERS: dict[type, Callable[[Any, View, Mapping[str, int], int], Answer]] = {
    All: _answer_all,
    AnyOf: _answer_any,
    Not: _answer_not,
    Did: _answer_did,
    InOrder: _answer_in_order,
    Measured: _answer_measured,
    InSegment: _answer_in,
    InList: _answer_list,
    TraitIs: _answer_trait,
    HasConsent: _answer_consent,
    Reachable: _answer_reachable,
    Prefers: _answer_prefers,
    Predicts: _answer_predicts,
    LocalTime: _answer_time,
    Percent: _answer_percent,
}


def _all(answers: Iterable[Answer]) -> Answer:
    """All of these. While some are false, it stays false until the last of them may have turned."""
    listed = list(answers)
    false = [one.until for one in listed if not one.holds]
    if not false:
        return Answer(True, min((one.until for one in listed if one.until is not None), default=None))
    return Answer(False, None if None in false else max(until for until in false if until is not None))


def _any(answers: Iterable[Answer]) -> Answer:
    return _opposite(_all([_opposite(one) for one in answers]))


def _opposite(one: Answer) -> Answer:
    return Answer(not one.holds, one.until)


def _during(span: Span | None, now: int) -> Answer:
    if span is None:
        return Answer(False)
    start, end = span
    if now < start:
        return Answer(False, start)
    return Answer(end is None or now < end, end if end is not None and now < end else None)


def _consented(view: View, channel: str, purpose: str) -> tuple[bool, str]:
    """By any of the addresses; by the person's own choice when none is known."""
    known = view.plan.channels.get(channel)
    policy = known.consent if known is not None else "opt_in"
    answers = [allowed(view.consents, policy, channel, purpose, a) for a in view.reached_by(channel) or [""]]
    return next((one for one in answers if one[0]), answers[0])


def _window(window: Window) -> str:
    """A window in words, nothing for ever."""
    if window.since is not None or window.until is not None:
        since = f"from {iso(window.since)}" if window.since is not None else ""
        until = f"until {iso(window.until)}" if window.until is not None else ""
        return f"{since} {until}".strip()
    if window.far is None:
        return f"earlier than {spoken(window.near)} ago" if window.near else ""
    if window.near:
        return f"between {spoken(window.far)} and {spoken(window.near)} ago"
    return f"within {spoken(window.far)}"
