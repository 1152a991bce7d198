"""Traits, consents, addresses and what receipts say about them."""

from __future__ import annotations

import dataclasses

import pytest

from schemas.consent import allowed, suppression
from schemas.definitions.expressions import iso
from schemas.definitions.model import All, Channel, HasConsent, Not, Reachable, TraitIs
from schemas.traits import compare
from tests.segments.lab import CHANNELS, D, H, Line, event, identify, project

T = 1_700_000_000_000
MAIL = ["user_id:u1", "email:a@example.com"]


def banner(**choices: bool) -> dict[str, object]:
    return {"consent": {"categoryPreferences": choices}}


def test_a_trait_is_the_latest_by_event_time_and_null_takes_it_back() -> None:
    line = Line(project({"kyiv": TraitIs("city", "equals", "Kyiv"), "homeless": TraitIs("city", "exists", False)}))
    line.happen(
        identify(T, traits={"city": "Kyiv", "age": 40}),
        identify(T - D, traits={"city": "Lviv", "name": "Olha"}, received_at=T + 1),
        identify(T + 2, traits={"city": None}),
    )
    assert line.story("kyiv") == [(T, "entered", "event"), (T + 2, "left", "event")]
    assert line.story("homeless") == [(T + 2, "entered", "event")]
    assert line.profile()["traits"] == {"age": 40, "name": "Olha"}


def test_the_profile_says_where_each_trait_was_told_last_by_event_time() -> None:
    line = Line(project({}))
    line.happen(identify(T, traits={"city": "Kyiv", "age": 40}, source="crm"))
    line.happen(identify(T + 2, traits={"city": "Kyiv"}, source="app"))
    assert line.profile()["sources"] == {"city": "app", "age": "crm"}
    line.happen(identify(T + 1, received_at=T + 3, traits={"city": "Lviv"}, source="import"))
    line.happen(identify(T + 4, traits={"city": "Kyiv"}, source="app"))
    assert line.profile()["sources"] == {"city": "app", "age": "crm"}
    assert len([update for update in line.updates if update.profile is not None]) == 2, "said again it is no news"
    line.happen(identify(T + 5, traits={"city": None, "age": 41}, source="app"))
    assert line.profile()["sources"] == {"age": "app"}


def test_of_two_traits_at_one_instant_the_later_line_counts() -> None:
    line = Line(project({}))
    line.happen(identify(T, traits={"city": "Odesa"}), identify(T, traits={"city": "Lviv"}))
    assert line.profile()["traits"] == {"city": "Lviv"}


def test_traits_of_a_group_are_not_the_persons() -> None:
    line = Line(project({}))
    line.happen(event("Group", T, type="group", traits={"name": "ACME"}))
    assert line.profile()["traits"] == {}


@pytest.mark.parametrize(
    ("op", "actual", "wanted", "holds"),
    [
        ("equals", "Kyiv", "Kyiv", True),
        ("equals", 5, 5.0, True),
        ("equals", "5", 5, False),
        ("equals", True, 1, False),
        ("equals", None, "Kyiv", False),
        ("not_equals", None, "Kyiv", True),
        ("not_equals", "Kyiv", "Kyiv", False),
        ("one_of", "Lviv", ["Kyiv", "Lviv"], True),
        ("one_of", None, ["Kyiv"], False),
        ("at_least", 40, 40, True),
        ("at_least", "40", 40, False),
        ("at_least", "2024-05-02", "2024-05-01", True),
        ("at_most", 39.5, 40, True),
        ("at_most", None, 40, False),
        ("at_most", False, 40, False),
        ("exists", 0, True, True),
        ("exists", None, True, False),
        ("contains", "Kyiv", "yi", True),
        ("contains", ["gold", "beta"], "beta", True),
        ("contains", ["gold"], "go", False),
        ("contains", 12, 1, False),
    ],
)
def test_operators_of_traits(op: str, actual: object, wanted: object, holds: bool) -> None:
    assert compare(op, actual, wanted) is holds


def test_a_date_within_a_duration_from_now_is_entered_and_left_by_time() -> None:
    line = Line(project({"renewing": TraitIs("renews_on", "within", 7 * D)}, timezone="Europe/Kyiv"))
    midnight = 1_700_172_000_000  # 2023-11-17 00:00 in Kyiv
    line.happen(identify(T - 6 * D, traits={"renews_on": "2023-11-17"}))
    line.until(T + 90 * D)
    assert line.story("renewing") == [(midnight - 7 * D, "entered", "timer"), (midnight + 7 * D, "left", "timer")]


