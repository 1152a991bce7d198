"""Who is who by `pathline simulate`: people.jsonl and links.jsonl, policy by policy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.line.project import Lab, Simulated, at, identify, track


def rules(lab: Lab, text: str) -> None:
    lab.files({"identity.yaml": f"identifiers:\n{text}"})


def people(done: Simulated) -> list[list[str]]:
    return sorted(person["identifiers"] for person in done.people)


def refused(done: Simulated) -> dict[tuple[str, str], str]:
    return {(link["a"], link["b"]): link["reason"] for link in done.links}


def counted(lab: Lab, events: list[dict[str, Any]], until: str) -> dict[str, int]:
    """How many of the events named Seen each person has, by its strongest identifier."""
    for number in range(1, len(events) + 1):
        lab.segment(f"seen_{number}", f"did: Seen\ncount: {{exactly: {number}}}")
    done = lab.simulate(events, until)
    return {
        person["identifiers"][-1]: int(segment.removeprefix("seen_"))
        for person in done.people
        for segment in person["segments"]
    }


@pytest.mark.parametrize(
    ("shared", "owners", "reason"),
    [
        ("keep", {"user_id:anna": 4, "user_id:boris": 1}, "limit: user_id 1"),
        ("newest", {"user_id:anna": 3, "user_id:boris": 2}, "superseded: user_id 1"),
        ("separate", {"user_id:anna": 3, "user_id:boris": 1, "anonymous_id:tablet": 1}, "separate: user_id 1"),
    ],
)
def test_a_tablet_with_two_logins(lab: Lab, shared: str, owners: dict[str, int], reason: str) -> None:
    rules(lab, f"  user_id: {{limit: 1}}\n  anonymous_id: {{limit: 100, shared: {shared}}}\n")
    events = [
        track("Seen", at(minutes=1), None, anonymousId="tablet"),
        track("Seen", at(minutes=2), "anna", anonymousId="tablet"),
        track("Seen", at(minutes=3), None, anonymousId="tablet"),
        track("Seen", at(minutes=4), "boris", anonymousId="tablet"),
        track("Seen", at(minutes=5), None, anonymousId="tablet"),
    ]
    assert counted(lab, events, at(days=1)) == owners
    assert set(refused(lab.simulate(events, at(days=1))).values()) == {reason}


def test_the_same_events_in_another_order_of_the_file_give_the_same_people(lab: Lab) -> None:
    events = [
        identify(at(minutes=1), "anna", traits={"email": "family@example.com"}),
        identify(at(minutes=2), "boris", traits={"email": "family@example.com"}),
        track("Seen", at(minutes=3), None, context={"traits": {"email": "Family@Example.com"}}),
        track("Seen", at(minutes=4), "anna", anonymousId="cookie"),
    ]
    first, second = lab.simulate(events, at(days=1)), lab.simulate(events[::-1], at(days=1))
    assert first.people == second.people
    assert first.links == second.links
    assert refused(first) == {("user_id:boris", "email:family@example.com"): "limit: user_id 1"}


def test_a_kiosk_joins_nobody_and_all_its_links_are_refused(lab: Lab) -> None:
    rules(lab, "  user_id: {limit: 1}\n  email: {limit: 5}\n  anonymous_id: {}\nhub: 2\n")
    mails = [f"guest{number}@example.com" for number in range(3)]
    events = [
        track("Seen", at(minutes=number), None, anonymousId="kiosk", context={"traits": {"email": mail}})
        for number, mail in enumerate(mails)
    ]
    done = lab.simulate(events, at(days=1))
    assert people(done) == [[f"email:{mail}"] for mail in mails]
    assert refused(done) == {(f"email:{mail}", "anonymous_id:kiosk"): "hub: 2" for mail in mails}


def test_a_recycled_phone_number_goes_to_its_new_owner(lab: Lab) -> None:
    rules(lab, "  user_id: {limit: 1}\n  phone: {limit: 1, per: 90d, normalize: phone, region: UA}\n")
    phone = {"traits": {"phone": "050 123 45 67"}}
    events = [
        track("Seen", at(), "anna", context=phone),
        track("Seen", at(days=1), None, context=phone),
        track("Seen", at(days=200), "boris", context=phone),
        track("Seen", at(days=201), None, context=phone),
    ]
    assert counted(lab, events, at(days=300)) == {"user_id:anna": 2, "user_id:boris": 2}
    done = lab.simulate(events, at(days=300))
    assert people(done) == [["phone:+380501234567", "user_id:boris"], ["user_id:anna"]]
    assert refused(done) == {("user_id:anna", "phone:+380501234567"): "superseded: phone per 90d"}


def test_one_new_address_a_month(lab: Lab) -> None:
    rules(lab, "  user_id: {limit: 1}\n  email: {limit: 1, per: 30d, normalize: email}\n")
    days = [(0, "a"), (10, "b"), (31, "c")]
    events = [identify(at(days=day), "anna", traits={"email": f"{mail}@example.com"}) for day, mail in days]
    done = lab.simulate(events, at(days=90))
    assert people(done) == [["email:a@example.com", "email:c@example.com", "user_id:anna"]]
    assert refused(done) == {("user_id:anna", "email:b@example.com"): "limit: email 1 per 30d"}


def test_what_must_not_be_stored_is_in_none_of_the_files(lab: Lab) -> None:
    rules(lab, "  user_id: {limit: 1}\n  email: {limit: 5, normalize: email, hash: true}\n")
    events = [identify(at(), "anna", traits={"email": "Anna@Example.com", "city": "Kyiv"})]
    done = lab.simulate(events, at(days=1))
    assert "nna@" not in str(done)
    (person,) = done.people
    assert person["identifiers"][0].startswith("email:")
    assert person["traits"]["city"] == "Kyiv"
