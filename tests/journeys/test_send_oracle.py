"""Which messages go out when, against a slow and obvious reckoning: caps, quiet hours, priorities, one instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.journeys.lab import START, Lab, at

MINUTE = 60_000
CHANNELS = ("email", "sms")


class Journey(NamedTuple):
    priority: int
    wait: int  # minutes
    channel: str
    marketing: bool


class Rules(NamedTuple):
    """Caps are (at most, minutes); minutes 0 are a day of the calendar."""

    caps: dict[str, list[tuple[int, int]]]
    total: list[tuple[int, int]]
    quiet: dict[str, tuple[int, int] | None]


caps = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 30, 60, 240, 1_440])), max_size=2)
quiets = st.none() | st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda span: span[0] != span[1])
journeys = st.builds(
    Journey,
    st.integers(0, 3),
    st.sampled_from([0, 0, 10, 60]),
    st.sampled_from(CHANNELS),
    st.sampled_from([True] * 4 + [False]),
)
rules = st.builds(
    Rules,
    st.fixed_dictionaries(dict.fromkeys(CHANNELS, caps)),
    caps,
    st.fixed_dictionaries(dict.fromkeys(CHANNELS, quiets)),
)
#: (which journey, minutes since the event before)
happened = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 5, 10, 30, 300])), max_size=14)


def reckoned(made: list[Journey], by: Rules, entries: list[tuple[int, int]]) -> list[tuple[int, str]]:
    """(minute, journey) of each message: all attempts in order, each looked at with all messages before it."""
    attempts = [(minute + made[number].wait, number) for number, minute in entries]
    sent: list[tuple[int, int]] = []
    while attempts:
        minute, number = min(attempts, key=lambda one: (one[0], -made[one[1]].priority, one[1]))
        attempts.remove((minute, number))
        journey = made[number]
        if not journey.marketing:
            sent.append((minute, number))
            continue
        counting = [(m, made[n].channel) for m, n in sent if made[n].marketing]
        same = [m for m, channel in counting if channel == journey.channel]
        if full(by.caps[journey.channel], same, minute) or full(by.total, [m for m, _ in counting], minute):
            continue
        end = end_of_quiet(by.quiet[journey.channel], minute)
        if end is None:
            sent.append((minute, number))
        else:
            attempts.append((end, number))
    return sorted((minute, f"j{number}") for minute, number in sent)


def full(caps: list[tuple[int, int]], sent: list[int], minute: int) -> bool:
    return any(
        sum(1 for m in sent if (minute - m < per if per else clock(m).date() == clock(minute).date())) >= most
        for most, per in caps
    )


def end_of_quiet(span: tuple[int, int] | None, minute: int) -> int | None:
    """The first minute from this one on outside the span, None if this one is."""
    end = minute
    while span is not None and within(span, clock(end).hour):
        end += 1
    return None if end == minute else end


def within(span: tuple[int, int], hour: int) -> bool:
    first, end = span
    return first <= hour < end if first < end else hour >= first or hour < end


def clock(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def written(caps: list[tuple[int, int]]) -> str:
    return ", ".join(f"{{at_most: {most}, per: {f'{per}m' if per else 'calendar_day'}}}" for most, per in caps)


@settings(max_examples=150)
@given(st.lists(journeys, min_size=4, max_size=4), rules, happened)
def test_messages_against_a_slow_reckoning(made: list[Journey], by: Rules, events: list[tuple[int, int]]) -> None:
    lab = Lab()
    lab.file("project.yaml", f"name: shop\ncaps: [{written(by.total)}]\n")
    channels = []
    for name in CHANNELS:
        span = by.quiet[name]
        quiet = f', quiet: "{span[0]:02}:00-{span[1]:02}:00"' if span else ""
        channels.append(f"{name}: {{connector: x, caps: [{written(by.caps[name])}]{quiet}}}")
    lab.file("channels.yaml", "\n".join(channels) + "\n")
    for number, journey in enumerate(made):
        wait = f"  - wait: {journey.wait}m\n" if journey.wait else ""
        lab.journey(
            f"j{number}",
            f"priority: {journey.priority}\ncategory: {'marketing' if journey.marketing else 'transactional'}\n"
            f"enter: {{event: E{number}, on_repeat: parallel}}\nsteps:\n{wait}"
            f"  - send: {{template: hello, channels: [{journey.channel}]}}\n",
        )
    lab.customer()
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    entries, minute = [], 0
    for number, gap in events:
        minute += gap
        entries.append((number, minute))
        lab.event(f"E{number}", at(minutes=minute))
    lab.until(at(days=9))
    found = sorted(((s.at - at()) // MINUTE, s.journey) for s in lab.sends())
    assert found == reckoned(made, by, entries)