def test_a_nested_trait_is_named_by_its_path() -> None:
    line = Line(project({"kyiv": TraitIs("address.city", "equals", "Kyiv")}))
    line.happen(identify(T, traits={"address": {"city": "Kyiv"}}))
    assert line.story("kyiv") == [(T, "entered", "event")]


def test_consent_of_the_address_of_the_person_and_of_the_purpose() -> None:
    line = Line(
        project(
            {
                "mailable": HasConsent("email"),
                "promo": HasConsent("email", "promotions"),
                "pushable": HasConsent("push"),
            }
        )
    )
    line.happen(
        identify(T, identifiers=MAIL, context=banner(email=True)),
        identify(T + 1, context=banner(promotions=False)),
        identify(T + 2, context=banner(email=False, push=False)),
    )
    assert line.story("mailable") == [(T, "entered", "event"), (T + 2, "left", "event")]
    assert line.story("promo") == [(T, "entered", "event"), (T + 1, "left", "event")]
    assert line.story("pushable") == [(T, "entered", "event"), (T + 2, "left", "event")]
    choices = [
        {"address": "", "channel": "", "purpose": "promotions", "granted": False, "at": T + 1},
        {"address": "", "channel": "email", "purpose": "", "granted": False, "at": T + 2},
        {"address": "", "channel": "push", "purpose": "", "granted": False, "at": T + 2},
        {"address": "a@example.com", "channel": "email", "purpose": "", "granted": True, "at": T},
    ]
    assert line.profile()["consents"] == [{**choice, "source": "test", "proof": ""} for choice in choices]


def test_a_choice_keeps_what_the_person_saw() -> None:
    line = Line(project({}))
    granted = {"consent": {"categoryPreferences": {"email": True}, "proof": "box on the form of 2 May"}}
    line.happen(
        identify(T, context=granted),
        event("Unsubscribed", T + 1, identifiers=MAIL, channel="email", properties={"proof": "link in the newsletter"}),
        identify(T + 2, context={"consent": {"categoryPreferences": {"push": True}, "proof": 7}}),
    )
    proofs = {(choice["address"], choice["channel"]): choice["proof"] for choice in line.profile()["consents"]}
    assert proofs == {
        ("", "email"): "box on the form of 2 May",
        ("a@example.com", "email"): "link in the newsletter",
        ("", "push"): "",
    }


def test_a_refusal_that_arrives_after_a_newer_grant_changes_nothing_and_wins_at_the_same_instant() -> None:
    line = Line(project({"mailable": HasConsent("email")}))
    line.happen(
        identify(T, context=banner(email=True)),
        identify(T - 1, context=banner(email=False), received_at=T + 1),
        identify(T, context=banner(email=False), received_at=T + 2),
        identify(T, context=banner(email=True), received_at=T + 3),
    )
    assert line.story("mailable") == [(T, "entered", "event"), (T + 2, "left", "event")]


def test_channel_and_purpose_in_one_category() -> None:
    line = Line(project({"promo": HasConsent("email", "promotions"), "any": HasConsent("email")}))
    line.happen(identify(T, identifiers=MAIL, context=banner(**{"email:promotions": True})))
    assert line.story("promo") == [(T, "entered", "event")]
    assert line.story("any") == []


def test_unsubscribed_withdraws_for_its_address_only() -> None:
    line = Line(project({"mailable": HasConsent("email")}))
    line.happen(
        identify(T, identifiers=[*MAIL, "email:b@example.com"], context=banner(email=True)),
        event("Unsubscribed", T + 1, properties={"email": "A@example.com"}, channel="email"),
        event("Unsubscribed", T + 2, identifiers=["email:b@example.com"], channel=""),
    )
    assert line.story("mailable") == [(T, "entered", "event"), (T + 2, "left", "event")]


def test_unsubscribed_from_a_purpose_keeps_the_others() -> None:
    line = Line(project({"promo": HasConsent("email", "promotions"), "news": HasConsent("email", "news")}))
    line.happen(
        identify(T, identifiers=MAIL, context=banner(email=True)),
        event("Unsubscribed", T + 1, identifiers=MAIL, channel="email", properties={"purpose": "promotions"}),
    )
    assert line.story("promo")[-1] == (T + 1, "left", "event")
    assert line.story("news") == [(T, "entered", "event")]


