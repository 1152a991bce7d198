"""What a program that asks for a person is told, and that it is what the line itself says."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathline.simulation.report import Outcome
from processors.journeys.model import PERSONS
from schemas import topics
from schemas.codec import BadRecord
from schemas.identifiers import person_id
from schemas.records import Assertion, Update
from tests.profiles.lab import CODEC, START, Lab

ANN, ANN_MAIL, COOKIE = "user_id:ann", "email:ann@example.com", "anonymous_id:c1"


def signed_up(lab: Lab) -> None:
    lab.happen("", type="identify", userId="ann", traits={"email": "ann@example.com", "city": "Kyiv"})
    lab.happen("Signed Up", userId="ann", context={"consent": {"categoryPreferences": {"email": True}}})


def test_a_person_is_told_with_all_there_is_to_know() -> None:
    lab = Lab()
    signed_up(lab)
    lab.happen("Page Viewed", userId="ann", context={"channel": "web", "timezone": "Europe/Madrid"})
    lab.follow()
    told = lab.ask(ANN)
    assert told["person_id"] == person_id(ANN)
    assert told["identifiers"] == {"email": ["ann@example.com"], "user_id": ["ann"]}
    assert told["traits"] == {"city": "Kyiv", "email": "ann@example.com"}
    assert told["computed_traits"] == {"spent": 0}
    assert told["segments"] == []
    assert [(c["channel"], c["granted"], c["at"]) for c in told["consents"]] == [
        ("email", True, "2026-03-01T00:00:02.000Z")
    ]
    assert told["reachable"] == {"email": ["ann@example.com"]}
    assert (told["timezone"], told["first_seen"]) == ("Europe/Madrid", "2026-03-01T00:00:01.000Z")
    [journey] = told["journeys"]
    assert (journey["journey"], journey["step"], journey["kind"]) == ("welcome", "rest", "wait")
    assert (journey["since"], journey["until"]) == ("2026-03-01T00:00:02.000Z", "2026-03-02T00:00:02.000Z")
    assert [event["name"] for event in told["events"]] == ["Page Viewed", "Signed Up", "Identify"]
    assert told["events"][0]["channel"] == "web"


def test_what_changes_shows_with_the_next_record() -> None:
    lab = Lab()
    signed_up(lab)
    lab.happen("Order Completed", userId="ann", properties={"total": 20})
    lab.follow()
    told = lab.ask(ANN)
    assert told["computed_traits"] == {"spent": 20}
    assert "spent" not in told["traits"]
    assert (told["segments"], told["journeys"]) == (["buyers"], [])


def test_every_identifier_leads_to_the_person_and_earlier_ids_too() -> None:
    lab = Lab()
    lab.happen("Page Viewed", anonymousId="c1")
    signed_up(lab)
    lab.happen("Page Viewed", anonymousId="c1", userId="ann")
    lab.follow()
    told = lab.ask(ANN)
    for who in (ANN_MAIL, COOKIE, person_id(COOKIE), person_id(ANN)):
        assert lab.ask(who) == told
    assert told["earlier_ids"] == [person_id(COOKIE)]
    assert lab.names(ANN) == ["Page Viewed", "Signed Up", "Identify", "Page Viewed"]


def test_a_split_gives_back_what_a_merge_brought() -> None:
    lab = Lab()
    lab.happen("Product Viewed", anonymousId="c1")
    lab.happen("Logged In", anonymousId="c1", userId="ann")
    lab.follow()
    assert lab.names(COOKIE) == ["Logged In", "Product Viewed"]
    lab.assertion(Assertion(verb="unlink", a=COOKIE, author="t", reason="sold", at=lab.clock.now() + 1))
    lab.follow()
    assert lab.names(COOKIE) == ["Product Viewed"]
    assert lab.names(ANN) == ["Logged In"]
    assert lab.ask(person_id(COOKIE), "person_id") == {"person_id": person_id(COOKIE)}
    assert lab.ask(ANN, "earlier_ids") == {"earlier_ids": []}


def test_an_identifier_whose_link_was_refused_leads_to_whom_it_was_seen_with() -> None:
    lab = Lab()
    lab.happen("Logged In", userId="ann", anonymousId="c1")
    lab.happen("Signed Up", userId="ann", context={"traits": {"email": "a@example.com"}})
    lab.happen("Signed Up", userId="ann", context={"traits": {"email": "b@example.com"}})
    lab.happen("Signed Up", userId="ann", context={"traits": {"email": "c@example.com"}})
    lab.follow()
    assert lab.ask("email:c@example.com", "person_id") == {"person_id": person_id(ANN)}
    # until it does something itself: then it is somebody of its own, and tells nothing of ann
    lab.happen("Newsletter Read", context={"externalIds": [{"type": "email", "id": "c@example.com"}]})
    lab.follow()
    assert lab.ask("email:c@example.com", "person_id") == {"person_id": person_id("email:c@example.com")}
    assert lab.names("email:c@example.com") == ["Newsletter Read"]
    assert "Newsletter Read" not in lab.names(ANN)


def test_what_an_identifier_did_alone_shows_with_another_only_once_they_are_one_person() -> None:
    lab = Lab()
    lab.happen("Product Viewed", anonymousId="c1")
    lab.happen("Logged In", anonymousId="c1", userId="ann")
    for record in lab.line.outputs[topics.UPDATES][:2]:  # the graph has not answered yet
        lab.take(record.topic, record.key, record.value)
    assert (lab.names(ANN), lab.names(COOKIE)) == (["Logged In"], ["Product Viewed"])


def test_who_was_never_heard_of_is_nobody() -> None:
    lab = Lab()
    lab.follow()
    assert lab.ask("user_id:nobody") == lab.ask(person_id("user_id:nobody")) == {"nobody": "unknown"}


def test_the_forgotten_are_told_as_such_and_nothing_of_them_stays() -> None:
    lab = Lab()
    lab.happen("Page Viewed", anonymousId="c1")
    signed_up(lab)
    lab.happen("Page Viewed", anonymousId="c1", userId="ann")
    lab.happen("Page Viewed", userId="bob")
    lab.follow()
    lab.forget(ANN)
    lab.follow()
    for who in (ANN, ANN_MAIL, COOKIE, person_id(ANN), person_id(COOKIE)):
        assert lab.ask(who) == {"nobody": "erased"}, who
    assert lab.names("user_id:bob") == ["Page Viewed"]
    # journeys keep marks only, of themselves; what is left here names nobody
    kept = [pair for pair in lab.store.scan(b"\0", b"\xff") if not pair[0].startswith(b"j")]
    assert [pair for pair in kept if b"ann" in pair[0] + pair[1] or b"c1" in pair[0] + pair[1]] == []


def test_who_comes_back_after_being_forgotten_is_somebody_new() -> None:
    lab = Lab()
    signed_up(lab)
    lab.forget(ANN)
    lab.happen("Page Viewed", 60, userId="ann")
    lab.follow()
    assert lab.names(ANN) == ["Page Viewed"]
    assert lab.ask(ANN, "traits", "person_id") == {"person_id": person_id(ANN, 1), "traits": {}}
    assert lab.ask(person_id(ANN)) == {"nobody": "erased"}


def test_the_newest_events_are_kept_by_when_they_happened() -> None:
    lab = Lab(events=3)
    for number in range(5):
        lab.happen(f"E{number}", userId="ann")
    lab.happen("Old", userId="ann", timestamp="2020-01-01T00:00:00Z")
    lab.follow()
    assert lab.names(ANN) == ["E4", "E3", "E2"]
    assert [event["name"] for event in lab.ask(ANN, "events", events=1)["events"]] == ["E4"]


def test_a_profile_that_updates_forgot_is_that_of_the_state_and_no_older_one_hides_a_newer() -> None:
    lab = Lab()
    signed_up(lab)
    found = lab.records()
    # a store that begins when `updates` has expired: the state has all
    for key, value in found[f"{topics.changelog('journeys')}/0"]:
        lab.take(topics.changelog("journeys"), key, value)
    assert lab.ask(ANN, "traits")["traits"]["city"] == "Kyiv"
    lab.happen("", type="identify", userId="ann", traits={"city": "Lviv"})
    for record in lab.line.outputs[topics.UPDATES][-1:]:
        lab.take(record.topic, record.key, record.value)
    # journeys come behind what `updates` says
    for key, value in found[f"{topics.changelog('journeys')}/0"]:
        lab.take(topics.changelog("journeys"), key, value)
    assert lab.ask(ANN, "traits")["traits"]["city"] == "Lviv"


def test_a_state_of_journeys_that_can_not_be_read_hides_nothing_else() -> None:
    lab = Lab()
    signed_up(lab)
    lab.follow()
    lab.take(topics.changelog("journeys"), b"sperson\0" + person_id(ANN).encode(), b"\xc1garbage")
    told = lab.ask(ANN)
    assert (told["traits"]["city"], told["journeys"]) == ("Kyiv", [])


@pytest.mark.parametrize("profile", [b'{"consents": 5', b"[]", b'{"addresses": {"email": 7}}'])
def test_an_update_that_can_not_be_used_changes_nothing(profile: bytes) -> None:
    lab = Lab()
    signed_up(lab)
    lab.follow()
    told = lab.ask(ANN)
    bad = Update(kind="timer", person_id=person_id(ANN), at=START, profile=profile)
    with pytest.raises(BadRecord, match="profile"):
        lab.take(topics.UPDATES, b"", CODEC.encode(bad))
    for raw in (None, b"", b"\x00\x00\x00\x00\x07garbage"):
        for topic in (topics.UPDATES, *([topics.ASSIGNMENTS] if raw is not None else [])):
            with pytest.raises(BadRecord):
                lab.take(topic, ANN.encode(), raw)
    assert lab.ask(ANN) == told


# --- whatever happens, in whatever order the partitions are read ----------------------------------------------


def messages() -> st.SearchStrategy[list[dict[str, Any]]]:
    users, cookies, mails = st.sampled_from(["u1", "u2"]), st.sampled_from(["a1", "a2", "a3"]), st.sampled_from("xy")
    one = st.fixed_dictionaries(
        {"event": st.sampled_from(["Page Viewed", "Signed Up", "Order Completed"])},
        optional={
            "userId": users,
            "anonymousId": cookies,
            "context": mails.map(lambda name: {"traits": {"email": f"{name}@example.com"}}),
            "properties": st.fixed_dictionaries({"total": st.integers(1, 9)}),
        },
    )
    named = one.filter(lambda message: {"userId", "anonymousId", "context"} & message.keys())
    return st.lists(named, min_size=1, max_size=14)


@settings(max_examples=60, deadline=None)
@given(messages(), st.integers(0, 2**32), st.booleans())
def test_it_says_of_everybody_what_the_line_says(happened: list[dict[str, Any]], seed: int, at_once: bool) -> None:
    lab, chosen = Lab(), random.Random(seed)
    for message in happened:
        lab.happen(message.pop("event"), 60, **message)
        if not at_once and chosen.random() < 0.5:
            lab.follow(chosen)
    lab.follow(chosen)
    outcome = Outcome(lab.line, ["email"])
    events: dict[str, list[str]] = {}
    for person in outcome.people():
        for identifier in person["identifiers"]:
            told = lab.ask(identifier)
            assert told["person_id"] == person["person_id"], identifier
            assert told["traits"] | told["computed_traits"] == person["traits"]
            assert told["segments"] == person["segments"]
            assert [c["channel"] for c in told["consents"]] == [c["channel"] for c in person["consents"]]
            events[person["person_id"]] = sorted(event["event_id"] for event in told["events"])
        state = lab.line.state("journeys", PERSONS, person["person_id"])
        assert state is not None
        running = {id for slot in state.slots.held.values() if slot.state for id in slot.state.instances}
        assert {journey["instance_id"] for journey in told["journeys"]} == running
    # each event is with one person, and none is lost
    happened_ids = sorted(CODEC.decode(Update, r.value).event is not None for r in lab.line.outputs[topics.UPDATES])
    assert sum(map(len, events.values())) == sum(happened_ids)
    assert len({id for ids in events.values() for id in ids}) == sum(happened_ids)
