"""State on disk: what an earlier release wrote is read, and an event decodes and writes anew only what it concerns."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
from msgspec import Raw

from processors.runtime.contract import Record
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.store import MemoryStore
from processors.runtime.turns import Work
from processors.segments.model import KEPT, PEOPLE, Person, State, opened
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.records import Event, HandedSlot, Handoff, PersonEnvelope
from tests.segments.lab import H, Line, event, identify

T = 1_772_452_800_000
#: what 0.1.0 had written of `HISTORY` under `PROJECT`
WRITTEN = Path(__file__).with_name("person-0.1.0.msgpack")
PROJECT = parse(
    {
        "project.yaml": "name: shop",
        "identity.yaml": "identifiers: {user_id: {limit: 1}, email: {}}",
        "channels.yaml": "{email: {consent: opt_in}}",
        "events.yaml": "Order: {same: properties.order_id, revenue: properties.total, undo: [Refund]}",
        "traits/cart.yaml": "collect: {add: Add, remove: Remove, keep: [price]}",
        "segments/viewed.yaml": "when: {did: View, count: {at_least: 2}, within: 5h}",
        "segments/idle.yaml": "when: {not: {did: View, within: 3h}}",
        "segments/ordered.yaml": "when: {did: Order, where: event.properties.total > 20, count: {at_least: 2}}",
        "segments/tempted.yaml": "when: {did_in_order: [View, Add], within: 10h, same: properties.product_id}",
        "segments/spent.yaml": "when: {sum: {event: Add, of: properties.price, within: 8h, at_least: 20}}",
        "segments/settled.yaml": "when: {trait: city, held_for: 4h}",
        "segments/writes.yaml": "when: {prefers: email}",
    }
)


def history() -> list[Event]:
    """Something of each kind that is kept, an hour after the other."""
    return [
        identify(T, traits={"city": "Kyiv"}, identifiers=["user_id:u1", "email:a@example.com"]),
        event("View", T + H, properties={"product_id": "p1"}),
        event("Add", T + 2 * H, properties={"product_id": "p1", "price": 12.5}),
        event("View", T + 3 * H, properties={"product_id": "p2"}),
        event("Order", T + 4 * H, properties={"order_id": "o1", "total": 30}),
        event("Order", T + 5 * H, properties={"order_id": "o2", "total": 40}),
        event("Email Link Clicked", T + 6 * H, properties={"email": "a@example.com"}),
        identify(T + 7 * H, traits={"city": "Lviv"}),
        event("Add", T + 8 * H, properties={"product_id": "p2", "price": 9}),
    ]


def state_of(person: Person) -> State:
    state = person.slots.held["user_id:u1#0"].state
    assert state is not None
    return state


def test_what_an_earlier_release_wrote_says_the_same() -> None:
    line = Line(PROJECT)
    line.happen(*history())
    stored = PEOPLE.decode(WRITTEN.read_bytes())
    assert all(getattr(state_of(stored), part) for part in KEPT), "something of each kind"
    assert stored == opened_in(stored) == line.person()


def test_an_event_takes_apart_what_it_concerns_and_leaves_the_rest_as_it_was() -> None:
    work, stage, codec = Work(0, MemoryStore()), SegmentsStage(FixedDefinitions(PROJECT), Codec()), Codec()
    work.put(PEOPLE, "P", before := PEOPLE.decode(WRITTEN.read_bytes()))
    again = event("Remove", T + 9 * H, properties={"product_id": "p1"})
    envelope = PersonEnvelope(kind="event", person_id="P", slot="user_id:u1#0", version=1, event=codec.encode(again))
    record = Record(topics.PEOPLE, 0, 0, again.received_at, b"P", codec.encode(envelope))
    assert work.run(record.timestamp, partial(stage.on_record, record)) is None
    after = work.get(PEOPLE, "P")
    assert after is not None
    concerned = state_of(after)
    assert not any(isinstance(cart, Raw) for cart in concerned.collected.values())
    assert all(isinstance(orders, Raw) for orders in concerned.occurrences.values())
    assert concerned.occurrences == state_of(before).occurrences
    assert all(isinstance(readings, Raw) for readings in concerned.measured.values())
    assert PEOPLE.encode(opened_in(PEOPLE.decode(PEOPLE.encode(after)))) == PEOPLE.encode(after)


def test_a_handed_state_that_can_not_be_read_is_a_dead_letter_and_not_the_end_of_the_worker() -> None:
    line, damaged = Line(PROJECT), State(first_seen=T, counted={"name": Raw(b"\xa3not")})
    slot = HandedSlot(slot="user_id:u1#0", version=2, complete=True, state=msgspec.msgpack.encode(damaged), gathered=[])
    handoff = Handoff(person_id="P", origin="Q", reason="merge", at=T, slots=[slot])
    line.line.publish(topics.SEGMENTS_HANDOFF, "P", line.codec.encode(handoff))
    line.line.drain()
    (letter,) = line.line.outputs[topics.DEAD_LETTERS]
    assert "not the state of a slot" in str(letter.headers)


def opened_in(person: Person) -> Person:
    opened(state_of(person))
    return person