def test_a_bounce_suppresses_for_all_a_complaint_for_marketing_a_soft_bounce_not_at_all() -> None:
    line = Line(project({"by_email": Reachable("email")}))
    addresses = [f"email:{name}@example.com" for name in "abcd"]
    line.happen(
        *(identify(T + n, identifiers=["user_id:u1", address]) for n, address in enumerate(addresses)),
        event("Email Bounced", T + 10, properties={"email": "a@example.com"}),
        event("Email Bounced", T + 11, identifiers=[addresses[1]], properties={"bounce_type": "soft"}),
        event("Email Marked as Spam", T + 12, identifiers=[addresses[2]]),
    )
    assert line.profile()["suppressed"] == {"a@example.com": "all", "c@example.com": "marketing"}
    line.happen(event("Email Bounced", T + 13))
    assert line.profile()["suppressed"]["d@example.com"] == "all", "without an address it is about the newest one"
    assert line.story("by_email") == [(T, "entered", "event")], "a suppressed address is still known"


def test_the_address_used_last_comes_first_and_a_receipt_is_no_use() -> None:
    line = Line(project({}))
    old, new = ["user_id:u1", "email:old@example.com"], ["user_id:u1", "email:new@example.com"]
    line.happen(
        identify(T, identifiers=old),
        identify(T + H, identifiers=new),
        *(
            event(name, T + 2 * H, identifiers=["email:old@example.com"], channel="email")
            for name in ("Email Sent", "Email Link Clicked", "Email Marked as Spam", "Push Notification Opened")
        ),
    )
    assert line.profile()["addresses"] == {"email": ["new@example.com", "old@example.com"], "user_id": ["u1"]}
    line.happen(event("Order Delivered", T + 3 * H, identifiers=old))
    assert line.profile()["addresses"]["email"] == ["old@example.com", "new@example.com"]


def test_reachable_by_phone_and_not_by_email() -> None:
    line = Line(project({"sms": Reachable("sms"), "no_mail": Not(Reachable("email"))}))
    line.happen(
        event("A", T, identifiers=["user_id:u1", "phone:+380501234567"]),
        event("A", T + 1, identifiers=["user_id:u1", "email:a@example.com"]),
    )
    assert line.story("sms") == [(T, "entered", "event")]
    assert line.story("no_mail") == [(T, "entered", "event"), (T + 1, "left", "event")]


def test_the_time_zone_is_the_trait_else_the_newest_context_else_none() -> None:
    line = Line(project({}))
    line.happen(event("A", T))
    assert line.profile()["timezone"] is None
    line.happen(event("A", T + 2, context={"timezone": "Asia/Tokyo"}))
    line.happen(event("A", T + 1, context={"timezone": "Europe/Paris"}, received_at=T + 3))
    line.happen(event("A", T + 4, context={"timezone": "Moon/Crater"}))
    assert line.profile()["timezone"] == "Asia/Tokyo"
    line.happen(identify(T, traits={"timezone": "Europe/Kyiv"}, received_at=T + 5))
    assert line.profile()["timezone"] == "Europe/Kyiv"


def test_the_profile_travels_only_when_it_changed() -> None:
    line = Line(project({"vip": TraitIs("vip", "equals", True)}))
    line.happen(
        event("A", T),
        event("A", T + 1),
        identify(T + 2, traits={"vip": True}),
        identify(T + 3, traits={"vip": True}),
        event("A", T - D, received_at=T + 4),
    )
    assert [update.profile is not None for update in line.updates] == [True, False, True, False, True]
    assert line.profile()["first_seen"] == T - D
    assert line.profile()["segments"] == ["vip"]


def test_numbers_of_any_size_are_kept() -> None:
    line = Line(project({}))
    one = identify(T)
    line.happen(
        type(one)(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "traits": b'{"n": ' + b"9" * 40 + b"}"})
    )
    assert line.profile()["traits"]["n"] == pytest.approx(1e40)


