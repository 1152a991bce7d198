"""Receipts that know a message by the provider's id only find their send, in whatever order things come."""

from __future__ import annotations

import itertools

import orjson
import pytest

from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.handles import KEEP_MS, PATIENCE_MS
from connectors.outbound.state import HANDLES, ORPHANS
from schemas import topics
from schemas.records import Erasure, Event, Receipt, Update
from tests.connectors.dispatching import CODEC, NOW, Line, Provider, command


def told(name: str, provider_id: str = "77") -> Receipt:
    event = Event(
        message_id=f"{provider_id}:{name}",
        event_id=f"{provider_id}:{name}",
        type="track",
        name=name,
        channel="email",
        identifiers=["email:other@example.com"],
        occurred_at=NOW,
        received_at=NOW,
        source="test",
        properties=orjson.dumps({"channel": "email", "state": name}),
        traits=b"{}",
        context=b"{}",
    )
    return Receipt(kind="receipt", provider_id=provider_id, at=NOW, event=CODEC.encode(event))


def made(spread: int = 3) -> tuple[Provider, Line]:
    provider = Provider(Traits(handles=True))
    provider.answer = lambda c: Outcome("accepted", provider_id="77")
    return provider, provider.line(lanes=("marketing", "transactional"), spread=spread)


def hear(line: Line, *receipts: Receipt) -> None:
    for receipt in receipts:
        line.line.publish(topics.receipts("email"), receipt.provider_id, CODEC.encode(receipt))
    line.line.drain()


def ends(line: Line) -> list[Event]:
    return [event for event in line.receipts() if event.name != "Email Sent"]


@pytest.mark.parametrize("lane", ["marketing", "transactional"])
@pytest.mark.parametrize("order", list(itertools.permutations(["send", "Email Delivered", "Email Opened"])))
def test_a_receipt_finds_its_send_in_any_order(lane: str, order: tuple[str, ...]) -> None:
    _, line = made()
    for step in order:
        if step == "send":
            line.send(command(), lane=lane)
        else:
            hear(line, told(step))
    line.after(PATIENCE_MS / 1000)
    assert sorted(event.name for event in ends(line)) == ["Email Delivered", "Email Opened"]
    for event in ends(line):
        assert (event.send_id, event.identifiers) == ("s1", ["email:ann@example.com"])
        properties = orjson.loads(event.properties)
        assert (properties["journey"], properties["address"], properties["state"]) == (
            "welcome",
            "ann@example.com",
            event.name,
        )


def test_a_receipt_that_comes_again_is_the_same_event() -> None:
    _, line = made()
    line.send(command())
    hear(line, told("Email Delivered"), told("Email Delivered"))
    assert len({event.event_id for event in ends(line)}) == 1


def test_a_receipt_without_a_send_goes_on_by_its_address() -> None:
    _, line = made()
    hear(line, told("Email Delivered", "of another system"))
    line.after(PATIENCE_MS / 1000 - 1)
    assert ends(line) == []
    line.after(1)
    (event,) = ends(line)
    assert (event.send_id, event.identifiers) == (None, ["email:other@example.com"])


def test_ids_are_forgotten_in_time_and_with_their_person() -> None:
    _, line = made(spread=1)
    line.send(command())
    assert list(line.line.states("dispatch-email", HANDLES))
    line.after(KEEP_MS / 1000)
    assert list(line.line.states("dispatch-email", HANDLES)) == []

    _, line = made()
    line.send(command())
    erasure = Erasure(identifiers=["email:ann@example.com"], slots=[], at=NOW, persons=["p1"])
    update = Update(kind="erasure", person_id="p1", at=NOW, erasure=erasure)
    line.line.publish(topics.UPDATES, "p1", CODEC.encode(update))
    line.line.drain()
    assert list(line.line.states("dispatch-email", HANDLES)) == []
    assert list(line.line.states("dispatch-email", ORPHANS)) == []
