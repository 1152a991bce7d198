"""What users of other products complain about, and what happens here instead.

Issues are those of the trackers. Crashes in the middle are in `test_kill` and the fault campaigns, merges in the
middle in `test_moving`, downtime in `test_late`, caps and priorities in `test_caps` and `test_instants`, pauses in
`test_pausing`, changes of a journey in `test_versions` and `test_migrating`.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas import reasons
from schemas.definitions import parse
from schemas.journey_states import PAUSED, RUNNING
from tests.journeys.lab import SEND, Lab, at
from tests.line import project as whole
from tests.line.project import granted, identify, track

CART = "enter: {event: Go}\nexit: [{event: Stop}]\nsteps:\n  - wait: 1h\n" + SEND


def crowd(lab: Lab, people: int, name: str = "Go") -> None:
    for n in range(people):
        lab.customer(who := f"user_id:p{n}")
        lab.event(name, at(), who)


# --- stuck ------------------------------------------------------------------------------------------------------------


def test_a_message_that_fails_for_one_person_stops_neither_others_nor_the_journey(lab: Lab) -> None:
    """Sends stuck after 99,000 of 350,000; a failed send stalls the journey (parcelvoy 533, 627, 432, 434)."""
    lab.file("templates/name.yaml", "subject: Hi {{ person.traits.name }}\nbody: x\n")
    lab.journey("j", CART.replace("hello", "name") + "  - wait: 1h\n" + SEND)
    for n in range(300):
        lab.customer(who := f"user_id:p{n}", **({} if n % 7 == 0 else {"name": "Ann"}))
        lab.event("Go", at(), who)
    lab.until(at(days=1))
    sent = Counter(s.template for s in lab.sends())
    assert sent == {"name": 257, "hello": 300}
    assert lab.reasons().count("template error") == 43
    assert lab.reasons().count(reasons.FINISHED) == 300


def test_a_record_that_can_not_be_used_stops_nobody(lab: Lab) -> None:
    """One failed item stalls all behind it (parcelvoy 432, 434)."""
    lab.journey("j", CART)
    crowd(lab, 5)
    lab.line.publish("updates", "x", b"garbage")
    lab.until(at(days=1))
    assert len(lab.sends()) == 5
    assert len(lab.line.outputs["dead-letters"]) == 1


def test_a_date_that_is_past_or_none_leaves_nobody_waiting_for_ever(lab: Lab) -> None:
    """A delay whose time is past fails the step (novu)."""
    lab.journey("j", "enter: {event: Go}\nsteps:\n  - wait: {until: properties.day}\n" + SEND)
    lab.customer()
    for number, day in enumerate(("1999-01-01", "soon", None, {}, "9999-99-99")):
        lab.event("Go", at(hours=number), properties={"day": day})
    assert lab.sent() == [at(hours=n) for n in range(5)]


# --- doubled ----------------------------------------------------------------------------------------------------------


def test_a_person_that_enters_again_has_one_schedule(lab: Lab) -> None:
    """Entering again leaves two schedules (mautic 9797, 7881, 4575)."""
    lab.journey("j", CART.replace("event: Go", "event: Go, on_repeat: restart"))
    lab.customer()
    for minutes in (0, 20, 40):
        lab.event("Go", at(minutes=minutes))
    lab.until(at(days=3))
    assert lab.sent() == [at(minutes=100)]
    assert [d.detail for d in lab.decisions() if d.reason == "exited"] == ["restarted by event Go"] * 2


def test_a_wait_that_is_reset_time_and_again_fires_once(lab: Lab) -> None:
    """Each reset leaves a schedule of its own (mautic 9797)."""
    lab.journey("j", CART.replace("wait: 1h", "wait: 1h\n    restart_on: [Again]"))
    lab.customer()
    lab.event("Go", at())
    for minutes in range(10, 200, 10):
        lab.event("Again", at(minutes=minutes))
    lab.until(at(days=3))
    assert lab.sent() == [at(minutes=250)]


@pytest.mark.parametrize("gap", [0, 1, 999])
def test_triggers_at_the_same_moment_make_one_message(lab: Lab, gap: int) -> None:
    """Concurrent triggers of a digest make two (novu 2569, 1633)."""
    lab.journey("j", CART)
    lab.customer()
    lab.event("Go", at())
    lab.event("Go", at() + gap)
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]


def test_the_same_event_delivered_twice_enters_once(tmp_path: Path) -> None:
    """A trigger that is delivered twice sends twice (parcelvoy 257, mautic 11763, 13070)."""
    lab = whole.Lab(tmp_path)
    lab.journey(
        "j", "enter: {event: Go, on_repeat: parallel}\nsteps:\n  - send: {template: hello, channels: [email]}\n"
    )
    customer = identify(whole.at(days=-1), traits={"email": "u1@example.com"}, context=granted("email"))
    go = track("Go", whole.at())
    done = lab.simulate([customer, go, go, {**go, "timestamp": whole.at(hours=3)}], whole.at(days=1))
    assert len(done.sends) == 1


def test_what_a_run_sends_another_run_sends_under_the_same_ids() -> None:
    """After a crash the provider sees the same idempotency key (a rejected batch is sent again, mautic 7226)."""

    def run() -> list[str]:
        lab = Lab()
        lab.journey("j", CART + "  - wait: 1h\n" + SEND)
        crowd(lab, 20)
        lab.until(at(days=1))
        return [s.send_id for s in lab.sends()]

    first = run()
    assert len(set(first)) == 40
    assert first == run()


# --- hot loops --------------------------------------------------------------------------------------------------------


def test_what_is_capped_is_decided_once_and_not_tried_for_ever(lab: Lab) -> None:
    """A capped message is put off for ever (mautic 7057)."""
    lab.file("channels.yaml", "email: {connector: smtp, consent: opt_in, caps: [{at_most: 1, per: 30d}]}\n")
    lab.journey("j", "enter: {event: Go}\nsteps:\n" + SEND + SEND)
    lab.customer()
    lab.event("Go", at())
    assert lab.line.next_wake() is None
    assert lab.reasons() == ["entered", "sent", "capped", "finished"]


def test_a_bounced_address_is_not_tried_again(lab: Lab) -> None:
    """Tried again at every run after a bounce (mautic 4356)."""
    lab.journey("j", "enter: {event: Go}\nsteps:\n" + SEND + "  - wait: 1h\n" + SEND + "  - wait: 1h\n" + SEND)
    lab.customer()
    lab.event("Go", at())
    lab.profiles["user_id:u1"]["suppressed"] = {"u1@example.com": "all"}
    lab.event("Email Bounced", at(minutes=1))
    lab.until(at(days=1))
    assert lab.sent() == [at()]
    assert lab.reasons().count("suppressed") == 2


# --- caps and priorities ----------------------------------------------------------------------------------------------

CAPPED = 'email: {connector: smtp, consent: opt_in, quiet: "11:00-15:00", caps: [{at_most: 1, per: 1d}]}\n'


@pytest.mark.parametrize("first", ["low", "high"])
def test_the_place_under_a_cap_is_the_more_important_messages_whichever_came_first(lab: Lab, first: str) -> None:
    """Which message a cap lets through can't be controlled (Customer.io): whichever comes first."""
    lab.file("channels.yaml", CAPPED)
    for name, priority in (("low", 10), ("high", 90)):
        lab.journey(name, f"priority: {priority}\nenter: {{event: {name}}}\nsteps:\n{SEND}")
    lab.customer()
    for minutes, name in enumerate((first, {"low": "high", "high": "low"}[first])):
        lab.event(name, at(minutes=minutes))
    lab.until(at(days=2))
    assert [(s.journey, s.at) for s in lab.sends()] == [("high", at(hours=3))]
    assert lab.reasons("low").count("capped") == 1


