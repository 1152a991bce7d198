"""What channels cost: files, messages, monthly fees, currencies; and how files come into the warehouse."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pathline.cli import app
from schemas.records import LedgerEntry
from sinks.clickhouse.app import serving
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.files import BadFile, load_text
from sinks.clickhouse.http import application
from sinks.clickhouse.paths.costs import Prices, spent
from sinks.clickhouse.paths.filters import Filters
from tests.examples import few
from tests.sinks.made import DAY, T0, event, fill, send, update

#: T0 is 2026-03-01
PRICES = Prices("EUR")


def amounts(
    warehouse: Warehouse, prices: Prices = PRICES, filters: Filters | None = None
) -> dict[tuple[str, str], float]:
    return dict(spent(warehouse, prices, filters or Filters()).amounts)


def test_a_file_that_is_loaded_again_counts_once_and_a_corrected_line_replaces(warehouse: Warehouse) -> None:
    head = "day,channel,campaign,amount,currency\n"
    text = f"{head}2026-03-01,ads,spring,10,EUR\n2026-03-01,ads,spring,5,EUR\n2026-03-02,ads,,7,\n"
    assert load_text(warehouse, text, "a.csv").accepted == 3
    load_text(warehouse, text, "a.csv")
    assert amounts(warehouse) == {("ads", "spring"): 15, ("ads", ""): 7}
    load_text(warehouse, f"{head}2026-03-01,ads,spring,11,EUR\n", "b.csv")
    assert amounts(warehouse) == {("ads", "spring"): 11, ("ads", ""): 7}


def test_a_corrected_file_takes_back_what_it_no_longer_says_of_its_days(warehouse: Warehouse) -> None:
    head = "day,channel,campaign,amount\n"
    load_text(warehouse, f"{head}2026-03-01,ads,spring,10\n2026-03-01,ads,sumer,5\n2026-03-02,ads,sumer,1\n", "a.csv")
    load_text(warehouse, f"{head}2026-03-01,ads,autumn,3\n2026-03-01,tv,,4\n", "b.csv")
    corrected = load_text(warehouse, f"{head}2026-03-01,ads,spring,10\n2026-03-01,ads,summer,5\n", "a.csv")
    assert corrected.accepted == 2
    paid = {of: amount for of, amount in amounts(warehouse).items() if amount}
    # another file's lines and other days stay
    assert paid == {
        ("ads", "spring"): 10, ("ads", "summer"): 5, ("ads", "sumer"): 1, ("ads", "autumn"): 3, ("tv", ""): 4,
    }  # fmt: skip


def test_what_can_t_be_used_is_told_by_line_and_the_rest_is_taken(warehouse: Warehouse) -> None:
    text = (
        "Day;Channel;Amount\n2026-03-01;ads;1.5\n\nyesterday;ads;1\n2026-03-01;;1\n2026-03-01;ads;1,5\n2026-03-01;ads\n"
        "2026-03-01;ads;nan\n9999-01-01;ads;1\n"
    )
    loaded = load_text(warehouse, text, "a.csv")
    assert loaded.accepted == 1
    assert [line for line, _ in loaded.rejected] == [4, 5, 6, 7, 8, 9]
    assert "day is a date as 2026-03-01, not 'yesterday'" in loaded.rejected[0][1]
    with pytest.raises(BadFile, match="costs: day, channel, amount, campaign, currency; rates: day, currency, rate"):
        load_text(warehouse, "day,amount\n", "b.csv")


def test_messages_cost_only_when_they_went_out(warehouse: Warehouse) -> None:
    def entry(send_id: str, state: str) -> LedgerEntry:
        return LedgerEntry(send_id=send_id, person_id=gone.person_id, channel="email", state=state, at=T0)

    gone, held = send("s1", T0), send("s2", T0)
    fill(warehouse, [gone, held, send("s3", T0 + DAY), entry("s1", "accepted"), entry("s2", "withheld")])
    assert amounts(warehouse, Prices(message={"email": 0.5})) == {("email", "welcome"): 1.0}
    assert amounts(warehouse, Prices(message={"email": 0.5}), Filters(until=T0 + DAY)) == {("email", "welcome"): 0.5}
    assert amounts(warehouse, Prices(message={"sms": 0.5})) == {}


def test_a_fee_is_spread_over_the_days_of_its_month(warehouse: Warehouse) -> None:
    fee = Prices(fee={"store": 310})
    assert amounts(warehouse, fee) == {}
    fill(warehouse, [update(event("A", T0)), update(event("A", T0 + 2 * DAY))])
    assert amounts(warehouse, fee) == {("store", ""): pytest.approx(30)}
    # all of March and half of April
    assert amounts(warehouse, fee, Filters(T0, T0 + 46 * DAY)) == {("store", ""): pytest.approx(310 * 1.5)}
    # days count whose midnight is inside
    assert amounts(warehouse, fee, Filters(T0 + 1, T0 + DAY + 1)) == {("store", ""): pytest.approx(10)}


def test_currencies_are_converted_by_the_rate_of_their_day_and_unknown_ones_told_apart(warehouse: Warehouse) -> None:
    load_text(warehouse, "day,currency,rate\n2026-03-02,usd,0.5\n2026-03-04,USD,0.25\n", "rates.csv")
    days = "".join(f"2026-03-0{day},ads,,100,USD\n" for day in (1, 2, 3, 4, 5))
    load_text(
        warehouse, f"day,channel,campaign,amount,currency\n{days}2026-03-01,tv,,9,CHF\n2026-03-01,tv,x,8,\n", "c.csv"
    )
    found = spent(warehouse, Prices("EUR"), Filters())
    assert found.amounts == {("ads", ""): 3 * 50 + 2 * 25, ("tv", "x"): 8}
    assert found.unknown == {"CHF": 9}
    assert found.by("channel") == {"ads": 200, "tv": 8}
    assert found.by("campaign") == {"(none)": 200, "x": 8}


LINES = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["ads", "tv"]), st.sampled_from(["", "x"]), st.integers(-5, 9),
        st.sampled_from(["", "EUR", "USD", "CHF"]),
    ),
    max_size=8,
)  # fmt: skip
RATES = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["USD", "CHF"]), st.sampled_from([0.5, 2.0])), max_size=4)


@given(
    files=st.lists(LINES, max_size=3),
    rates=RATES,
    since=st.none() | st.integers(-1, 5),
    days=st.none() | st.integers(0, 5),
)
@few(10, but=[HealthCheck.function_scoped_fixture])
def test_costs_are_those_found_line_by_line(
    engine: Warehouse,
    files: list[list[tuple[int, str, str, int, str]]],
    rates: list[tuple[int, str, float]],
    since: int | None,
    days: int | None,
) -> None:
    for table in ("costs_raw", "rates_raw", "events_raw", "sends_raw", "ledger"):
        engine.command(f"TRUNCATE TABLE pathline.{table}")
    first = datetime.fromtimestamp(T0 / 1000, UTC).date()
    newest: dict[tuple[int, str, str], list[tuple[int, str]]] = {}
    for number, lines in enumerate(files):
        text = "".join(f"{first + timedelta(d)},{channel},{to},{n},{money}\n" for d, channel, to, n, money in lines)
        load_text(engine, f"day,channel,campaign,amount,currency\n{text}", f"{number}.csv")
        mine: dict[tuple[int, str, str], list[tuple[int, str]]] = defaultdict(list)
        for day, channel, campaign, amount, currency in lines:
            mine[day, channel, campaign].append((amount, currency))
        newest |= mine
    text = "".join(f"{first + timedelta(day)},{currency},{rate}\n" for day, currency, rate in rates)
    load_text(engine, f"day,currency,rate\n{text}", "rates.csv")
    until = None if since is None or days is None else since + days
    expected, unknown = defaultdict[tuple[str, str], float](float), Counter[str]()
    for (day, channel, campaign), lines_of in newest.items():
        if (since is None or day >= since) and (until is None or day < until):
            for amount, currency in lines_of:
                rate = 1.0 if currency in ("", "EUR") else rate_on(rates, day, currency)
                if rate is None:
                    unknown[currency] += amount
                else:
                    expected[channel, campaign] += amount * rate
    bounds = Filters(None if since is None else T0 + since * DAY, None if until is None else T0 + until * DAY)
    found = spent(engine, Prices("EUR"), bounds)
    assert found.amounts == pytest.approx(expected)
    assert found.unknown == unknown


def rate_on(rates: list[tuple[int, str, float]], day: int, currency: str) -> float | None:
    of_day = {d: rate for d, name, rate in rates if name == currency}
    known = max((d for d in of_day if d <= day), default=min(of_day, default=None))
    return None if known is None else of_day[known]


class TestLoad:
    @pytest.fixture
    def url(self, warehouse: Warehouse) -> Iterator[str]:
        assert warehouse.path is not None
        with serving(application(warehouse.path, "pw"), 0, "test") as port:
            yield f"http://127.0.0.1:{port}/files?file=a.csv&password=pw"

    def test_a_running_warehouse_takes_files_from_who_knows_the_password(self, warehouse: Warehouse, url: str) -> None:
        text = "day,channel,amount\n2026-03-01,ads,3\n"
        assert httpx.post(url.replace("pw", "guess"), content=text).status_code == 403
        assert httpx.post(url, content="a,b\n").status_code == 400
        assert httpx.post(url, content=b"\xff").status_code == 400
        assert httpx.post(url, content=text).json() == {"accepted": 1, "rejected": []}
        assert amounts(warehouse, Prices()) == {("ads", ""): 3}


def test_load_takes_a_file_of_costs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, warehouse: Warehouse) -> None:
    # a process can have one warehouse open: the command is given this one
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))
    monkeypatch.setattr("sinks.clickhouse.engine.open_embedded", lambda folder: kept)
    kept = Warehouse(warehouse._client)
    monkeypatch.setattr(kept, "close", lambda: None)
    file = tmp_path / "spend.csv"
    file.write_text("\ufeffday,channel,campaign,amount,currency\n2026-03-01,ads,,3,\n2026-03-40,ads,,3,\n", "utf-8")
    result = CliRunner().invoke(app, ["load", str(file)])
    assert result.exit_code == 0, result.output
    assert result.output == "1 accepted, 1 rejected\n  line 3: day is a date as 2026-03-01, not '2026-03-40'\n"
    assert amounts(warehouse, Prices()) == {("ads", ""): 3}
    assert date(2026, 3, 1) == warehouse.rows("SELECT day FROM pathline.costs")[0]["day"]
