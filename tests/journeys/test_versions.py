"""Which definition holds for whom, and records that can't be used."""

from __future__ import annotations

import msgspec
import pytest

from schemas import reasons, topics
from schemas.definitions import parse
from schemas.identifiers import person_id, slot_of
from schemas.records import Update
from tests.journeys.lab import SEND, Lab, at

CART = "enter: {event: Product Added}\nsteps:\n  - wait: 1h\n" + SEND


def test_a_new_version_holds_from_its_marker_on_and_not_for_those_inside(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    lab.customer("user_id:u2")
    first = parse(lab.files)
    lab.journey("cart", CART.replace("1h", "2h"))
    second = parse(lab.files)
    lab.journey("cart", CART)
    lab.marker(first.version, at(days=-1))
    lab.source.publish(second)
    lab.event("Product Added", at(), "user_id:u1")
    lab.marker(second.version, at(minutes=1))
    lab.event("Product Added", at(minutes=2), "user_id:u2")
    lab.until(at(days=1))
    assert [(s.at, s.version) for s in lab.sends()] == [
        (at(hours=1), first.version),
        (at(hours=2, minutes=2), second.version),
    ]


def test_a_journey_that_is_gone_lets_those_inside_finish(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    lab.event("Product Added", at())
    del lab.files["journeys/cart.yaml"]
    without = parse(lab.files)
    lab.source.publish(without)
    lab.marker(without.version, at(minutes=1))
    lab.event("Product Added", at(minutes=2))
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]


def test_without_a_published_project_nothing_happens_and_nothing_is_lost(lab: Lab) -> None:
    lab.journey("cart", CART)
    lab.customer()
    lab.source_without()
    lab.event("Product Added", at(minutes=-5))
    assert not lab.decisions()
    lab.source.publish(parse(lab.files))
    lab.event("Product Added", at(), profile=False)
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]


@pytest.mark.parametrize("waiting", [False, True])
def test_a_broken_update_is_a_dead_letter_and_the_line_goes_on(lab: Lab, waiting: bool) -> None:
    lab.journey("cart", CART)
    lab.customer()
    if waiting:  # for the state of a slot on its way
        lab.event("Page", at(), person=person_id("user_id:u1"), slot=slot_of("user_id:u1"), version=2)
    good = Update(kind="event", person_id=person_id("user_id:u1"), slot=slot_of("user_id:u1"), version=1, at=at())
    for broken in ({"event": b"\0no event"}, {"profile": b"{"}, {"profile": b'{"segments": 7}'}):
        lab.publish(msgspec.structs.replace(good, **broken))
    assert len(lab.line.outputs[topics.DEAD_LETTERS]) == 3
    lab.event("Product Added", at(minutes=1))
    lab.until(at(days=1))
    assert lab.sent() == [at(minutes=61)]


def test_every_decision_has_an_id_of_its_own(lab: Lab) -> None:
    lab.journey("cart", CART.replace("[email]", "[email, sms]"))
    lab.customer(consent=())
    for minute in range(5):
        lab.event("Product Added", at(minutes=minute))
    lab.until(at(days=1))
    ids = [decision.decision_id for decision in lab.decisions()]
    assert len(set(ids)) == len(ids) > 5
    assert {decision.reason for decision in lab.decisions()} <= reasons.FIXED | {reasons.FINISHED, reasons.GOAL}