def test_what_piled_up_in_quiet_hours_is_one_message_a_person_under_a_cap(lab: Lab) -> None:
    """All that waited comes at once when quiet hours end, caps or not."""
    lab.file("channels.yaml", CAPPED)
    lab.journey("j", "enter: {event: Go, on_repeat: parallel}\nsteps:\n" + SEND)
    for minutes in range(5):
        for n in range(20):
            if not minutes:
                lab.customer(f"user_id:p{n}")
            lab.event("Go", at(minutes=minutes), f"user_id:p{n}")
    lab.until(at(days=3))
    assert Counter(s.to for s in lab.sends()) == {f"p{n}@example.com": 1 for n in range(20)}
    assert lab.reasons().count("capped") == 80


# --- pauses and changes -----------------------------------------------------------------------------------------------


def test_whose_time_passes_while_a_journey_is_stopped_gets_the_message_once_it_goes_on(lab: Lab) -> None:
    """A stopped canvas drops those whose time passes (Braze); a paused journey throws people out (Dittofeed)."""
    lab.journey("j", CART)
    crowd(lab, 20)
    lab.steer("j", PAUSED, at(minutes=30))
    lab.until(at(days=1))
    assert not lab.sends()
    lab.steer("j", RUNNING, at(days=1))
    lab.until(at(days=2))
    assert Counter(s.to for s in lab.sends()) == {f"p{n}@example.com": 1 for n in range(20)}


