"""Segments synced to audiences: who joins and who leaves, each once, and by what the network knows people."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import orjson
import pytest

from schemas import reasons
from schemas.definitions import parse
from schemas.definitions.hoisting import EXCLUDED
from schemas.records import SendCommand
from tests.journeys.lab import Lab, at
from tests.line import project as whole


@pytest.fixture
def shop(lab: Lab) -> Lab:
    lab.files["channels.yaml"] += "google_ads: {kind: audience, connector: webhook, consent: opt_in}\n"
    lab.file("segments/vip.yaml", "name: vip\nwhen: {trait: vip, equals: true}\nsync: [google_ads]\n")
    lab.customer(consent=["google_ads"])
    return lab


def hashed(address: str) -> str:
    return sha256(address.encode()).hexdigest()


def told(lab: Lab) -> list[tuple[str, str, list[str]]]:
    """(what, audience, hashes) of each command in order."""
    return [(c.template, c.step, [one["hash"] for one in orjson.loads(c.content)]) for c in _commands(lab)]


def _commands(lab: Lab) -> list[SendCommand]:
    return [command for command in lab.sends() if command.channel == "google_ads"]


MAIL = hashed("u1@example.com")


def test_who_enters_joins_and_who_leaves_leaves(shop: Lab) -> None:
    shop.event("Page", at(), changes=[("vip", "entered")])
    shop.event("Page", at(minutes=1))
    shop.event("Page", at(minutes=2), changes=[("vip", "left")])
    shop.event("Page", at(minutes=3), changes=[("vip", "entered")])
    assert told(shop) == [("join", "vip", [MAIL]), ("leave", "vip", [MAIL]), ("join", "vip", [MAIL])]
    assert len({command.send_id for command in _commands(shop)}) == 3
    assert {command.category for command in _commands(shop)} == {"audience"}
    assert [(d.at, d.reason, d.channel) for d in shop.decisions()] == [
        (at(), reasons.JOINED, "google_ads"),
        (at(minutes=2), reasons.LEFT, "google_ads"),
        (at(minutes=3), reasons.JOINED, "google_ads"),
    ]


def test_nothing_but_hashes_is_told(shop: Lab) -> None:
    shop.event("Page", at(), changes=[("vip", "entered")])
    (command,) = _commands(shop)
    assert orjson.loads(command.content) == [{"type": "email", "hash": MAIL}]
    assert command.to == ""


def test_without_consent_nobody_joins_and_who_withdraws_it_leaves(shop: Lab) -> None:
    shop.customer("user_id:u2", consent=["email"])
    shop.event("Page", at(), "user_id:u2", changes=[("vip", "entered")])
    assert told(shop) == []
    assert [(d.reason, d.channel) for d in shop.decisions()] == [(reasons.NO_CONSENT, "google_ads")]
    shop.event("Page", at(minutes=1), changes=[("vip", "entered")])
    choice = {"address": "", "channel": "google_ads", "purpose": "", "granted": False, "at": at(minutes=2)}
    shop.profiles["user_id:u1"]["consents"].append(choice)
    shop.event("Page", at(minutes=2))
    assert [what for what, _, _ in told(shop)] == ["join", "leave"]
    shop.profiles["user_id:u1"]["consents"].append(choice | {"granted": True, "at": at(minutes=3)})
    shop.event("Page", at(minutes=3))
    assert [what for what, _, _ in told(shop)] == ["join", "leave", "join"]


def test_whom_the_project_excludes_is_in_no_audience(shop: Lab) -> None:
    shop.file("project.yaml", "name: shop\nexclude: {trait: staff, equals: true}\n")
    shop.event("Page", at(), changes=[("vip", "entered")])
    shop.event("Identify", at(minutes=1), changes=[(EXCLUDED, "entered")])
    shop.event("Page", at(minutes=2))
    assert [what for what, _, _ in told(shop)] == ["join", "leave"]


def test_an_address_that_complained_is_not_told(shop: Lab) -> None:
    shop.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    shop.profiles["user_id:u1"]["suppressed"] = {"u1@example.com": "marketing"}
    shop.event("Page", at(), changes=[("vip", "entered")])
    assert told(shop) == [("join", "vip", [hashed("+380501234567")])]


def test_a_new_address_joins_and_one_that_is_gone_leaves(shop: Lab) -> None:
    shop.event("Page", at(), changes=[("vip", "entered")])
    shop.profiles["user_id:u1"]["addresses"]["email"] = ["new@example.com"]
    shop.event("Page", at(minutes=1))
    assert told(shop)[1:] == [("join", "vip", [hashed("new@example.com")]), ("leave", "vip", [MAIL])]


def test_at_a_merge_the_absorbed_person_leaves_and_the_survivor_joins(shop: Lab) -> None:
    shop.customer("user_id:u2", consent=["google_ads"])
    shop.event("Page", at(), "user_id:u2", changes=[("vip", "entered")])
    shop.event("Page", at(minutes=1))
    shop.move({"user_id:u2": 2}, "user_id:u2", "user_id:u1", at(hours=1))
    addresses = {"user_id": ["u1", "u2"], "email": ["u1@example.com", "u2@example.com"]}
    shop.arrived({"user_id:u2": 2}, "user_id:u1", at(hours=1), [("vip", "entered")], addresses=addresses)
    theirs = hashed("u2@example.com")
    assert [(what, set(hashes)) for what, _, hashes in told(shop)] == [
        ("join", {theirs}),
        ("leave", {theirs}),
        ("join", {MAIL, theirs}),
    ]
    first, second, third = (command.person_id for command in _commands(shop))
    assert first == second != third


def test_who_is_forgotten_leaves(shop: Lab) -> None:
    shop.event("Page", at(), changes=[("vip", "entered")])
    shop.erase("user_id:u1", at(hours=1))
    assert [what for what, _, _ in told(shop)] == ["join", "leave"]


def test_other_definitions_let_people_join_and_leave_who_do_nothing(lab: Lab) -> None:
    lab.customer(consent=["google_ads"])
    lab.marker(parse(lab.files).version, at(days=-1))
    lab.event("Page", at(), changes=[("vip", "entered")])
    plain = dict(lab.files)
    lab.files["channels.yaml"] += "google_ads: {kind: audience, connector: webhook, consent: opt_in}\n"
    lab.file("segments/vip.yaml", "name: vip\nwhen: {trait: vip, equals: true}\nsync: [google_ads]\n")
    for files, when in ((lab.files, at(hours=1)), (plain, at(hours=2))):
        lab.until(when)
        published = parse(files)
        lab.source.publish(published)
        lab.marker(published.version, when)
        lab.until(when)
    assert [(c.template, c.at) for c in _commands(lab)] == [("join", at(hours=1)), ("leave", at(hours=2))]


def test_simulate_tells_it_in_the_decisions(tmp_path: Path) -> None:
    shop = whole.Lab(tmp_path)
    shop.files(
        {
            "channels.yaml": "google_ads: {kind: audience, connector: webhook, consent: opt_in}\nemail: {}\n",
            "segments/fans.yaml": "name: fans\nwhen: {did: Liked, within: 1h}\nsync: [google_ads]\n",
        }
    )
    allowed = whole.granted("google_ads")
    who = whole.identify(whole.at(days=-1), "u1", traits={"email": "U1@example.com"}, context=allowed)
    done = shop.simulate([who, whole.track("Liked", whole.at(), "u1")], whole.at(days=1))
    assert not done.sends
    assert [(d["at"], d["reason"], d["channel"], d["detail"]) for d in done.decisions] == [
        (whole.at(), "joined", "google_ads", "audience fans"),
        (whole.at(hours=1), "left", "google_ads", "audience fans"),
    ]
