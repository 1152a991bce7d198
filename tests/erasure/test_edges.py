"""Forgetting where it is not simple: shared devices, suppressed addresses, sends under way, moved persons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from processors.graph.model import NODES
from processors.segments.model import PEOPLE
from schemas import topics
from schemas.definitions import load
from schemas.identifiers import person_id
from schemas.records import LedgerEntry, Update
from tests.erasure.line import CODEC, Whole
from tests.erasure.test_whole_line import CART, IDENTITY, MAIL, T, ann, events_of, ms
from tests.line.project import Lab, at, granted, identify, track


@pytest.fixture
def line(tmp_path: Path) -> Whole:
    lab = Lab(tmp_path)
    lab.files({"identity.yaml": IDENTITY})
    lab.journey("cart", CART)
    return Whole(load(lab.folder), ms(at(days=-1)))


def profile(line: Whole, person: str) -> dict[str, Any]:
    import orjson

    updates = [CODEC.decode(Update, record.value) for record in line.line.outputs[topics.UPDATES]]
    found = [u.profile for u in updates if u.person_id == person and u.profile is not None]
    known: dict[str, Any] = orjson.loads(found[-1])
    return known


def test_a_device_that_others_used_stays_theirs(line: Whole) -> None:
    """Ben used it first, then Ann, then Ben again: Ann's time on it is dead, Ben's is his."""
    line.happen(identify(at(minutes=1), "ben", anonymousId="d"))
    line.happen(track("Page", at(minutes=2), None, anonymousId="d"))
    line.happen(identify(at(minutes=3), "u1", anonymousId="d"))
    line.happen(track("Secret", at(minutes=4), None, anonymousId="d"))
    line.forget("user_id:u1", T)
    assert line.traces(["user_id:u1"]) == []
    applied = len(events_of(line))
    line.happen(track("Secret", at(minutes=5), None, anonymousId="d"), received_at=T + 1)
    assert len(events_of(line)) == applied
    line.happen(track("Page", at(days=2), None, anonymousId="d"))
    assert events_of(line)[-1] == ("Page", person_id("user_id:ben"))
    line.happen(track("Page", at(minutes=2, seconds=9), None, anonymousId="d", messageId="late"), received_at=T + 2)
    assert events_of(line)[-1] == ("Page", person_id("user_id:ben"))


def test_who_has_the_device_now_keeps_it_when_its_former_user_is_forgotten(line: Whole) -> None:
    line.happen(identify(at(minutes=1), "u1", anonymousId="d"))
    line.happen(track("Secret", at(minutes=2), None, anonymousId="d"))
    line.happen(identify(at(minutes=3), "ben", anonymousId="d"))
    line.happen(track("Page", at(minutes=4), None, anonymousId="d"))
    line.forget("user_id:u1", T)
    assert line.traces(["user_id:u1"]) == []
    held = {person: state.slots.held for person, state in line.line.states("segments", PEOPLE) if state.slots.held}
    assert set(held) == {person_id("user_id:ben")}
    assert "anonymous_id:d#0" not in held[person_id("user_id:ben")]
    line.happen(track("Page", at(days=2), None, anonymousId="d"))
    assert events_of(line)[-1] == ("Page", person_id("user_id:ben"))


def bounced(line: Whole) -> None:
    line.happen(
        {
            **track("Email Bounced", at(hours=3), None, properties={"bounce_type": "hard", "address": MAIL}),
            "context": {"externalIds": [{"type": "email", "id": MAIL}]},
        }
    )


@pytest.mark.parametrize("again", ["u1", "other"])
def test_an_address_that_bounced_stays_suppressed_for_who_signs_up_with_it(line: Whole, again: str) -> None:
    ann(line)
    bounced(line)
    line.forget("user_id:u1", T)
    assert line.traces([MAIL]) == []
    context = granted("email")
    line.happen(identify(at(days=2), again, traits={"email": MAIL}, context=context))
    line.happen(track("Product Added", at(days=2, minutes=1), again))
    person = person_id(f"user_id:{again}", 1 if again == "u1" else 0)
    assert profile(line, person)["suppressed"] == {MAIL: "all"}
    line.line.advance(ms(at(days=4)))
    assert len(line.post.sent) == 1


def test_a_person_who_is_not_suppressed_is_written_to_again(line: Whole) -> None:
    ann(line)
    line.forget("user_id:u1", T)
    line.happen(identify(at(days=2), "u1", traits={"email": MAIL}, context=granted("email")))
    line.happen(track("Product Added", at(days=2, minutes=1), "u1"))
    line.line.advance(ms(at(days=3)))
    assert len(line.post.sent) == 2


def test_a_send_that_waits_for_its_provider_is_never_made(line: Whole) -> None:
    line.post.away = True
    ann(line, until=ms(at(hours=2)))
    states = [CODEC.decode(LedgerEntry, r.value).state for r in line.line.outputs["email.ledger"] if r.value]
    assert states[-1] == "deferred"
    line.forget("user_id:u1", ms(at(hours=2)))
    line.post.away = False
    line.line.advance(ms(at(days=9)))
    assert line.post.sent == []
    assert line.line.outputs["email.ledger"][-1].value is None


def test_a_link_older_than_the_erasure_joins_nobody_and_a_newer_one_does(line: Whole) -> None:
    ann(line)
    line.forget("user_id:u1", T)
    old = identify(at(hours=5), "new", traits={"email": MAIL})
    line.happen(old, received_at=T + 1)
    nodes = dict(line.line.states("graph", NODES))
    assert f"email:{MAIL}" not in nodes
    line.happen(identify(at(days=2), "new", traits={"email": MAIL}))
    nodes = dict(line.line.states("graph", NODES))
    assert nodes[f"email:{MAIL}"].person == person_id("user_id:new")


def test_forgetting_twice_and_forgetting_nobody_is_harmless(line: Whole) -> None:
    ann(line)
    for _ in range(2):
        line.forget("user_id:u1", T)
        line.forget("user_id:nobody", T)
    assert not line.line.outputs[topics.DEAD_LETTERS]
    line.happen(identify(at(days=2), "u1", traits={"email": MAIL}))
    assert len({person for _, person in events_of(line)[-1:]}) == 1


def test_a_split_person_is_forgotten_without_the_part_that_left(line: Whole, request: Any) -> None:
    from schemas.records import Assertion, LinkEnvelope

    ann(line)
    never = Assertion(verb="never", a="user_id:u1", b="anonymous_id:a2", author="t", reason="", at=T - 1)
    line.line.publish(topics.LINKS, "links", CODEC.encode(LinkEnvelope(kind="assertion", assertion=never)))
    line.line.drain()
    line.forget("user_id:u1", T)
    assert line.traces(["user_id:u1", f"email:{MAIL}", "anonymous_id:a1"]) == []
    held = {person: state.slots.held for person, state in line.line.states("segments", PEOPLE) if state.slots.held}
    assert set(held) == {person_id("anonymous_id:a2")}
