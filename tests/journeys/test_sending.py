"""Whether a message goes out, when, to whom and through which channel."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from schemas import reasons
from tests.journeys.lab import SEND, Lab, at

NOW = "enter: {event: Go}\nsteps:\n" + SEND
EMAIL = """
email: {{cost: 0.001, connector: smtp, consent: opt_in{}}}
sms: {{cost: 0.05, connector: smpp, consent: opt_in}}
"""


def channels(lab: Lab, more: str) -> None:
    """More rules for e-mail."""
    lab.file("channels.yaml", EMAIL.format(f", {more}" if more else ""))


def go(lab: Lab, when: int, **fields: str) -> None:
    lab.event("Go", when, **fields)  # type: ignore[arg-type]


def refused(lab: Lab) -> list[tuple[str, str, str]]:
    told = {reasons.ENTERED, reasons.FINISHED}
    return [(d.reason, d.channel, d.detail) for d in lab.decisions() if d.reason not in told]


# --- address, consent, suppression -----------------------------------------------------------------------------------


def test_a_send_goes_to_the_newest_address_that_may_be_used(lab: Lab) -> None:
    lab.journey("j", NOW)
    lab.customer()
    profile = lab.profiles["user_id:u1"]
    profile["addresses"]["email"] = ["refused@x.com", "bounced@x.com", "good@x.com", "older@x.com"]
    profile["consents"].append(
        {"address": "refused@x.com", "channel": "email", "purpose": "", "granted": False, "at": at(), "source": "x"}
    )
    profile["suppressed"] = {"bounced@x.com": "all"}
    go(lab, at())
    assert [s.to for s in lab.sends()] == ["good@x.com"]


@pytest.mark.parametrize("category", ["marketing", "transactional"])
@pytest.mark.parametrize(
    ("what", "marketing", "transactional"),
    [
        ("nothing known", "no consent", "sent"),
        ("refused", "no consent", "no consent"),
        ("refused for everything", "no consent", "no consent"),
        ("complained", "suppressed", "sent"),
        ("bounced", "suppressed", "suppressed"),
        ("no address", "unreachable", "unreachable"),
    ],
)
def test_what_stands_in_the_way(lab: Lab, category: str, what: str, marketing: str, transactional: str) -> None:
    lab.journey("j", f"category: {category}\n" + NOW)
    lab.customer(consent=() if what == "nothing known" else ("email",))
    profile = lab.profiles["user_id:u1"]
    refusal = {"address": "", "channel": "email", "purpose": "", "granted": False, "at": at(), "source": "x"}
    if what == "refused":
        profile["consents"] = [{**refusal, "address": "u1@example.com"}]
    elif what == "refused for everything":
        profile["consents"] = [{**refusal, "channel": ""}]
    elif what == "complained":
        profile["suppressed"] = {"u1@example.com": "marketing"}
    elif what == "bounced":
        profile["suppressed"] = {"u1@example.com": "all"}
    elif what == "no address":
        del profile["addresses"]["email"]
    go(lab, at())
    assert lab.reasons()[1] == (marketing if category == "marketing" else transactional)
    topics = [name for name in lab.line.outputs if name.startswith("outbound.")]
    assert topics in ([], ["outbound.email" if category == "marketing" else "outbound.email.transactional"])


def test_consent_for_the_journeys_purpose(lab: Lab) -> None:
    lab.journey("j", "purpose: promotions\n" + NOW)
    lab.customer()
    lab.profiles["user_id:u1"]["consents"].append(
        {"address": "", "channel": "", "purpose": "promotions", "granted": False, "at": at(), "source": "x"}
    )
    go(lab, at())
    assert refused(lab) == [("no consent", "email", "promotions refused")]


# --- channels --------------------------------------------------------------------------------------------------------


def test_a_channel_that_may_not_be_used_gives_way_and_both_are_told(lab: Lab) -> None:
    lab.journey("j", NOW.replace("[email]", "[email, sms]"))
    lab.customer(consent=("sms",))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    go(lab, at())
    assert [(r, c) for r, c, _ in refused(lab)] == [("no consent", "email"), ("sent", "sms")]


def test_cheapest_and_all(lab: Lab) -> None:
    lab.journey("cheap", NOW.replace("[email]", "cheapest"))
    lab.journey("loud", NOW.replace("[email]", "all"))
    lab.customer(consent=("sms", "email"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    go(lab, at())
    assert sorted((s.journey, s.channel) for s in lab.sends()) == [
        ("cheap", "email"),
        ("loud", "email"),
        ("loud", "sms"),
    ]


def test_the_channel_the_person_answers_in_comes_first_then_the_cheapest(lab: Lab) -> None:
    lab.journey("j", NOW.replace("[email]", "preferred"))
    lab.customer(consent=("sms", "email"))
    profile = lab.profiles["user_id:u1"]
    profile["addresses"]["phone"] = ["+380501234567"]
    go(lab, at())
    for hour, affinity in enumerate((["sms"], ["email", "sms"], ["web"]), 1):
        profile["affinity"] = affinity
        go(lab, at(hours=hour))
    assert [s.channel for s in lab.sends()] == ["email", "sms", "email", "email"]
    profile.update(affinity=["sms", "email"], addresses={"email": profile["addresses"]["email"]})
    go(lab, at(hours=9))
    assert [s.channel for s in lab.sends()][4:] == ["email"], "who can't be reached there is reached elsewhere"


# --- caps and priority -----------------------------------------------------------------------------------------------


def test_a_rolling_cap_is_free_again_at_the_end_of_its_window(lab: Lab) -> None:
    channels(lab, "caps: [{at_most: 2, per: 1d}]")
    lab.journey("j", NOW)
    lab.customer()
    for when in (at(), at(hours=1), at(hours=2), at(days=1) - 1, at(days=1)):
        go(lab, when)
    assert lab.sent() == [at(), at(hours=1), at(days=1)]
    assert refused(lab)[2] == ("capped", "email", "2 of 2 per 1d")


def test_a_calendar_day_is_the_persons_own(lab: Lab) -> None:
    channels(lab, "caps: [{at_most: 1, per: calendar_day}]")
    lab.journey("j", NOW)
    lab.customer()
    lab.profiles["user_id:u1"]["timezone"] = "Asia/Tokyo"  # noon UTC is 21:00 there
    for hours in (0, 2, 3, 4):
        go(lab, at(hours=hours))
    assert lab.sent() == [at(), at(hours=3)]


def test_all_caps_hold_together(lab: Lab) -> None:
    channels(lab, "caps: [{at_most: 1, per: 1h}, {at_most: 2, per: 1d}]")
    lab.journey("j", NOW)
    lab.customer()
    for minutes in (0, 30, 60, 120, 24 * 60):
        go(lab, at(minutes=minutes))
    assert lab.sent() == [at(), at(minutes=60), at(days=1)]


@pytest.mark.parametrize("how", ["one event", "one timer", "one segment"])
def test_of_two_sends_at_one_instant_the_higher_priority_goes(lab: Lab, how: str) -> None:
    channels(lab, "caps: [{at_most: 1, per: 1d}]")
    wait = "  - wait: 1h\n" if how == "one timer" else ""
    enter = "segment: vip" if how == "one segment" else "event: Go"
    for name, priority in (("a_low", 10), ("m_high", 90), ("z_low", 10)):
        lab.journey(name, f"priority: {priority}\nenter: {{{enter}}}\nsteps:\n{wait}{SEND}")
    lab.customer()
    lab.event("Go", at(), changes=[("vip", "entered")])
    lab.until(at(days=2))
    assert [s.journey for s in lab.sends()] == ["m_high"]
    assert {d.journey for d in lab.decisions() if d.reason == "capped"} == {"a_low", "z_low"}


def test_an_instance_that_went_on_by_the_event_yields_to_one_the_event_starts(lab: Lab) -> None:
    channels(lab, "caps: [{at_most: 1, per: 1d}]")
    lab.journey("low", "priority: 1\nenter: {event: Start}\nsteps:\n  - wait_for: {event: Go}\n" + SEND)
    lab.journey("high", "priority: 2\n" + NOW)
    lab.customer()
    lab.event("Start", at())
    go(lab, at(hours=1))
    assert [s.journey for s in lab.sends()] == ["high"]


def test_transactional_ignores_caps_and_quiet_hours_and_counts_to_none(lab: Lab) -> None:
    channels(lab, 'caps: [{at_most: 1, per: 1d}], quiet: "14:00-15:00"')
    lab.journey("order", "category: transactional\nenter: {event: Order}\nsteps:\n" + SEND)
    lab.journey("promo", NOW)
    lab.customer()
    lab.event("Order", at())
    go(lab, at(hours=1))
    for minutes in (90, 125):
        lab.event("Order", at(minutes=minutes))
    lab.until(at(days=1))
    assert [(s.journey, s.at) for s in lab.sends()] == [
        ("order", at()),
        ("promo", at(hours=1)),
        ("order", at(minutes=90)),
        ("order", at(minutes=125)),
    ]


# --- quiet hours -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "goes_at"), [(59, 59), (60, 180), (61, 180), (179, 180), (180, 180)])
def test_quiet_hours_include_their_start_and_exclude_their_end(lab: Lab, minutes: int, goes_at: int) -> None:
    channels(lab, 'quiet: "13:00-15:00"')
    lab.journey("j", NOW)
    lab.customer()
    go(lab, at(minutes=minutes))
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=goes_at)]
    assert ("quiet hours" in lab.reasons()) == (goes_at != minutes)


def test_over_midnight_and_in_the_persons_zone(lab: Lab) -> None:
    channels(lab, 'quiet: "21:00-08:00"')
    lab.journey("j", NOW)
    lab.customer()
    lab.profiles["user_id:u1"]["timezone"] = "Asia/Tokyo"
    go(lab, at())  # 21:00 there
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=11)]


def test_an_exit_during_quiet_hours_holds(lab: Lab) -> None:
    channels(lab, 'quiet: "11:00-15:00"')
    lab.journey("j", "exit: [{event: Order}]\n" + NOW)
    lab.customer()
    go(lab, at())
    lab.event("Order", at(hours=1))
    lab.until(at(days=1))
    assert not lab.sends()
    assert lab.decisions()[-1].reason == "exited"


def test_consent_is_asked_again_at_the_end_of_quiet_hours(lab: Lab) -> None:
    channels(lab, 'quiet: "11:00-15:00"')
    lab.journey("j", NOW)
    lab.customer()
    go(lab, at())
    lab.profiles["user_id:u1"]["consents"] = []
    lab.event("Other", at(hours=1))
    lab.until(at(days=1))
    assert [r for r, _, _ in refused(lab)] == ["quiet hours", "no consent"]


def test_at_the_end_of_quiet_hours_the_higher_priority_goes_and_caps_hold(lab: Lab) -> None:
    channels(lab, 'caps: [{at_most: 1, per: 1d}], quiet: "11:00-15:00"')
    lab.journey("low", "priority: 1\n" + NOW)
    lab.journey("high", "priority: 2\nenter: {event: Late}\nsteps:\n" + SEND)
    lab.customer()
    go(lab, at())
    lab.event("Late", at(hours=1))
    lab.until(at(days=1))
    assert [(s.journey, s.at) for s in lab.sends()] == [("high", at(hours=3))]
    assert lab.decisions("low")[-2].reason == "capped"


def test_a_waiting_send_that_lost_its_place_to_a_higher_priority_says_so(lab: Lab) -> None:
    lab.file("channels.yaml", EMAIL.format(', caps: [{at_most: 1, per: 1d}], quiet: "11:00-15:00"'))
    lab.journey("low", "priority: 1\n" + NOW)
    lab.journey("high", "priority: 2\nenter: {event: Late}\nsteps:\n" + SEND)
    lab.customer()
    lab.profiles["user_id:u1"]["timezone"] = "Europe/Kyiv"
    go(lab, at())  # 14:00 in Kyiv: waits until 13:00 UTC
    lab.profiles["user_id:u1"]["timezone"] = "America/New_York"
    lab.event("Late", at(minutes=30))  # moved: 07:30 there, not quiet
    lab.until(at(days=1))
    assert [(s.journey, s.at) for s in lab.sends()] == [("high", at(minutes=30))]
    assert lab.decisions("low")[-2].reason == "lost priority"


def test_a_place_taken_by_no_higher_priority_is_just_a_cap(lab: Lab) -> None:
    channels(lab, 'caps: [{at_most: 1, per: 1d}], quiet: "11:00-15:00"')
    lab.journey("waits", "priority: 2\n" + NOW)
    lab.journey("first", "priority: 1\nenter: {event: Late}\nsteps:\n" + SEND)
    lab.customer()
    go(lab, at())
    lab.profiles["user_id:u1"]["timezone"] = "America/New_York"
    lab.event("Late", at(minutes=30))  # not quiet there
    lab.until(at(days=1))
    assert [s.journey for s in lab.sends()] == ["first"]
    assert lab.decisions("waits")[-2].reason == "capped"


def test_where_all_channels_are_quiet_the_first_to_end_is_awaited(lab: Lab) -> None:
    lab.file(
        "channels.yaml",
        """
        email: {connector: smtp, consent: opt_in, quiet: "11:00-18:00"}
        sms: {connector: smpp, consent: opt_in, quiet: "10:00-16:00"}
        """,
    )
    lab.journey("j", NOW.replace("[email]", "[email, sms]"))
    lab.customer(consent=("email", "sms"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    go(lab, at())
    lab.until(at(days=1))
    assert [(s.channel, s.at) for s in lab.sends()] == [("sms", at(hours=4))]


def test_a_quiet_channel_gives_way_to_one_that_is_not(lab: Lab) -> None:
    channels(lab, 'quiet: "11:00-15:00"')
    lab.journey("j", NOW.replace("[email]", "[email, sms]"))
    lab.customer(consent=("email", "sms"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    go(lab, at())
    assert [(s.channel, s.at) for s in lab.sends()] == [("sms", at())]


# --- intents, holdout, templates -------------------------------------------------------------------------------------


def test_an_intent_is_said_once_across_journeys_and_steps(lab: Lab) -> None:
    intent = 'intent: "cart:{{ entry.properties.cart }}"\n'
    lab.journey("low", "priority: 1\n" + intent + NOW)
    lab.journey("high", "priority: 2\n" + intent + NOW + SEND)
    lab.customer()
    lab.event("Go", at(), properties={"cart": "a"})
    lab.event("Go", at(days=40), properties={"cart": "a"})
    lab.event("Go", at(days=41), properties={"cart": "b"})
    lab.event("Go", at(days=99), properties={"cart": "a"})
    assert [(s.journey, s.intent) for s in lab.sends()] == [("high", "cart:a"), ("high", "cart:b")]
    assert lab.reasons("low").count("duplicate intent") == 4


def test_an_intent_that_can_not_be_rendered_sends_nothing(lab: Lab) -> None:
    lab.journey("j", 'intent: "{{ entry.properties.cart }}"\n' + NOW)
    lab.customer()
    go(lab, at())
    assert lab.reasons() == ["entered", "template error", "finished"]


def test_a_template_error_sends_nothing_and_the_instance_goes_on(lab: Lab) -> None:
    lab.file("templates/name.yaml", "subject: Hi {{ person.traits.first_name }}\nbody: x\n")
    lab.journey("j", NOW.replace("hello", "name") + "  - wait: 1h\n" + SEND)
    lab.customer()
    go(lab, at())
    lab.until(at(days=1))
    assert [(s.template, s.at) for s in lab.sends()] == [("hello", at(hours=1))]
    assert lab.decisions()[1].reason == "template error"
    assert "first_name" in lab.decisions()[1].detail


def test_the_content_is_rendered_for_the_person(lab: Lab) -> None:
    lab.file(
        "templates/name.yaml",
        'subject: "{{ person.traits.name }}, {{ entry.properties.cart }}"\nbody: "<p>Hi</p>"\nuk: {subject: Привіт}\n',
    )
    lab.journey("j", NOW.replace("hello", "name"))
    lab.customer("user_id:u1", name="Ann")
    lab.customer("user_id:u2", language="uk-UA")
    for who in ("user_id:u1", "user_id:u2"):
        lab.event("Go", at(), who, properties={"cart": "c1"})
    assert [orjson.loads(s.content)["subject"] for s in lab.sends()] == ["Ann, c1", "Привіт"]


def test_the_control_group_gets_nothing_but_what_is_exempt(lab: Lab) -> None:
    lab.file("project.yaml", "name: shop\nholdout: {share: 30, except: transactional}\n")
    lab.journey("promo", NOW)
    lab.journey("order", "category: transactional\n" + NOW)
    people = [f"user_id:p{n}" for n in range(300)]
    for who in people:
        lab.customer(who)
        lab.event("Go", at(), who)
    got = {s.person_id for s in lab.sends() if s.journey == "promo"}
    assert 180 <= len(got) <= 240
    assert len([s for s in lab.sends() if s.journey == "order"]) == 300
    assert len([d for d in lab.decisions() if d.reason == "holdout"]) == 300 - len(got)
    # known from the entry on: who leaves before a send counts too
    arms = [(d.journey, d.detail) for d in lab.decisions() if d.reason == reasons.ARM]
    assert arms == [("promo", reasons.HELD_OUT)] * (300 - len(got))


# --- splits ----------------------------------------------------------------------------------------------------------

SPLIT = """
enter: {event: Go}
steps:
  - split: {a: 45, b: 45, holdout: 10}
    a: [{send: {template: hello, channels: [email]}}]
    b: [{wait: 1h}, {send: {template: hello, channels: [email]}}]
