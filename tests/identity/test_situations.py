"""Situations that every company has, and who is who in the end, by policy; docs/identity.md tells the same."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.definitions.model import IdentityRules
from schemas.identifiers import person_id
from tests.graph.rules import persons, refusals, rules
from tests.identity.crowd import Town

ANNA, BORIS = person_id("user_id:anna"), person_id("user_id:boris")
MAIL, TILL = "family@example.com", "till-7"
DAY = 86_400_000


def shop(shared: str = "keep", hub: int | None = None, **more: dict[str, Any]) -> IdentityRules:
    """Everything that may be shared has this policy."""
    return rules(
        hub,
        user_id={"limit": 1},
        email={"limit": 5, "normalize": "email", "shared": shared},
        phone={"limit": 5, "normalize": "phone", "region": "UA", "shared": shared} | more.get("phone", {}),
        anonymous_id={"limit": 100, "shared": shared},
    )


@pytest.mark.parametrize(
    ("shared", "annas", "boris", "nobodys"),
    [
        ("keep", ["1 browsed", "2 anna in", "3 browsed", "5 browsed"], ["4 boris in"], []),
        ("newest", ["1 browsed", "2 anna in", "3 browsed"], ["4 boris in", "5 browsed"], []),
        ("separate", ["1 browsed", "2 anna in", "3 browsed"], ["4 boris in"], ["5 browsed"]),
    ],
)
def test_a_logout_that_does_not_reset_the_cookie(
    shared: str, annas: list[str], boris: list[str], nobodys: list[str]
) -> None:
    town = Town(shop(shared))
    town.post("1 browsed", 1, anonymous_id="cookie")
    town.post("2 anna in", 2, anonymous_id="cookie", user_id="anna")
    town.post("3 browsed", 3, anonymous_id="cookie")
    town.post("4 boris in", 4, anonymous_id="cookie", user_id="boris")
    town.post("5 browsed", 5, anonymous_id="cookie")
    found = {ANNA: annas, BORIS: boris, person_id("anonymous_id:cookie"): nobodys}
    assert town.events() == {person: events for person, events in found.items() if events}
    assert town.complete()


@pytest.mark.parametrize(
    ("shared", "opened_by", "reason"),
    [
        ("keep", ANNA, "limit: user_id 1"),
        ("newest", BORIS, "superseded: user_id 1"),
        ("separate", person_id(f"email:{MAIL}"), "separate: user_id 1"),
    ],
)
def test_a_household_with_one_e_mail_address(shared: str, opened_by: str, reason: str) -> None:
    town = Town(shop(shared))
    town.post("anna signs up", 1, user_id="anna", email=MAIL)
    town.post("boris signs up", 2, user_id="boris", email=MAIL)
    town.post("letter opened", 3, email=MAIL)
    assert "letter opened" in town.events()[opened_by]
    assert "anna signs up" in town.events()[ANNA]
    assert "boris signs up" in town.events()[BORIS]
    assert set(refusals(town.line).values()) == {reason}


@pytest.mark.parametrize("shared", ["keep", "newest", "separate"])
def test_a_till_or_kiosk_that_everybody_uses(shared: str) -> None:
    town = Town(shop(shared, hub=3))
    for guest in range(5):
        town.post(f"guest {guest}", guest + 1, anonymous_id=TILL, email=f"g{guest}@example.com")
    town.post("till alone", 9, anonymous_id=TILL)
    assert town.histories() == sorted([[f"guest {guest}"] for guest in range(5)] + [["till alone"]])
    assert set(refusals(town.line).values()) == {"hub: 3"}
    assert town.complete()


@pytest.mark.parametrize("shared", ["keep", "newest", "separate"])
def test_a_call_centre_that_writes_its_own_number_into_every_call(shared: str) -> None:
    town = Town(shop(shared, hub=2))
    callers = ("anna", "boris", "carl", "dora")
    for caller in callers:
        town.post(f"{caller} called", 1, user_id=caller, phone="0441112233")
    assert town.events() == {person_id(f"user_id:{caller}"): [f"{caller} called"] for caller in callers}
    assert set(refusals(town.line).values()) == {"hub: 2"}


@pytest.mark.parametrize("shared", ["keep", "newest", "separate"])
def test_a_phone_number_that_another_person_has_years_later(shared: str) -> None:
    town = Town(shop(shared, phone={"per": 180 * DAY}))
    town.post("anna signs up", 10 * DAY, user_id="anna", phone="0501234567")
    town.post("anna replies", 60 * DAY, phone="0501234567")
    town.post("anna buys", 100 * DAY, user_id="anna", phone="0501234567")
    town.post("boris signs up", 400 * DAY, user_id="boris", phone="0501234567")
    town.post("boris replies", 410 * DAY, phone="0501234567")
    town.post("a reply found late", 90 * DAY, phone="0501234567", received_at=420 * DAY)
    assert town.events() == {
        ANNA: ["a reply found late", "anna buys", "anna replies", "anna signs up"],
        BORIS: ["boris replies", "boris signs up"],
    }
    assert persons(town.line) == [{"phone:+380501234567", "user_id:boris"}, {"user_id:anna"}]
    assert refusals(town.line) == {("user_id:anna", "phone:+380501234567"): "superseded: phone per 180d"}
    assert town.complete()


def test_a_phone_number_in_use_all_the_time_stays_with_its_owner() -> None:
    town = Town(shop(phone={"per": 180 * DAY}))
    for month in range(12):
        town.post(f"anna {month}", month * 30 * DAY, user_id="anna", phone="0501234567")
    town.post("boris signs up", 350 * DAY, user_id="boris", phone="0501234567")
    assert persons(town.line) == [{"phone:+380501234567", "user_id:anna"}, {"user_id:boris"}]
    assert refusals(town.line) == {("user_id:boris", "phone:+380501234567"): "limit: user_id 1"}


def test_a_recycled_number_without_accounts_joins_nobody() -> None:
    town = Town(shop(phone={"per": 180 * DAY}))
    town.post("anna orders", 1 * DAY, email="anna@example.com", phone="0501234567")
    town.post("boris orders", 400 * DAY, email="boris@example.com", phone="0501234567")
    assert town.histories() == [["anna orders"], ["boris orders"]]


@pytest.mark.parametrize("shared", ["keep", "newest", "separate"])
def test_a_guest_who_registers_later(shared: str) -> None:
    town = Town(shop(shared))
    town.post("guest checkout", 1, anonymous_id="laptop", email="anna@example.com")
    town.post("opened the receipt", 2, email="anna@example.com")
    town.post("registered", 3, anonymous_id="phone", user_id="anna", email="anna@example.com")
    town.post("browsed on the laptop", 4, anonymous_id="laptop")
    assert town.events() == {
        ANNA: ["browsed on the laptop", "guest checkout", "opened the receipt", "registered"],
    }
    assert refusals(town.line) == {}
    assert town.complete()


@pytest.mark.parametrize("shared", ["keep", "newest", "separate"])
def test_two_devices_and_one_login(shared: str) -> None:
    town = Town(shop(shared))
    for at, (name, device, user) in enumerate(
        [
            ("browsed phone", "phone", None),
            ("browsed laptop", "laptop", None),
            ("login phone", "phone", "anna"),
            ("login laptop", "laptop", "anna"),
            ("back on the phone", "phone", None),
        ],
        1,
    ):
        town.post(name, at, anonymous_id=device, **({"user_id": user} if user else {}))
    assert [len(events) for events in town.events().values()] == [5]
    assert list(town.events()) == [ANNA]


@pytest.mark.parametrize("shared", ["keep", "newest", "separate"])
def test_logins_on_two_devices_before_any_link_is_known(shared: str) -> None:
    town = Town(shop(shared), partitions=4)
    for at, device in enumerate(("phone", "laptop"), 1):
        town.queue(f"browsed {device}", at, anonymous_id=device)
        town.queue(f"login {device}", at + 2, anonymous_id=device, user_id="anna")
        town.queue(f"went on {device}", at + 4, anonymous_id=device)
    town.line.drain()
    assert list(town.events()) == [ANNA]
    assert len(town.events()[ANNA]) == 6
    assert town.complete()


def test_so_many_new_addresses_in_a_month_and_no_more() -> None:
    town = Town(rules(user_id={"limit": 1}, email={"limit": 2, "per": 30 * DAY}))
    for day, mail in [(0, "a"), (10, "b"), (20, "c"), (29, "d"), (45, "e"), (60, "d")]:
        town.post(f"{mail} on day {day}", day * DAY, user_id="anna", email=f"{mail}@example.com")
    assert refusals(town.line) == {("user_id:anna", "email:c@example.com"): "limit: email 2 per 30d"}
    (anna,) = (person for person in persons(town.line) if "user_id:anna" in person)
    assert anna == {"user_id:anna", *(f"email:{mail}@example.com" for mail in "abde")}
    assert [len(events) for events in town.events().values()] == [6]