CONSENT = [
    # choices (address, channel, purpose, granted, at), policy, purpose, allowed
    ([], "opt_in", "", False),
    ([], "opt_out", "", True),
    ([], "none", "", True),
    ([("", "email", "", True, 1)], "opt_in", "", True),
    ([("a", "email", "", True, 1)], "opt_in", "promo", True),
    ([("b", "email", "", True, 1)], "opt_in", "", False),
    ([("a", "email", "", True, 1), ("", "email", "", False, 2)], "opt_in", "", False),
    ([("a", "email", "", False, 1), ("", "email", "", True, 2)], "opt_in", "", True),
    ([("a", "email", "", True, 1), ("", "email", "", False, 1)], "opt_in", "", False),
    ([("", "", "promo", True, 1)], "opt_in", "promo", False),
    ([("", "email", "", True, 2), ("", "", "promo", False, 1)], "opt_in", "promo", False),
    ([("", "email", "", True, 2), ("", "", "promo", False, 1)], "opt_in", "", True),
    ([("", "email", "promo", False, 1)], "opt_out", "news", True),
    ([("", "", "", False, 1)], "none", "", False),
]


@pytest.mark.parametrize(("choices", "policy", "purpose", "expected"), CONSENT)
def test_consent(choices: list[tuple[str, str, str, bool, int]], policy: str, purpose: str, expected: bool) -> None:
    names = ("address", "channel", "purpose", "granted", "at")
    consents = [dict(zip(names, choice, strict=True)) for choice in choices]
    assert allowed(consents, policy, "email", purpose, "a")[0] is expected
    assert allowed(consents[::-1], policy, "email", purpose, "a")[0] is expected


def test_a_chat_that_blocked_the_bot_may_be_written_to_again_once_it_starts_it() -> None:
    channels = {**CHANNELS, "telegram": Channel("telegram", identifiers=("telegram",))}
    line = Line(dataclasses.replace(project({}), channels=channels))
    blocked = {"bounce_type": "hard"}
    line.happen(
        identify(T, identifiers=["user_id:u1", "telegram:7"]),
        event("Telegram Bounced", T + 1, identifiers=["telegram:7"], properties=blocked),
    )
    assert line.profile()["suppressed"] == {"7": "all"}
    line.happen(event("Telegram Started", T + 5, identifiers=["telegram:7"]))
    assert line.profile()["suppressed"] == {}
    line.happen(event("Telegram Bounced", T + 3, received_at=T + 6, identifiers=["telegram:7"], properties=blocked))
    assert line.profile()["suppressed"] == {}, "of before it came back"
    line.happen(event("Telegram Bounced", T + 7, identifiers=["telegram:7"], properties=blocked))
    assert line.profile()["suppressed"] == {"7": "all"}


def test_suppression_by_category() -> None:
    suppressed = {"dead": "all", "angry": "marketing"}
    assert [suppression(suppressed, "dead", c) for c in ("marketing", "transactional")] == [True, True]
    assert [suppression(suppressed, "angry", c) for c in ("marketing", "transactional")] == [True, False]
    assert not suppression(suppressed, "fine", "marketing")


def test_a_trait_held_for_a_time_whatever_arrives_late() -> None:
    line = Line(project({"settled": TraitIs("city", "held_for", 10 * D)}))
    line.happen(
        identify(T, traits={"city": "Kyiv"}),
        identify(T + 4 * D, traits={"city": "Kyiv"}),
        identify(T + 8 * D, traits={"city": "Kyiv"}),
        identify(T + 2 * D, traits={"city": "Lviv"}, received_at=T + 9 * D),
        event("A", T + 13 * D),
        identify(T + 20 * D, traits={"city": "Odesa"}),
    )
    assert line.story("settled") == [(T + 14 * D, "entered", "timer"), (T + 20 * D, "left", "event")]


def test_why_says_once_what_several_operators_ask_of_a_trait_and_since_when_it_was_held() -> None:
    gold, old = TraitIs("tier", "equals", "gold"), TraitIs("age", "at_least", 18)
    segments = {
        "settled": All((gold, TraitIs("tier", "held_for", 10 * D))),
        "adult": All((old, TraitIs("age", "at_most", 30), gold)),
    }
    line = Line(project(segments))
    line.happen(identify(T, traits={"tier": "gold", "age": 20}))
    line.until(T + 10 * D)
    reasons = {change.segment: change.reason for _, change in line.changes}
    assert reasons == {"adult": "Identify; age is 20 and tier is gold", "settled": f"tier is gold since {iso(T)}"}
    line.happen(identify(T + 11 * D, traits={"tier": "silver"}))
    (left,) = [change.reason for _, change in line.changes if (change.segment, change.change) == ("settled", "left")]
    assert left == "Identify; tier is silver"
