"""The questions of docs/sql, each with its answer on a small shop, and beside what `pathline paths` says to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.definitions import parse
from schemas.identifiers import person_id
from schemas.records import Definitions
from sinks.clickhouse import views
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.attempts import Question as FunnelQuestion
from sinks.clickhouse.paths.attribution import Question, attribution
from sinks.clickhouse.paths.channels import Question as ChannelsQuestion
from sinks.clickhouse.paths.channels import channels
from sinks.clickhouse.paths.cohorts import Cohorts
from sinks.clickhouse.paths.costs import Prices
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.funnel import funnel
from sinks.clickhouse.paths.orders import asked_of
from sinks.clickhouse.paths.retention import retention
from sinks.clickhouse.paths.touches import Nodes
from tests.sinks.made import DAY, HOUR, MINUTE, T0, decision, event, fill, send, update
from tests.sinks.test_views import changed, entered

FOLDER = Path(__file__).parents[2] / "docs" / "sql"
FILES = {"project.yaml": "name: shop\n", "channels.yaml": "web: {kind: session}\nstore: {}\nemail: {}\n"}
BUY = "Order Completed"
U1, U2, U3 = (f"user_id:u{n}" for n in (1, 2, 3))
PROJECT = parse(FILES)
ORDERS = asked_of(PROJECT)
RULES = views.rules_of(PROJECT)


@pytest.fixture
def shop(warehouse: Warehouse) -> Iterator[Warehouse]:
    """u1 comes by a campaign, clicks an e-mail and buys in the store; u2 opens one and buys on the site twice; u3
    looks around."""
    tagged = event("Page Viewed", T0, properties={"campaign": "june"})
    shop = [
        tagged,
        event("Email Opened", T0 + 2 * HOUR, channel="email", send_id="s1"),
        event("Email Link Clicked", T0 + 3 * HOUR, channel="email", send_id="s1"),
        event(BUY, T0 + 4 * HOUR, channel="store", properties={"total": 30}),
        event("Page Viewed", T0 + 2 * DAY),
        event("Page Viewed", T0 + HOUR, who=U2),
        event(BUY, T0 + HOUR + MINUTE, who=U2, properties={"total": 5}),
        event("Email Opened", T0 + 27 * HOUR, who=U2, channel="email", send_id="s2"),
        event(BUY, T0 + 3 * DAY, who=U2, channel="web", properties={"total": 7}),
        event("Page Viewed", T0 + 2 * DAY, who=U3),
    ]
    sends = [send("s1", T0 + HOUR), send("s2", T0 + HOUR, who=U2, to="u2@example.com")]
    third = msgspec.structs.replace(send("s3", T0 + HOUR, who=U3, to="u3@example.com"), journey="winback")
    fill(warehouse, [
        Definitions(version="v1", published_at=T0, files=FILES),
        *map(update, shop),
        *sends,
        third,
        changed(U1, entered("vip", T0), entered("vip", T0 + DAY, "timer", "left")),
        changed(U2, entered("vip", T0 + HOUR)),
        decision(T0, "welcome", "entered"),
        decision(T0, "welcome", "entered", who=U2, instance="i2"),
        decision(T0 + DAY, "welcome", "finished"),
        decision(T0, "winback", "entered", who=U3, instance="i3"),
    ])  # fmt: skip
    views.define(warehouse)
    yield warehouse
    warehouse.command("TRUNCATE TABLE pathline.definitions")
    views.define(warehouse)


def answer(shop: Warehouse, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    rows = shop.rows((FOLDER / f"{name}.sql").read_text("utf-8"), parameters)
    return [tuple(str(value) if name == "person_id" else value for name, value in row.items()) for row in rows]


def test_who_was_in_a_segment_at_an_instant(shop: Warehouse) -> None:
    def people(at: int) -> set[str]:
        return {row[0] for row in answer(shop, "members_at", segment="vip", at=datetime.fromtimestamp(at / 1000, UTC))}

    assert people(T0 - 1) == set()
    assert people(T0 + HOUR) == {person_id(U1), person_id(U2)}
    assert people(T0 + DAY) == {person_id(U2)}


def test_from_the_first_visit_to_the_first_order(shop: Warehouse) -> None:
    [found] = answer(shop, "first_visit_to_first_order")
    assert found[:2] == (2, (4 * 3600 + 60) / 2)
    steps = funnel(shop, FunnelQuestion(("Page Viewed", BUY), 30 * DAY), Filters()).steps
    assert (steps[1].people, steps[1].median_seconds) == found[:2]


def test_channels_before_an_order(shop: Warehouse) -> None:
    found = answer(shop, "channels_before_order")
    assert found == [(["web"], 2, 12), (["web", "email"], 1, 30)]
    [credits] = attribution(
        shop, ("last",), Nodes(rules=RULES), ORDERS, Question(30 * DAY), Filters(), Prices()
    ).values()
    assert {c.node: c.conversions for c in credits if c.conversions} == {"web": 2, "email": 1}


def test_opens_by_hour(shop: Warehouse) -> None:
    assert answer(shop, "opens_by_hour") == [("email", 2, 1), ("email", 3, 1)]
    rows = channels(shop, ChannelsQuestion(ORDERS, Prices(), RULES, 30 * DAY), Filters()).rows
    assert sum(row.opened for row in rows) == 2


def test_return_after_days(shop: Warehouse) -> None:
    found = answer(shop, "return_after_days")
    assert [row[:3] for row in found] == [(0, 3, 3), (1, 3, 1), (2, 2, 1), (3, 2, 1)]
    cohorts = retention(shop, Cohorts("day"), "", Filters())
    for n, people, returned, _ in found[1:]:
        rows = [row for row in cohorts if row.period == n]
        assert (sum(row.people for row in rows), sum(row.returned for row in rows)) == (people, returned)


def test_revenue_by_campaign(shop: Warehouse) -> None:
    found = answer(shop, "revenue_by_campaign")
    assert found == [("welcome", 1, 30), ("(none)", 2, 12)]
    asked = Nodes("campaign", RULES)
    [credits] = attribution(shop, ("last",), asked, ORDERS, Question(30 * DAY), Filters(), Prices()).values()
    assert {(c.node, c.conversions, c.revenue) for c in credits if c.conversions} == set(found)


def test_whom_no_channel_reached(shop: Warehouse) -> None:
    assert answer(shop, "reached_by_no_channel") == [(person_id(U3), ["user_id"])]


def test_the_path_of_one_person(shop: Warehouse) -> None:
    found = answer(shop, "path_of_person", identifier=U1)
    assert [row[1:] for row in found] == [
        ("touch", "web", "june"),
        ("sent", "email", "hello"),
        ("touch", "email", "welcome"),
        ("touch", "store", "(none)"),
        ("order", "", "30"),
        ("touch", "web", "(none)"),
    ]


def test_messages_of_journeys(shop: Warehouse) -> None:
    found = answer(shop, "journey_messages")
    assert found == [("welcome", 2, 1, 2, 2, 2, 1, 0, 0), ("winback", 1, 1, 1, 0, 0, 0, 0, 0)]
    asked = ChannelsQuestion(ORDERS, Prices(), RULES, 30 * DAY, campaigns=True)
    rows = {row.campaign: row for row in channels(shop, asked, Filters()).rows if row.channel == "email"}
    assert {(name, row.sent, row.delivered, row.opened, row.clicked) for name, row in rows.items()} == {
        (row[0], *row[3:7]) for row in found
    }


def test_each_question_is_asked_here() -> None:
    asked = Path(__file__).read_text("utf-8")
    assert [path.stem for path in FOLDER.glob("*.sql") if f'"{path.stem}"' not in asked] == []
