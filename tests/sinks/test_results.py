"""`pathline paths` about results as people and programs call it, and what it draws."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.records import Update
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.files import load_text
from sinks.clickhouse.paths.pictures import sankey
from tests.sinks.made import DAY, HOUR, T0, event, fill, send, update
from tests.sinks.test_commands import asked, call
from tests.sinks.test_experiment import arm

SENT = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def shop(home: Path, warehouse: Warehouse) -> None:
    """u1 clicks an e-mail and buys; u2 views a page and never comes back."""
    (home / "project.yaml").write_text("name: shop\ncurrency: EUR\n")
    (home / "channels.yaml").write_text("email: {cost: 0.5}\nweb: {kind: session}\nstore: {monthly_fee: 31}\n")
    (home / "events.yaml").write_text("Bought: {revenue: properties.paid}\n")
    (home / "sources.yaml").write_text("- {click_id: gclid, source: search ads}\n")
    (home / "journeys").mkdir()
    (home / "journeys" / "promo.yaml").write_text(
        "enter: {event: Page Viewed}\ngoal: {event: Bought, within: 7d}\n"
        "steps:\n  - id: s\n    split: {a: 50, holdout: 50}\n    a: [{exit: x}]\n"
    )
    page = {"url": "https://shop.example/?gclid=1"}
    fill(
        warehouse,
        [
            send(SENT, T0),
            update(event("Email Link Clicked", T0 + HOUR, channel="email", send_id=SENT)),
            update(event("Bought", T0 + DAY, channel="store", properties={"paid": 30, "currency": "EUR"})),
            update(event("Bought", T0 + 2 * DAY, channel="", properties={"paid": 7, "currency": "CHF"})),
            update(event("Page Viewed", T0, who="user_id:u2", type="page", properties=page)),
            arm("u1", "a"),
            arm("u2", "holdout"),
        ],
    )
    load_text(warehouse, "day,channel,campaign,amount,currency\n2026-03-02,ads,spring,4,\n", "costs.csv")


@pytest.mark.usefixtures("shop")
class TestResults:
    def test_channels_have_the_documented_fields(self) -> None:
        rows = {row["channel"]: row for row in asked("paths", "channels")}
        nothing = dict.fromkeys(("sent", "delivered", "opened", "clicked", "converted", "cost", "revenue", "margin"), 0)
        email = {"sent": 1, "delivered": 1, "opened": 1, "clicked": 1, "converted": 1}
        money = {"cost": 0.5, "revenue": 30, "margin": 29.5, "roas": 60}
        assert rows["email"] == {"channel": "email"} | email | money
        assert rows["ads"] == {"channel": "ads"} | nothing | {"cost": 4, "margin": -4, "roas": 0}
        # three days of March; its touch is the one before the purchase that has no rate
        store = {"cost": 3, "converted": 1, "margin": -3, "roas": 0}
        assert rows["store"] == pytest.approx({"channel": "store"} | nothing | store)
        assert "revenue without 7.00 CHF: no rate is known" in call("paths", "channels").stderr
        campaigns = asked("paths", "channels", "--by", "campaign")
        assert {(row["channel"], row["campaign"]) for row in campaigns} == {
            ("email", "welcome"), ("ads", "spring"), ("store", "(none)"),
        }  # fmt: skip
        assert call("paths", "channels", "--by", "event").exit_code == 2

    def test_cohorts_have_the_documented_fields(self) -> None:
        assert asked("paths", "retention", "--period", "day", "--return", "Bought") == [
            {"cohort": "2026-03-01", "period": 0, "people": 2, "returned": 0, "rate": 0},
            {"cohort": "2026-03-01", "period": 1, "people": 2, "returned": 1, "rate": 0.5},
            {"cohort": "2026-03-01", "period": 2, "people": 2, "returned": 1, "rate": 0.5},
        ]
        by_source = asked("paths", "retention", "--period", "day", "--by", "source", "--periods", "1")
        assert [row["cohort"] for row in by_source] == ["email", "search ads"]
        assert asked("paths", "ltv") == [
            {
                "cohort": "2026-03", "period": 0, "people": 2, "buyers": 1, "orders": 2, "revenue": 30,
                "per_person": 15,
            }
        ]  # fmt: skip

    def test_drop_off_has_the_documented_fields(self) -> None:
        renamed = asked("paths", "dropoff", "--silence", "1d", "--clean", "store=>till", "--exclude", "email")
        assert [row["last"] for row in renamed] == ["till", "web"]
        first = asked("paths", "dropoff", "--silence", "1d")[0]
        assert first == {
            "last": "store", "silent": 1, "people": 1, "share": 0.5, "rate": 1, "median_seconds": 86_400,
        }  # fmt: skip

    def test_experiments_have_the_documented_fields(self) -> None:
        first, held = asked("paths", "experiment", "promo")
        assert {name: first[name] for name in ("arm", "people", "converted", "rate")} == {
            "arm": "a", "people": 1, "converted": 1, "rate": 1,
        }  # fmt: skip
        assert first["low"] < first["rate"] <= first["high"]
        assert first["p_value"] == pytest.approx(0.157, abs=0.001)
        assert (held["arm"], held["p_value"], held["ratio_p_value"]) == ("holdout", None, 1)
        dear = asked("paths", "experiment", "promo", "--where", "event.properties.paid > 30")
        assert [row["converted"] for row in dear] == [0, 0]
        assert "there is no journey 'prom'" in call("paths", "experiment", "prom").output

    def test_a_person_is_told_over_all_channels(self) -> None:
        rows = asked("paths", "person", "user_id:u1")
        assert [row["what"] for row in rows if row["kind"] == "event"] == ["Email Link Clicked", "Bought", "Bought"]
        assert {row["channel"] for row in rows} == {"email", "store", ""}
        some = asked("paths", "person", "user_id:u1", "--from", "2026-03-02", "--to", "2026-03-03")
        assert [row["channel"] for row in some if row["kind"] == "event"] == ["store"]
        assert call("paths", "person", "user_id:nobody").exit_code == 1

    @pytest.mark.parametrize(
        ("question", "shown"),
        [
            (("channels",), "email: revenue 30.00 EUR"),
            (("channels", "--by", "campaign"), "ads / spring: cost 4.00 EUR"),
            (("retention", "--period", "day", "--return", "Bought"), "2026-03-01, day 1: 50% of 2 people"),
            (("ltv", "--by", "channel"), "email, month 0: 30.00 of 1 people"),
            (("dropoff", "--silence", "1d"), "store: 1"),
            (("experiment", "promo"), "a: 100.00% of 1, 95 % between"),
            (("person", "user_id:u1"), "event: Bought"),
        ],
    )
    def test_a_picture_is_one_page_without_a_network(self, question: tuple[str, ...], shown: str) -> None:
        result = call("paths", *question, "--format", "html")
        assert result.exit_code == 0, result.output
        assert f"<title>{shown}" in result.stdout or re.search(f"<title>[^<]*{re.escape(shown)}", result.stdout)
        assert not re.search(r"(src|href)=|url\(|@import|<script", result.stdout)
        assert "prefers-color-scheme: dark" in result.stdout

    def test_nothing_is_drawn_of_nothing(self, warehouse: Warehouse) -> None:
        for table in ("events_raw", "sends_raw", "decisions", "costs_raw"):
            warehouse.command(f"TRUNCATE TABLE pathline.{table}")
        for question in (("channels",), ("retention",), ("ltv",), ("dropoff",), ("experiment", "promo")):
            for form in ("table", "json", "csv", "html"):
                result = call("paths", *question, "--format", form)
                assert result.exit_code == 0, (question, form, result.output)
                if form == "html":
                    told = "Nobody has been given an arm yet" if question[0] == "experiment" else "Nothing found"
                    assert f"<p>{told}.</p>" in result.stdout

    def test_what_has_no_length_is_told_instead_of_drawn(self) -> None:
        silent = call("paths", "dropoff", "--silence", "20d", "--format", "html").stdout
        assert "<p>Nobody has been silent for 20d.</p>" in silent
        owed = call("paths", "attribution", "--conversion", "Page Viewed", "--to", "2026-02-01", "--format", "html")
        assert "<svg" not in owed.stdout
        unowed = call("paths", "attribution", "--where", "event.name != 'Bought'", "--format", "html").stdout
        assert "<p>Nothing converted in this time.</p>" in unowed
        assert "<svg" not in unowed + silent


def test_two_names_that_begin_alike_are_told_apart_in_a_narrow_picture() -> None:
    names = ("Push Notification Delivered", "Push Notification Link Clicked")
    drawn = sankey([(step, "a", name, 2) for step in range(1, 9) for name in names])
    labels = re.findall(r">([^<>]*) 2</text>", drawn)
    assert len(set(labels)) == 4  # two cut in the middle, and two at the end that has room
    assert set(names) <= set(labels)
    assert any(label.startswith("Pus") and label.endswith("red") for label in labels if label not in names)


def test_lifetime_value_as_it_is_worked_out_on_paper(home: Path, warehouse: Warehouse) -> None:
    (home / "project.yaml").write_text("name: shop\ncurrency: EUR\n")
    (home / "events.yaml").write_text(
        "Order Completed: {same: properties.id, revenue: properties.revenue, undo: [Order Refunded, Order Cancelled]}\n"
    )

    def at(month: int, day: int, hour: int = 0) -> int:
        return round(datetime(2026, month, day, hour, tzinfo=UTC).timestamp() * 1000)

    def did(who: str, name: str, when: int, **properties: object) -> Update:
        return update(event(name, when, who=f"user_id:{who}", properties=properties))

    buy = "Order Completed"
    fill(
        warehouse,
        [
            # January: a is worth 100, then 50 less 20; b's order was reported twice, in the month after it began
            did("a", "Visit", at(1, 15)),
            did("a", buy, at(1, 20), id="o1", revenue=100),
            did("a", buy, at(3, 3), id="o2", revenue=50),
            did("a", "Order Refunded", at(3, 10), id="o2", revenue=20),
            did("b", "Visit", at(1, 31, 23)),
            did("b", buy, at(2, 1), id="o3", revenue=10),
            did("b", buy, at(2, 2), id="o3", revenue=10),
            # February: one order taken back whole, one in dollars at a half, one in a currency nobody knows
            did("c", "Visit", at(2, 10)),
            did("c", buy, at(2, 11), id="o4", revenue=99),
            did("c", "Order Cancelled", at(4, 1), id="o4"),
            did("c", buy, at(4, 2), id="o5", revenue=8, currency="USD"),
            did("c", buy, at(4, 3), id="o6", revenue=7, currency="CHF"),
            # March: nothing
            did("d", "Visit", at(3, 5)),
            did("d", "Visit", at(4, 20)),
        ],
    )
    load_text(warehouse, "day,currency,rate\n2026-01-01,USD,0.5\n2026-05-01,USD,2\n", "rates.csv")

    def told(*options: str) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in asked("paths", "ltv", *options)]

    january = [("2026-01", 0, 2, 1, 1, 100, 50), ("2026-01", 1, 2, 2, 2, 110, 55), ("2026-01", 2, 2, 2, 3, 140, 70)]
    assert told() == [
        *january,
        ("2026-01", 3, 2, 2, 3, 140, 70),
        ("2026-02", 0, 1, 0, 0, 0, 0),
        ("2026-02", 1, 1, 0, 0, 0, 0),
        ("2026-02", 2, 1, 1, 2, 4, 4),
        ("2026-03", 0, 1, 0, 0, 0, 0),
        ("2026-03", 1, 1, 0, 0, 0, 0),
    ]
    # what was taken back in April still counts at the end of March
    assert told("--to", "2026-04-01") == [
        *january,
        ("2026-02", 0, 1, 1, 1, 99, 99),
        ("2026-02", 1, 1, 1, 1, 99, 99),
        ("2026-03", 0, 1, 0, 0, 0, 0),
    ]
    assert "revenue without 7.00 CHF" in call("paths", "ltv").stderr
