"""The person's time zone: told, else taken from the place or the phone number, else the project's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.line.project import Lab, at, granted, identify, track

CHANNELS = """
email: {connector: smtp, consent: opt_in, quiet: "21:00-08:00"}
sms: {connector: smpp, consent: opt_in, quiet: "21:00-08:00"}
"""
TOKYO, KYIV, BERLIN = "+81312345678", "+380501234567", "+4915112345678"


@pytest.fixture
def shop(tmp_path: Path) -> Lab:
    """A shop in Kyiv that writes at once, but for quiet hours. At START it is 14:00 in Kyiv, 21:00 in Tokyo."""
    lab = Lab(tmp_path)
    lab.files({"project.yaml": "name: shop\ntimezone: Europe/Kyiv", "channels.yaml": CHANNELS})
    lab.journey("j", "enter: {event: Go}\nsteps:\n  - send: {template: hello, channels: [email]}\n")
    return lab


def person(traits: dict[str, Any], **context: Any) -> dict[str, Any]:
    traits = {"email": "u1@example.com", **traits}
    return identify(at(days=-1), "u1", traits=traits, context={**granted("email", "sms"), **context})


def sent(lab: Lab, *messages: dict[str, Any]) -> list[str]:
    return [s["at"] for s in lab.simulate([*messages, track("Go", at())], at(days=1)).sends]


NOW, MORNING_IN_TOKYO = [at()], [at(hours=11)]


@pytest.mark.parametrize(
    ("traits", "context", "when"),
    [
        ({}, {}, NOW),
        ({"phone": TOKYO}, {}, MORNING_IN_TOKYO),
        ({}, {"location": {"country": "Japan"}}, MORNING_IN_TOKYO),
        ({}, {"geo": {"latitude": 35.68, "longitude": 139.69}}, MORNING_IN_TOKYO),
        ({"phone": KYIV}, {"location": {"country": "JP"}}, MORNING_IN_TOKYO),
        ({"phone": TOKYO}, {"timezone": "Europe/Kyiv"}, NOW),
        ({"phone": TOKYO, "timezone": "Europe/Kyiv"}, {"timezone": "Asia/Tokyo"}, NOW),
        ({"phone": TOKYO, "timezone": "nowhere"}, {"location": {"country": "US"}}, MORNING_IN_TOKYO),
        ({"phone": "+61412345678"}, {}, NOW),
    ],
)
def test_the_zone_of_a_person(shop: Lab, traits: dict[str, Any], context: dict[str, Any], when: list[str]) -> None:
    assert sent(shop, person(traits, **context)) == when


def test_the_number_used_last_that_says_a_zone_counts(shop: Lab) -> None:
    events = [person({"phone": BERLIN}), identify(at(hours=-2), traits={"phone": TOKYO})]
    assert sent(shop, *events) == MORNING_IN_TOKYO
    assert sent(shop, *events, identify(at(hours=-1), traits={"phone": BERLIN})) == NOW


def test_the_place_seen_last_counts(shop: Lab) -> None:
    there = [track("Seen", at(hours=-h), context={"location": {"country": c}}) for h, c in ((9, "JP"), (5, "UA"))]
    assert sent(shop, person({}), *there) == NOW
    assert sent(shop, person({}), *reversed(there), track("Seen", at(hours=-1), context={"location": None})) == NOW


@pytest.mark.parametrize(
    ("rules", "when"),
    [
        ("timezone: Europe/Kyiv\nzone_from: []", NOW),
        ("timezone: Europe/Kyiv\nzone_from: [phone]", MORNING_IN_TOKYO),
        ("timezone: Europe/Kyiv\nzone_from: [location]", NOW),
        ("timezone: UTC", NOW),
        ("currency: UAH", NOW),  # in UTC, without a word about where its people are
        ("timezone: UTC\nzone_from: [phone]", MORNING_IN_TOKYO),
    ],
)
def test_what_tells_the_zone_is_up_to_the_project(shop: Lab, rules: str, when: list[str]) -> None:
    shop.files({"project.yaml": f"name: shop\n{rules}\n"})
    assert sent(shop, person({"phone": TOKYO})) == when


def test_conditions_by_the_clock_go_by_it_too(shop: Lab) -> None:
    shop.segment("evening", 'time: {from: "21:00", to: "22:00"}')
    done = shop.simulate([person({"phone": TOKYO}), track("Go", at(minutes=10))], at(days=1))
    assert (at(), "entered", "timer") in done.changes("evening")


def test_a_wait_until_a_time_of_day_moves_with_the_number(shop: Lab) -> None:
    until = '  - wait: {until: "23:00"}\n  - send: {template: hello, channels: [email]}\n'
    shop.files({"channels.yaml": "email: {connector: smtp}"})
    shop.journey("j", f"enter: {{event: Go}}\nsteps:\n{until}")
    done = shop.simulate([person({}), track("Go", at()), identify(at(hours=1), traits={"phone": TOKYO})], at(days=1))
    assert [s["at"] for s in done.sends] == [at(hours=2)]
