"""What users of other products complain about, and what happens here instead.

Undoing a merge is in `test_steering`, a crash in the middle in `test_kill`, erasure in `tests/erasure`, what counts
twice or is lost in `test_conservation` and `test_slots`, shared devices and the like by policy in `test_situations`.
"""

from __future__ import annotations

import pytest

from processors.graph import settle
from processors.graph.model import NODES
from schemas.identifiers import person_id
from tests.graph.rules import graph, link, moves, persons, refusals, rules, shop
from tests.graph.test_assertions import tell
from tests.identity.crowd import Town


def test_a_login_brings_the_anonymous_history_along() -> None:
    town = Town(shop())
    town.post("viewed", 1, anonymous_id="cookie")
    town.post("added", 2, anonymous_id="cookie")
    town.post("logged in", 3, anonymous_id="cookie", user_id="anna")
    town.post("viewed again", 4, anonymous_id="cookie")
    assert town.events() == {person_id("user_id:anna"): ["added", "logged in", "viewed", "viewed again"]}
    assert town.complete()


def test_whoever_is_first_seen_logged_in_needs_no_merge() -> None:
    town = Town(shop())
    town.post("bought", 1, user_id="anna")
    assert town.events() == {person_id("user_id:anna"): ["bought"]}
    assert town.line.outputs["identity.links"] == []


def test_a_shared_device_does_not_merge_two_people() -> None:
    town = Town(shop())
    town.post("anna in", 1, anonymous_id="tablet", user_id="anna")
    town.post("boris in", 2, anonymous_id="tablet", user_id="boris")
    assert town.events() == {person_id("user_id:anna"): ["anna in"], person_id("user_id:boris"): ["boris in"]}
    assert refusals(town.line) == {("user_id:boris", "anonymous_id:tablet"): "limit: user_id 1"}


def test_a_logout_that_keeps_the_cookie_does_not_join_two_accounts() -> None:
    town = Town(shop())
    town.post("anna in", 1, anonymous_id="cookie", user_id="anna", email="anna@example.com")
    town.post("logged out", 2, anonymous_id="cookie")
    town.post("boris in", 3, anonymous_id="cookie", user_id="boris", email="boris@example.com")
    assert persons(town.line) == [
        {"anonymous_id:cookie", "email:anna@example.com", "user_id:anna"},
        {"email:boris@example.com", "user_id:boris"},
    ]
    assert town.histories() == [["anna in", "logged out"], ["boris in"]]


@pytest.mark.parametrize("value", ["null", "", "  null ", None, True])
def test_null_ids_of_many_visitors_join_nobody(value: object) -> None:
    town = Town(shop())
    for visitor in range(5):
        town.post(f"visit {visitor}", visitor + 1, user_id=value, anonymous_id=f"v{visitor}")
    assert town.histories() == [[f"visit {visitor}"] for visitor in range(5)]
    assert town.line.outputs["identity.links"] == []


def test_a_value_blocked_since_it_entered_the_line_joins_nobody() -> None:
    town = Town(shop())
    lenient = Town(rules(user_id={"limit": 1}, anonymous_id={}))
    lenient.rules = rules(user_id={}, anonymous_id={})
    lenient.rules = type(lenient.rules)(lenient.rules.types, frozenset())
    for visitor in range(3):
        lenient.queue(f"visit {visitor}", visitor + 1, user_id="null", anonymous_id=f"v{visitor}")
    for record in lenient.line.outputs["events"]:
        town.line.publish("events", (record.key or b"").decode(), record.value)
    town.line.drain()
    assert town.histories() == [["visit 0"], ["visit 1"], ["visit 2"]]
    assert town.line.outputs["identity.links"] == []


def test_two_identified_users_stay_two_also_when_they_share_an_address() -> None:
    town = Town(shop())
    town.post("old account", 1, user_id="1", email="anna@example.com")
    town.post("new account", 2, user_id="2", email="Anna@Example.com ")
    town.post("mailed", 3, email="anna@example.com")
    assert town.events() == {
        person_id("user_id:1"): ["mailed", "old account"],
        person_id("user_id:2"): ["new account"],
    }


def test_what_belongs_together_is_merged_also_without_a_login_in_common() -> None:
    town = Town(shop())
    town.post("phone app", 1, anonymous_id="app", email="anna@example.com")
    town.post("laptop", 2, anonymous_id="laptop", phone="050 123 45 67")
    town.post("till", 3, email="anna@example.com", phone="+380501234567")
    assert town.histories() == [["laptop", "phone app", "till"]]
    assert town.complete()


def test_two_devices_become_one_person_with_the_first_login_on_each() -> None:
    town = Town(shop())
    town.post("browsed phone", 1, anonymous_id="phone")
    town.post("browsed laptop", 2, anonymous_id="laptop")
    town.post("login phone", 3, anonymous_id="phone", user_id="anna")
    town.post("login laptop", 4, anonymous_id="laptop", user_id="anna")
    town.post("late", 1, anonymous_id="laptop")
    everything = ["browsed laptop", "browsed phone", "late", "login laptop", "login phone"]
    assert town.events() == {person_id("user_id:anna"): everything}


