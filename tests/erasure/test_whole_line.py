"""One person through the whole line, forgotten; every place is searched. Later stages extend this test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from schemas import topics
from schemas.definitions import load
from schemas.identifiers import person_id
from schemas.records import Access, Event, PersonEnvelope, Refusal, Update
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.person import story
from sinks.clickhouse.squash import squash
from sinks.clickhouse.tables import COLUMNS
from tests.erasure.line import CODEC, Whole
from tests.line.project import Lab, at, granted, identify, track
from tests.sinks.made import fill
from tests.warehouse import TABLES

IDENTITY = """
identifiers:
  user_id:      {limit: 1}
  loyalty_card: {limit: 1}
  email:        {limit: 5, normalize: email}
  anonymous_id: {limit: 100, shared: newest}
"""
CART = """
enter: {event: Product Added}
steps:
  - wait: 1h
  - send: {template: hello, channels: [email]}
  - wait: 10d
  - send: {template: hello, channels: [email]}
"""
MAIL = "ann@example.com"
#: all that stands for Ann
ANN = ["user_id:u1", f"email:{MAIL}", "anonymous_id:a1", "anonymous_id:a2", MAIL]
BEN = "user_id:ben"
OF_NOBODY = {"costs_raw", "rates_raw", "definitions", "erasures"}


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


T = ms(at(days=1))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Whole]:
    def made(warehouse: Warehouse | None = None, journey: str = CART) -> Whole:
        lab = Lab(tmp_path)
        lab.files({"identity.yaml": IDENTITY})
        lab.segment("buyers", "all:\n  - {did: Order Completed}")
        lab.journey("cart", journey)
        return Whole(load(lab.folder), ms(at(days=-1)), warehouse)

    return made


def ann(line: Whole, until: int = T - 1) -> None:
    """Two visits before a login on two devices, an order, a mail after an hour, a second one that is waited for."""
    line.happen(track("Page", at(minutes=-9), None, anonymousId="a1"))
    line.happen(track("Page", at(minutes=-8), None, anonymousId="a2"))
    line.happen(identify(at(minutes=-7), "u1", anonymousId="a1", traits={"email": MAIL}, context=granted("email")))
    line.happen(track("Order Completed", at(minutes=-6), "u1", anonymousId="a2", properties={"total": 10}))
    line.happen(track("Product Added", at(), "u1"))
    line.line.advance(until)


def ids() -> list[str]:
    return [person_id(identifier) for identifier in ANN[:4]]


def people(line: Whole) -> list[PersonEnvelope]:
    return [CODEC.decode(PersonEnvelope, record.value) for record in line.line.outputs[topics.PEOPLE]]


def events_of(line: Whole) -> list[tuple[str, str]]:
    """(event, person) that segments applied."""
    updates = [CODEC.decode(Update, record.value) for record in line.line.outputs[topics.UPDATES]]
    return [(CODEC.decode(Event, u.event).name, u.person_id) for u in updates if u.event is not None]


def test_nothing_of_a_forgotten_person_stays(make: Callable[..., Whole], warehouse: Warehouse) -> None:
    line = make(warehouse)
    ann(line)
    line.happen(identify(at(hours=2), "ben", traits={"email": "ben@example.com"}))
    line.enlist("partners", ANN[0], ms(at(hours=3)))
    line.sink()
    assert len(line.post.sent) == 1
    assert line.traces(ANN)
    assert line.traces(ids())
    refused = Refusal(a=ANN[0], b=ANN[1], reason="limit: user_id 1", at=T - 1, source="test")
    asked = Access(access_id="a1", at=T - 1, person_id=person_id(ANN[0]), asked_by="email", key="k1", outcome="read")
    fill(warehouse, [refused, asked], first=1_000)
    # cut off when overrides stand in both tables
    next(squash(warehouse))
    # a table that is new has to have something of her here, or is of nobody
    found = line.rows_with([*ANN, *ids()])
    assert set(COLUMNS) | {"settled_owners"} == {row["name"] for row in warehouse.rows(TABLES)}
    assert {row["name"] for row in warehouse.rows(TABLES)} - found.keys() == OF_NOBODY
    assert {"events", "people", "owners", "slot_owner"} <= found.keys()
    line.forget(f"email:{MAIL}", T)
    line.sink()
    # what is left under a person's id are marks
    assert line.traces(ANN) == []
    kept = [trace for trace in line.traces(ids()) if "person" not in trace and "erased" not in trace]
    assert kept == []
    assert line.rows_with([*ANN, *ids()]) == {}
    assert line.rows_with([BEN]) != {}
    assert story(warehouse, BEN) is not None
    line.line.advance(ms(at(days=20)))
    line.sink()
    assert len(line.post.sent) == 1
    assert line.rows_with([*ANN, *ids()]) == {}
    assert not line.line.outputs[topics.DEAD_LETTERS]


def test_late_events_revive_nobody_and_a_new_sign_up_is_a_new_person(
    make: Callable[..., Whole], warehouse: Warehouse
) -> None:
    line = make(warehouse)
    ann(line)
    line.forget("anonymous_id:a2", T)
    line.sink()
    before = len(people(line))
    line.happen(track("Product Viewed", at(hours=3), "u1", anonymousId="a2"), received_at=T + 60_000)
    line.happen(track("Product Viewed", at(hours=3), None, anonymousId="a1"), received_at=T + 60_000)
    # a receipt of the mail that went out before
    late = track("Email Opened", at(days=1, minutes=5), None, messageId="opened")
    late["context"] = {"externalIds": [{"type": "email", "id": MAIL}]}
    late["properties"] = {"send_id": line.post.sent[0].send_id}
    line.happen(late)
    assert len(people(line)) == before
    line.sink()
    assert line.rows_with(ANN) == {}
    line.happen(identify(at(days=2), "u1", anonymousId="a1", traits={"email": MAIL}, context=granted("email")))
    line.happen(track("Page", at(days=2, minutes=1), None, anonymousId="a1"))
    again = person_id("user_id:u1", 1)
    assert {person for _, person in events_of(line)[-2:]} == {again}
    assert again not in ids()
    line.sink()
    told = story(warehouse, "user_id:u1")
    assert told is not None
    assert told.person_id == again
    assert [row["what"] for row in told.timeline if row["kind"] == "event"] == ["Identify", "Page"]
    assert told.segments == []
    # and can be forgotten again
    line.forget("user_id:u1", ms(at(days=3)))
    line.sink()
    assert line.traces(ANN) == []
    assert line.rows_with(ANN) == {}
    line.happen(track("Page", at(days=4), "u1"))
    assert events_of(line)[-1] == ("Page", person_id("user_id:u1", 2))