"""


def test_arms_are_stable_and_fair(lab: Lab) -> None:
    lab.journey("j", SPLIT)
    people = [f"user_id:p{n}" for n in range(400)]
    for who in people:
        lab.customer(who)
        lab.event("Go", at(), who)
    lab.until(at(hours=2))
    arms = {who: [s.at for s in lab.sends() if s.to == f"{who[8:]}@example.com"] for who in people}
    counts = [sum(1 for a in arms.values() if a == times) for times in ([at()], [at(hours=1)], [])]
    assert 150 <= counts[0] <= 210
    assert 150 <= counts[1] <= 210
    assert 20 <= counts[2] <= 65
    for who in people[:50]:
        lab.event("Go", at(days=1), who)
    lab.until(at(days=2))
    again = {who: [s.at - at(days=1) for s in lab.sends() if s.to == f"{who[8:]}@example.com"] for who in people[:50]}
    assert all(again[who][len(arms[who]) :] == [t - at() for t in arms[who]] for who in people[:50])
    told = [(d.detail, d.step) for d in lab.decisions() if d.reason == reasons.ARM]
    assert {step for _, step in told} == {"1"}
    assert lab.reasons().count("holdout") == sum(1 for arm, _ in told if arm == "holdout")
    assert [sum(1 for arm, _ in told[:400] if arm == name) for name in ("a", "b", "holdout")] == counts


# --- cascades --------------------------------------------------------------------------------------------------------

CASCADE = """
enter: {event: Go}
steps:
  - send: {template: hello, channels: [email, sms], until: opened, within: 6h}
  - wait: 1h
  - send: {template: hello, channels: [sms]}