def test_a_kiosk_joins_nobody_and_what_it_had_joined_is_taken_apart() -> None:
    town = Town(shop(hub=3))
    town.post("kiosk first", 0, anonymous_id="kiosk")
    for visitor in range(3):
        town.post(f"visit {visitor}", visitor + 1, anonymous_id="kiosk", email=f"v{visitor}@example.com")
    assert town.histories() == [["kiosk first", "visit 0", "visit 1", "visit 2"]]
    town.post("visit 3", 4, anonymous_id="kiosk", email="v3@example.com")
    town.post("kiosk last", 5, anonymous_id="kiosk")
    assert town.histories() == [["kiosk first", "kiosk last"], ["visit 0"], ["visit 1"], ["visit 2"], ["visit 3"]]
    assert set(refusals(town.line).values()) == {"hub: 3"}
    assert len(refusals(town.line)) == 4
    assert {envelope.move.reason for envelope in moves(town.line)[-3:] if envelope.move} == {"split"}
    assert town.complete()


def test_a_person_is_bounded_by_the_limits_of_its_types() -> None:
    town = Town(rules(user_id={"limit": 1}, anonymous_id={"limit": 3}))
    for device in range(10):
        town.post(f"login {device}", device + 1, user_id="anna", anonymous_id=f"d{device}")
    assert max(len(person) for person in persons(town.line)) == 4
    assert town.events() == {person_id("user_id:anna"): sorted(f"login {device}" for device in range(10))}
    assert set(refusals(town.line).values()) == {"limit: anonymous_id 3"}


def test_anonymous_history_comes_along_at_every_login_not_only_at_the_first() -> None:
    town = Town(shop())
    for visit in range(3):
        town.post(f"browsed {visit}", 3 * visit + 1, anonymous_id=f"cookie {visit}")
        town.post(f"logged in {visit}", 3 * visit + 2, anonymous_id=f"cookie {visit}", user_id="anna")
    assert list(town.events()) == [person_id("user_id:anna")]
    assert [len(events) for events in town.events().values()] == [6]


def test_an_account_whose_id_was_made_anew_is_one_person_again_when_somebody_says_so() -> None:
    town = Town(shop())
    town.post("with the old id", 1, user_id="old", email="anna@example.com")
    town.post("with the new id", 2, user_id="new", email="anna@example.com")
    assert town.histories() == [["with the new id"], ["with the old id"]]
    tell(town.line, "always", "user_id:old", "user_id:new")
    town.line.drain()
    assert town.histories() == [["with the new id", "with the old id"]]
    assert town.complete()


def test_a_person_with_hundreds_of_identifiers_is_merged_in_one_move_and_the_line_goes_on() -> None:
    town = Town(rules(None, user_id={"limit": 1}, email={}, anonymous_id={}))
    for number in range(100):
        for mail in ("a", "b"):
            town.queue(f"{mail} {number}", number, email=f"{mail}@example.com", anonymous_id=f"{mail}{number}")
    town.line.drain()
    before = len(moves(town.line))
    town.post("both", 1_000, email="a@example.com", user_id="anna")
    town.post("both again", 1_001, email="b@example.com", user_id="anna")
    assert len(moves(town.line)) == before + 2
    assert [len(events) for events in town.events().values()] == [202]
    assert town.complete()


def test_an_earlier_link_that_arrives_late_takes_the_place_of_a_later_one() -> None:
    town = Town(shop())
    town.post("boris in", 5, anonymous_id="tablet", user_id="boris")
    town.post("on the tablet", 6, anonymous_id="tablet")
    town.post("anna in", 2, anonymous_id="tablet", user_id="anna", received_at=7)
    assert town.events() == {
        person_id("user_id:anna"): ["anna in", "on the tablet"],
        person_id("user_id:boris"): ["boris in"],
    }
    assert refusals(town.line) == {("user_id:boris", "anonymous_id:tablet"): "limit: user_id 1"}
    assert town.complete()


def test_an_event_without_a_usable_identifier_is_a_dead_letter_and_the_line_goes_on() -> None:
    town = Town(rules(anonymous_id={}))
    other = Town(rules(user_id={}, anonymous_id={}))
    other.queue("lost", 1, user_id="anna")
    (record,) = other.line.outputs["events"]
    town.line.publish("events", "user_id:anna", record.value)
    town.post("fine", 2, anonymous_id="1")
    (letter,) = town.line.outputs["dead-letters"]
    assert letter.value == record.value
    assert dict(letter.headers)["message"] == b"no usable identifier"
    assert town.histories() == [["fine"]]


def test_identifiers_without_events_of_their_own_are_known_to_their_person() -> None:
    town = Town(shop())
    town.post("identified", 1, user_id="anna", email="anna@example.com", phone="0501234567")
    assert town.identifiers() == [{"email:anna@example.com", "phone:+380501234567", "user_id:anna"}]


def test_one_card_used_for_everybody_stays_small_and_joins_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "KEPT", 20)
    identity = rules(loyalty_card={"limit": 1}, email={"limit": 2})
    links = [("loyalty_card:0000", f"email:{number}@example.com", 100 - number) for number in range(100)]
    line = graph(identity)
    for a, b, at in links:
        link(line, a, b, at)
    node = line.state("graph", NODES, "loyalty_card:0000")
    assert node is not None
    assert len(node.links) <= 20 + 2
    joined = next(person for person in persons(line) if "loyalty_card:0000" in person)
    assert joined == {"loyalty_card:0000", "email:99@example.com", "email:98@example.com"}
    assert len(refusals(line)) == 98
