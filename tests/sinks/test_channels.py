"""Channels: what each sent, cost and brought, against going through everything one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from schemas.definitions.expressions import compile as cel
from schemas.records import Event, LedgerEntry, SendCommand
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.files import load_text
from sinks.clickhouse.paths.channels import Channel, Question, channels
from sinks.clickhouse.paths.costs import Prices
from sinks.clickhouse.paths.filters import Filters
from sinks.clickhouse.paths.orders import Asked
from sinks.clickhouse.paths.touches import TouchRules
from tests.examples import few
from tests.sinks import slow
from tests.sinks.made import DAY, HOUR, MINUTE, T0, event, fill, send, update
from tests.sinks.test_transitions import KINDS, PEOPLE

WEB = TouchRules(frozenset({"web"}))
BUY = "Order Completed"


def question(**changed: Any) -> Question:
    asked = {"orders": Asked((BUY,)), "prices": Prices(), "rules": WEB, "lookback": 30 * DAY}
    return Question(**(asked | changed))


def found(warehouse: Warehouse, asked: Question, filters: Filters | None = None) -> dict[tuple[str, str], Channel]:
    return {(row.channel, row.campaign): row for row in channels(warehouse, asked, filters or Filters()).rows}


def numbers(row: Channel) -> tuple[float | None, ...]:
    return row.sent, row.delivered, row.opened, row.clicked, row.converted, row.revenue, row.cost


def mail(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


@pytest.fixture
def shop(warehouse: Warehouse) -> None:
    """u1 clicks an e-mail and buys in the store; u2 opens one; u3's was withheld; u4 buys out of nothing."""
    ledger = LedgerEntry(send_id=mail(3), person_id=send("x", T0).person_id, channel="email", state="withheld", at=T0)
    sends = [send(mail(n), T0, who=f"user_id:u{n}", to=f"u{n}@example.com") for n in (1, 2, 3)]
    events = [
        event("Email Delivered", T0 + MINUTE, channel="email", send_id=mail(1)),
        event("Email Link Clicked", T0 + HOUR, channel="email", send_id=mail(1)),
        event(BUY, T0 + 2 * HOUR, channel="store", properties={"total": 30}),
        event("Email Opened", T0 + HOUR, who="user_id:u2", channel="email", send_id=mail(2)),
        event("Email Opened", T0 + HOUR, who="user_id:u2", channel="email", send_id=mail(2), id="again"),
        event("Email Opened", T0 + HOUR, who="user_id:u2", channel="email", send_id="of another system",
              properties={"campaign": "june"}),
        event(BUY, T0, who="user_id:u4", channel="", properties={"total": 5}),
    ]  # fmt: skip
    fill(warehouse, [*sends, ledger, *map(update, events)])


@pytest.mark.usefixtures("shop")
class TestShop:
    def test_a_channel_has_what_it_sent_how_far_it_got_and_what_it_brought(self, warehouse: Warehouse) -> None:
        load_text(warehouse, "day,channel,campaign,amount\n2026-03-01,ads,spring,7\n", "c.csv")
        rows = found(warehouse, question(prices=Prices(message={"email": 0.5})))
        assert {key: numbers(row) for key, row in rows.items()} == {
            ("email", ""): (3, 3, 3, 1, 1, 30, 1),
            ("ads", ""): (0, 0, 0, 0, 0, 0, 7),
            ("(none)", ""): (0, 0, 0, 0, 1, 5, None),
        }
        email, ads = rows["email", ""], rows["ads", ""]
        assert (email.margin, email.roas) == (29, 30)
        assert (ads.margin, ads.roas) == (-7, 0)
        # nothing is known of its cost: it was not free
        assert (rows["(none)", ""].margin, rows["(none)", ""].roas) == (5, None)

    def test_campaigns_of_a_channel_stand_apart(self, warehouse: Warehouse) -> None:
        rows = found(warehouse, question(campaigns=True, prices=Prices(fee={"email": 31}, message={"email": 0.5})))
        assert {key: numbers(row) for key, row in rows.items()} == {
            ("email", "welcome"): (2, 2, 2, 1, 1, 30, 1),
            ("email", "june"): (1, 1, 1, 0, 0, 0, None),
            ("email", "(none)"): (0, 0, 0, 0, 0, 0, 1),
            ("(none)", "(none)"): (0, 0, 0, 0, 1, 5, None),
        }

    def test_a_touch_before_the_lookback_brings_nothing(self, warehouse: Warehouse) -> None:
        assert found(warehouse, question(lookback=HOUR))["(none)", ""].converted == 2
        assert found(warehouse, question(lookback=HOUR + 1))["(none)", ""].converted == 1

    def test_a_touch_before_the_time_asked_about_can_bring_what_is_inside(self, warehouse: Warehouse) -> None:
        for where in (None, cel("event.channel != 'call'")):
            rows = found(warehouse, question(), Filters(T0 + 2 * HOUR, where=where))
            assert {key: numbers(row)[:5] for key, row in rows.items()} == {("email", ""): (0, 0, 0, 0, 1)}

    def test_amounts_without_a_rate_are_told_apart(self, warehouse: Warehouse) -> None:
        load_text(warehouse, "day,channel,amount,currency\n2026-03-01,ads,7,CHF\n", "c.csv")
        fill(warehouse, [update(event(BUY, T0 + DAY, properties={"total": 9, "currency": "SEK"}))])
        answer = channels(warehouse, question(), Filters())
        assert (answer.unknown_costs, answer.unknown_revenue) == ({"CHF": 7}, {"SEK": 9})