@pytest.mark.parametrize("changed", ["a shorter wait", "the step is gone"])
def test_a_change_leaves_those_who_wait_their_wait_and_their_message(lab: Lab, changed: str) -> None:
    """Nobody knows what editing does to those who wait; whose step is deleted is stuck."""
    lab.journey("j", CART)
    lab.customer()
    lab.marker(parse(lab.files).version, at(days=-1))
    lab.event("Go", at())
    edited = CART.replace("1h", "5m") if changed == "a shorter wait" else CART.replace("  - wait: 1h\n", "")
    project = parse({**lab.files, "journeys/j.yaml": f"name: j\n{edited}"})
    lab.source.publish(project)
    lab.marker(project.version, at(minutes=1))
    lab.until(at(days=2))
    assert lab.sent() == [at(hours=1)]


# --- entering again ---------------------------------------------------------------------------------------------------


def test_every_entry_that_does_not_happen_says_why(lab: Lab) -> None:
    """Nobody knows why somebody did not enter again (a whole FAQ of Dittofeed's)."""
    lab.journey("busy", CART)
    lab.journey("once", "enter: {event: Go, once: true}\nsteps:\n" + SEND)
    lab.journey("rarely", "enter: {event: Go, at_most_every: 7d}\nsteps:\n" + SEND)
    lab.customer()
    lab.event("Go", at())
    lab.event("Go", at(minutes=30))
    told = {d.journey: d.detail for d in lab.decisions() if d.reason == "not entered"}
    assert told == {
        "busy": "already inside",
        "once": "was inside once",
        "rarely": "last entered 30m ago, at most every 7d",
    }


def test_who_leaves_a_segment_and_comes_back_enters_again_and_once(lab: Lab) -> None:
    """Who comes back does not enter again, or does so several times (mautic 7881, 4575)."""
    lab.journey("j", "enter: {segment: vip}\nexit: [{left: vip}]\nsteps:\n  - wait: 1h\n" + SEND)
    lab.customer()
    for change, hours in (("entered", 0), ("left", 0.5), ("entered", 2), ("left", 5), ("entered", 6)):
        lab.event("Other", at(hours=hours), changes=[("vip", change)])
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=3), at(hours=7)]


@pytest.mark.parametrize("cause", ["backfill", "definition"])
def test_a_segment_that_is_built_anew_loses_no_schedule(lab: Lab, cause: str) -> None:
    """Scheduled messages are lost when membership is built anew (mautic 150)."""
    lab.journey("j", "enter: {segment: vip}\nsteps:\n  - wait: 1h\n" + SEND)
    lab.customer()
    lab.event("Other", at(), changes=[("vip", "entered")])
    lab.change("vip", "left", at(minutes=10), cause=cause, kind="backfill")
    lab.change("vip", "entered", at(minutes=10), cause=cause, kind="backfill")
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]


def test_a_person_created_and_targeted_at_once_gets_the_message(tmp_path: Path) -> None:
    """Somebody created and targeted at once gets nothing; the advice is to wait five minutes (Braze)."""
    lab = whole.Lab(tmp_path)
    lab.segment("new", "{trait: plan, equals: trial}")
    lab.journey("j", "enter: {segment: new}\nsteps:\n  - send: {template: hello, channels: [email]}\n")
    traits = {"email": "u1@example.com", "plan": "trial"}
    done = lab.simulate([identify(whole.at(), traits=traits, context=granted("email"))], whole.at(days=1))
    assert [(s["at"], s["to"]) for s in done.sends] == [(whole.at(), "u1@example.com")]


# --- exits ------------------------------------------------------------------------------------------------------------

WAITING = {
    "a wait": "  - wait: 10h\n" + SEND,
    "a wait for an event": "  - wait_for: {event: Seen}\n    timeout: 10h\n" + SEND,
    "quiet hours": "  - send: {template: hello, channels: [sms]}\n",
    "a cascade": "  - send: {template: hello, channels: [push, email], until: opened, within: 10h}\n",
}


@pytest.mark.parametrize("inside", WAITING)
@pytest.mark.parametrize("how", ["event", "segment"])
def test_an_exit_is_at_once_wherever_somebody_waits(lab: Lab, inside: str, how: str) -> None:
    """Who should leave leaves only at the end of the delay, or not at all (Braze, and many)."""
    lab.file(
        "channels.yaml",
        """
        email: {connector: smtp}
        sms: {connector: smpp, quiet: "11:00-20:00"}
        push: {connector: webpush, identifiers: [email]}
        """,
    )
    exit_ = "{event: Stop}" if how == "event" else "{left: vip}"
    lab.journey("j", f"enter: {{event: Go}}\nexit: [{exit_}]\nsteps:\n{WAITING[inside]}")
    lab.customer()
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("Go", at(), changes=[("vip", "entered")])
    before = len(lab.sends())
    if how == "event":
        lab.event("Stop", at(hours=5))
    else:
        lab.change("vip", "left", at(hours=5))
    assert [(d.at, d.reason) for d in lab.decisions()][-1] == (at(hours=5), "exited")
    lab.until(at(days=3))
    assert len(lab.sends()) == before