"""


def cascade(lab: Lab) -> None:
    lab.journey("j", CASCADE)
    lab.customer(consent=("email", "sms"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("Go", at())


def receipt(lab: Lab, name: str, when: int, **fields: object) -> None:
    lab.event(name, when, **fields)  # type: ignore[arg-type]


def test_the_channels_of_a_cascade_say_one_intent(lab: Lab) -> None:
    lab.journey("j", "intent: hello\n" + CASCADE.replace("- wait: 1h", "- wait: 1d").strip())
    lab.customer(consent=("email", "sms"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("Go", at())
    lab.until(at(days=3))
    assert channels_and_times(lab) == [("email", 0), ("sms", 6)]  # the last step would say it again


def channels_and_times(lab: Lab) -> list[tuple[str, int]]:
    return [(s.channel, (s.at - at()) // 3_600_000) for s in lab.sends()]


def test_without_the_receipt_the_next_channel_is_tried(lab: Lab) -> None:
    cascade(lab)
    receipt(lab, "Email Delivered", at(hours=1), channel="email")
    lab.until(at(days=1))
    assert channels_and_times(lab) == [("email", 0), ("sms", 6), ("sms", 7)]


@pytest.mark.parametrize("because", ["quiet: '11:00-13:00'", "caps: [{at_most: 1, per: 1h}]"])
def test_a_cascade_never_comes_back_to_a_channel_that_gave_way(lab: Lab, because: str) -> None:
    lab.file(
        "channels.yaml",
        f"push: {{connector: webhook, {because}}}\nemail: {{connector: smtp}}\nsms: {{connector: smpp}}\n",
    )
    lab.journey("before", "enter: {event: Before}\nsteps: [{send: {template: hello, channels: [push]}}]\n")
    lab.journey("j", CASCADE.replace("email, sms", "push, email, sms"))
    lab.customer()
    lab.profiles["user_id:u1"]["addresses"] |= {"phone": ["+380501234567"], "push_token": ["t"]}
    lab.event("Before", at(minutes=-90 if "quiet" in because else -1))
    lab.event("Go", at())
    lab.until(at(hours=6))
    assert channels_and_times(lab)[1:] == [("email", 0), ("sms", 6)]


@pytest.mark.parametrize("name", ["Email Opened", "Email Link Clicked"])
def test_the_receipt_or_a_further_one_ends_the_cascade(lab: Lab, name: str) -> None:
    cascade(lab)
    receipt(lab, name, at(hours=2))
    lab.until(at(days=1))
    assert channels_and_times(lab) == [("email", 0), ("sms", 3)]


def test_receipts_of_another_send_address_or_machine_do_not_count(lab: Lab) -> None:
    cascade(lab)
    receipt(lab, "Email Opened", at(hours=1), send_id="another")
    receipt(lab, "Email Opened", at(hours=2), properties={"machine": True})
    receipt(lab, "Email Opened", at(hours=3), properties={"email": "other@example.com"})
    receipt(lab, "SMS Opened", at(hours=4))
    lab.until(at(hours=6))
    assert channels_and_times(lab) == [("email", 0), ("sms", 6)]


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("Email Bounced", {"bounce_type": "hard"}),
        ("Email Bounced", {}),
        ("Email Failed", {}),
        ("Email Rejected", {}),
        ("Email Dropped", {}),
    ],
)
def test_what_can_never_be_opened_gives_way_to_the_next_channel_at_once(
    lab: Lab, name: str, properties: dict[str, Any]
) -> None:
    cascade(lab)
    receipt(lab, name, at(hours=2), send_id=lab.sends()[0].send_id, properties=properties)
    lab.until(at(days=1))
    assert channels_and_times(lab) == [("email", 0), ("sms", 2), ("sms", 3)]
    assert (reasons.WAITING, f"for its next channel: event {name}") in [(t.reason, t.detail) for t in lab.traces()]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("Email Bounced", {"properties": {"bounce_type": "soft"}}),
        ("Email Bounced", {"properties": {"bounce_type": "block"}}),
        ("Email Deferred", {}),
        ("Email Bounced", {"send_id": "another"}),
        ("Email Bounced", {"properties": {"email": "other@example.com"}}),
        ("SMS Failed", {}),
        ("Payment Failed", {}),
    ],
)
def test_what_may_still_be_opened_has_its_whole_time(lab: Lab, name: str, fields: dict[str, Any]) -> None:
    cascade(lab)
    receipt(lab, name, at(hours=2), **fields)
    lab.until(at(hours=6))
    assert channels_and_times(lab) == [("email", 0), ("sms", 6)]


def test_a_message_lost_twice_or_late_does_not_hurry_the_channel_behind_the_next(lab: Lab) -> None:
    lab.file("channels.yaml", "email: {connector: smtp}\nsms: {connector: smpp}\npush: {connector: webhook}\n")
    lab.journey("j", CASCADE.replace("email, sms", "email, sms, push"))
    lab.customer()
    lab.profiles["user_id:u1"]["addresses"] |= {"phone": ["+380501234567"], "push_token": ["t"]}
    lab.event("Go", at())
    mail = lab.sends()[0].send_id
    for hour in (1, 1, 2):
        receipt(lab, "Email Bounced", at(hours=hour), send_id=mail)
    lab.until(at(hours=7))
    assert channels_and_times(lab) == [("email", 0), ("sms", 1), ("push", 7)]


def test_the_next_channel_says_what_the_event_behind_the_send_told(lab: Lab) -> None:
    """Not what the receipt says that the first one is lost."""
    lab.file("templates/hello.yaml", "subject: Hi\nbody: '{{ event.properties.what }}'\n")
    lab.journey("j", CASCADE)
    lab.customer("user_id:u3", consent=("email", "sms"))
    lab.profiles["user_id:u3"]["addresses"]["phone"] = ["+380501234568"]
    lab.event("Go", at(minutes=2), "user_id:u3", properties={"what": "tea"})
    receipt(lab, "Email Bounced", at(hours=1), who="user_id:u3")
    assert [(s.channel, b"tea" in s.content) for s in lab.sends()][:2] == [("email", True), ("sms", True)]


def test_a_receipt_of_an_earlier_round_says_nothing_of_this_one(lab: Lab) -> None:
    send = "{template: hello, channels: [email, sms], until: opened, within: 6h}"
    lab.journey("j", f"enter: {{event: Go}}\nsteps:\n- repeat: {{times: 2, steps: [{{send: {send}}}, {{wait: 1d}}]}}\n")
    lab.customer(consent=("email", "sms"))
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("Go", at())
    first = lab.sends()[0].send_id
    receipt(lab, "Email Opened", at(hours=1), send_id=first)
    receipt(lab, "Email Opened", at(hours=26), send_id=first)
    lab.until(at(hours=31))
    assert channels_and_times(lab) == [("email", 0), ("email", 25), ("sms", 31)]


def test_the_receipt_that_ends_a_cascade_leaves_a_trace(lab: Lab) -> None:
    cascade(lab)
    receipt(lab, "Email Link Clicked", at(hours=1))
    found = [(t.step, t.reason, t.detail, t.at) for t in lab.traces() if t.reason == reasons.DONE]
    assert found == [("1", reasons.DONE, "no further channel: event Email Link Clicked", at(hours=1))]


def test_the_address_of_a_receipt_may_be_in_any_case(lab: Lab) -> None:
    cascade(lab)
    receipt(lab, "Email Opened", at(hours=3), properties={"email": "U1@Example.com"})
    lab.until(at(hours=6))
    assert channels_and_times(lab) == [("email", 0), ("sms", 4)]


def test_a_receipt_says_its_channel_or_where_it_was_seen(lab: Lab) -> None:
    cascade(lab)
    receipt(lab, "Email Opened", at(hours=1), channel="sms", properties={"channel": "sms"})  # nothing was sent there
    lab.until(at(hours=5))
    assert channels_and_times(lab)[1] == ("sms", 2)


def test_a_receipt_later_than_three_days_counts_for_nothing(lab: Lab) -> None:
    step = "  - wait_for: {event: Email Opened}\n    timeout: 9d\n    then: [{exit: opened}]\n"
    lab.journey("j", NOW + step)
    lab.customer()
    go(lab, at())
    receipt(lab, "Email Opened", at(days=3))
    lab.until(at(days=10))
    assert "exited" not in lab.reasons()


def test_a_receipt_names_its_send(lab: Lab) -> None:
    cascade(lab)
    receipt(lab, "Email Opened", at(hours=1), send_id=lab.sends()[0].send_id)
    lab.until(at(hours=6))
    assert channels_and_times(lab) == [("email", 0), ("sms", 2)]


def test_an_instance_that_sent_waits_for_receipts_of_its_own_sends(lab: Lab) -> None:
    step = "  - wait_for: {event: Email Opened}\n    timeout: 2d\n    then: [{exit: opened}]\n"
    lab.journey("one", NOW + step)
    lab.journey("two", "enter: {event: Later}\nsteps:\n" + SEND + step)
    lab.customer()
    go(lab, at())
    lab.event("Later", at(hours=1))
    receipt(lab, "Email Opened", at(hours=2))  # of the newest send there
    assert [(d.journey, d.detail) for d in lab.decisions() if d.reason == "exited"] == [("two", "opened")]
    receipt(lab, "Email Opened", at(hours=3), send_id=lab.sends()[0].send_id)
    assert [d.journey for d in lab.decisions() if d.reason == "exited"] == ["two", "one"]


def test_what_a_machine_opened_satisfies_no_wait_and_enters_nothing(lab: Lab) -> None:
    lab.journey("waits", NOW + "  - wait_for: {event: Email Opened}\n    timeout: 2d\n    then: [{exit: opened}]\n")
    lab.journey("enters", "enter: {event: Email Opened}\nsteps:\n" + SEND)
    lab.customer()
    go(lab, at())
    receipt(lab, "Email Opened", at(hours=1), properties={"machine": True})
    assert lab.reasons() == ["entered", "sent"]
    receipt(lab, "Email Opened", at(hours=2))
    assert {(d.journey, d.reason) for d in lab.decisions()} >= {("waits", "exited"), ("enters", "entered")}