@st.composite
def happenings(draw: st.DrawFn) -> tuple[list[Event], list[SendCommand]]:
    times = st.integers(0, 20).map(lambda n: T0 + n * 17 * HOUR)
    sends = [
        msgspec.structs.replace(send(mail(n), at, who=who, to=f"{who[8:]}@example.com"), journey=journey)
        for n, (at, who, journey) in enumerate(
            draw(st.lists(st.tuples(times, st.sampled_from(PEOPLE), st.sampled_from("jk")), max_size=5))
        )
    ]
    kinds = [*KINDS, *[(BUY, "store"), (BUY, "web"), (BUY, "")] * 3]
    named = [None, None, "somebody-elses", *(command.send_id for command in sends)]
    events = []
    for number, (at, who, (name, channel)) in enumerate(
        draw(st.lists(st.tuples(times, st.sampled_from(PEOPLE), st.sampled_from(kinds)), max_size=30))
    ):
        receipt = name in slow.SHOWS
        send_id = draw(st.sampled_from(named)) if receipt else None
        properties: dict[str, Any] = {"total": number} if name == BUY else {}
        if receipt and draw(st.booleans()):
            properties = draw(st.sampled_from([{"machine": True}, {"email": "elsewhere@example.com"}]))
        events.append(
            event(name, at, id=f"m{number}", who=who, channel=channel, properties=properties, send_id=send_id)
        )
    return events, sends


@given(made=happenings(), depth=st.integers(0, 3), lookback=st.sampled_from([DAY, 5 * DAY]))
@few(8, but=[HealthCheck.function_scoped_fixture])
def test_channels_are_those_found_one_by_one(
    engine: Warehouse, made: tuple[list[Event], list[SendCommand]], depth: int, lookback: int
) -> None:
    events, sends = made
    for table in ("events_raw", "sends_raw", "ledger", "costs_raw"):
        engine.command(f"TRUNCATE TABLE pathline.{table}")
    fill(engine, [*map(update, events), *sends])
    rules = TouchRules(frozenset({"web", "app"}), depth=depth)
    expected = slow_channels(events, sends, rules, lookback)
    rows = found(engine, question(rules=rules, lookback=lookback))
    assert {key: numbers(row)[:6] for key, row in rows.items()} == expected


def slow_channels(
    events: list[Event], sends: list[SendCommand], rules: TouchRules, lookback: int
) -> dict[tuple[str, str], tuple[float, ...]]:
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    depths = {one.send_id: 0 for one in sends}
    for happened in events:
        if happened.name in slow.SHOWS:
            depth = (
                min(slow.SHOWS[happened.name], 1) if b"machine" in happened.properties else slow.SHOWS[happened.name]
            )
            key = slow.send_of(happened, sends) or happened.event_id
            depths[key] = max(depths.get(key, 0), depth)
    for depth in depths.values():
        counted["email"].update(["sent", *["delivered", "opened", "clicked"][:depth]])
    touched = slow.touches(events, sends, rules)
    for happened in events:
        if happened.name == BUY:
            place = (happened.occurred_at, happened.event_id)
            before = [t for t in touched.get(happened.identifiers[0], []) if (t.at, t.id) < place]
            near = bool(before) and happened.occurred_at - before[-1].at < lookback
            channel = before[-1].node if near else "(none)"
            counted[channel]["converted"] += 1
            counted[channel]["revenue"] += int(msgspec.json.decode(happened.properties)["total"])
    names = ("sent", "delivered", "opened", "clicked", "converted", "revenue")
    return {(channel, ""): tuple(count[name] for name in names) for channel, count in counted.items()}