def test_the_receipt_that_ends_a_cascade_counts_while_the_next_channel_is_quiet(lab: Lab) -> None:
    """What was answered is said once more in the next channel: a stop that is not heard during a delay."""
    lab.file("channels.yaml", 'email: {connector: smtp}\nsms: {connector: smpp, quiet: "13:00-20:00"}\n')
    lab.journey(
        "j",
        "enter: {event: Go}\nsteps:\n  - send: {template: hello, channels: [email, sms], until: opened, within: 2h}\n",
    )
    lab.customer()
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("Go", at())
    lab.event("Email Opened", at(hours=4))
    lab.until(at(days=1))
    assert [s.channel for s in lab.sends()] == ["email"]


def test_a_receipt_that_names_its_send_ends_a_long_cascade_whatever_was_sent_since(lab: Lab) -> None:
    both = "send: {template: hello, channels: [email, sms], until: opened, within: 20d}"
    lab.journey("long", f"enter: {{event: Go}}\nsteps:\n  - {both}\n")
    lab.journey("other", "enter: {event: Other}\nsteps:\n" + SEND)
    lab.customer(consent=("email", "sms"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("Go", at())
    first = lab.sends()[0].send_id
    for day in range(4, 16, 4):
        lab.event("Other", at(days=day))
    lab.event("Email Opened", at(days=18), send_id=first)
    lab.until(at(days=30))
    assert {s.channel for s in lab.sends()} == {"email"}


# --- bursts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["quiet hours", "downtime"])
def test_what_waited_does_not_go_out_in_one_burst(lab: Lab, why: str) -> None:
    """Bursts when quiet hours end, or when the system comes back."""
    rule = '{hours: "11:00-16:00", spread: 10m}' if why == "quiet hours" else '"01:00-02:00"'
    lab.file("project.yaml", "name: shop\ntimers: {per_second: 1}\n")
    lab.file("channels.yaml", f"email: {{connector: smtp, consent: opt_in, quiet: {rule}}}\n")
    lab.journey("j", CART)
    crowd(lab, 500)
    if why == "downtime":
        lab.clock.at = at(hours=4)
    lab.until(at(days=1))
    a_minute = Counter((s.at - at(hours=4)) // 60_000 for s in lab.sends())
    assert sum(a_minute.values()) == 500
    assert max(a_minute.values()) <= 75


# --- clocks -----------------------------------------------------------------------------------------------------------


def instant(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("zone", "now", "until", "goes_at"),
    [
        # Monday in Auckland is Sunday in UTC (the weekday is looked at in UTC, Dittofeed)
        ("Pacific/Auckland", (2026, 3, 15, 10), '{until: "09:00", days: [mon]}', (2026, 3, 15, 20)),
        ("America/Los_Angeles", (2026, 3, 17, 1), '{until: "20:00", days: [mon]}', (2026, 3, 17, 3)),
        # over the change of the clocks the time of day stays (the offset of now is taken, Dittofeed)
        ("Europe/Kyiv", (2026, 3, 28, 12), '{until: "09:00"}', (2026, 3, 29, 6)),
        ("Europe/Kyiv", (2026, 10, 24, 12), '{until: "09:00"}', (2026, 10, 25, 7)),
        # skipped: the moment the gap ends; there twice: the first
        ("Europe/Kyiv", (2026, 3, 28, 12), '{until: "03:30"}', (2026, 3, 29, 1)),
        ("Europe/Kyiv", (2026, 10, 24, 12), '{until: "03:30"}', (2026, 10, 25, 0, 30)),
    ],
)
def test_local_times_are_those_of_the_persons_clock_on_that_day(
    lab: Lab, zone: str, now: tuple[int, ...], until: str, goes_at: tuple[int, ...]
) -> None:
    lab.journey("j", f"enter: {{event: Go}}\nsteps:\n  - wait: {until}\n{SEND}")
    lab.customer()
    lab.profiles["user_id:u1"]["timezone"] = zone
    lab.event("Go", instant(*now))
    lab.until(instant(*now) + 14 * 86_400_000)
    assert lab.sent() == [instant(*goes_at)]


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 28), 10), ((2026, 10, 24), 12), ((2026, 6, 1), 11)])
def test_a_night_of_quiet_hours_is_as_long_as_it_is(lab: Lab, day: tuple[int, int, int], hours: int) -> None:
    lab.file("channels.yaml", 'email: {connector: smtp, quiet: "21:00-08:00"}\n')
    lab.journey("j", "enter: {event: Go}\nsteps:\n" + SEND)
    lab.customer()
    lab.profiles["user_id:u1"]["timezone"] = "Europe/Berlin"
    evening = instant(*day, 20) if day[1] == 3 else instant(*day, 19)  # 21:00 in Berlin
    lab.event("Go", evening)
    lab.until(evening + 2 * 86_400_000)
    assert lab.sent() == [evening + hours * 3_600_000]
