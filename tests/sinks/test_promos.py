"""`pathline promos`: what became of promo codes, from the warehouse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from pathline.cli import app
from pathline.errors import UserError
from pathline.promos.keeping import unused
from schemas import reasons
from schemas.definitions import parse
from schemas.records import JOURNEY_SOURCE, Definitions, Update
from sinks.clickhouse.engine import Warehouse
from tests.sinks.made import DAY, T0, decision, event, fill, update

FILES = {
    "project.yaml": "name: shop\n",
    "promos.yaml": "vip: {file: promos/vip.txt, low: 5}\nspring: {generate: {}, redeemed: {event: Till Receipt}}\n",
}


def issued(code: str, journey: str, who: str, promo: str = "vip", until: str = "") -> Update:
    properties = {"promo": promo, "code": code, "journey": journey, "step": "1"}
    told = event("Promo Code Issued", who=who, properties=properties | ({"expires_at": until} if until else {}))
    return update(msgspec.structs.replace(told, source=JOURNEY_SOURCE))


def order(at: int, who: str, name: str = "Order Completed", **properties: Any) -> Update:
    return update(event(name, at, who=who, properties=properties))


@pytest.fixture
def shop(home: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_CLOCK", "scaled")
    for name, value in (("START", T0 + 10 * DAY - 1), ("UNTIL", T0 + 10 * DAY), ("STARTED", 1)):
        monkeypatch.setenv(f"PATHLINE_CLOCK_{name}", str(value))
    fill(warehouse, [Definitions(version="v", published_at=T0, files=FILES)])
    records = [
        issued("A1", "cart", "user_id:a"),
        issued("B2", "cart", "user_id:b", until="2026-03-05T00:00:00Z"),
        issued("C3", "cart", "user_id:c", until="2026-04-05T00:00:00Z"),
        issued("D4", "winback", "user_id:d"),
        issued("S1", "cart", "user_id:a", promo="spring"),
        order(T0 + DAY, "user_id:a", coupon=" a1 ", total=100),
        order(T0 + 2 * DAY, "user_id:b", coupon="A1", total=7),  # used before
        order(T0 + 2 * DAY, "user_id:z", coupon=["X9", "D4"], total=50.5),  # by somebody else
        order(T0 + 2 * DAY, "user_id:a", coupon="S1", total=1),  # another event shows the use of these
        order(T0 + 3 * DAY, "user_id:a", name="Till Receipt", coupon="S1", total=20),
    ]
    fill(warehouse, records)
    missed = decision(T0 + DAY, "winback", reasons.NO_CODE)
    fill(warehouse, [msgspec.structs.replace(missed, detail="vip: none is left")], first=500)


def asked(*arguments: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["promos", *arguments, "--format", "json"])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.mark.usefixtures("shop")
class TestPromos:
    def test_codes_are_counted_by_promo_and_journey(self) -> None:
        assert asked("show", "vip") == [
            {
                "journey": "cart",
                "issued": 3,
                "redeemed": 1,
                "rate": pytest.approx(1 / 3),
                "expired": 1,
                "open": 1,
                "revenue": 100.0,
                "missed": 0,
            },
            {
                "journey": "winback",
                "issued": 1,
                "redeemed": 1,
                "rate": 1.0,
                "expired": 0,
                "open": 0,
                "revenue": 50.5,
                "missed": 1,
            },
        ]

    def test_each_promo_by_the_events_that_show_its_use(self) -> None:
        (row,) = asked("show", "spring")
        assert (row["issued"], row["redeemed"], row["revenue"]) == (1, 1, 20.0)

    def test_promos_together(self) -> None:
        vip, spring = asked("list")
        assert (vip["promo"], vip["codes"], vip["issued"], vip["redeemed"], vip["missed"]) == ("vip", "pool", 4, 2, 1)
        assert (spring["promo"], spring["codes"], spring["issued"], spring["left"]) == ("spring", "generated", 1, None)

    def test_codes_that_nobody_would_get_are_not_loaded_in_silence(self) -> None:
        promos = parse({"promos.yaml": "vip: {file: vip.txt}\nspring: {generate: {}}\n"})
        assert unused(promos, "vip") == ""
        assert unused(promos, "vips") == (
            "the project in force has no promo 'vips' (did you mean vip?): the codes wait until it has"
        )
        with pytest.raises(UserError, match="'spring' makes its codes as they are given: there is no pool to fill"):
            unused(promos, "spring")

    def test_an_unknown_promo(self) -> None:
        result = CliRunner().invoke(app, ["promos", "show", "vpi"])
        assert result.exit_code != 0
        assert "there is no promo 'vpi'" in str(result.exception) + result.output
