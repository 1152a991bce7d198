"""Scores and predictions: the warehouse knows the same orders as the stage, and what was fitted stays in force."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pathline.cli import app
from pathline.commands.apply import publish, published_last
from pathline.predictions import buyers, fitting
from pathline.rfm.fitting import of_events, of_warehouse
from schemas.codec import Codec
from schemas.definitions import load, parse
from schemas.definitions.loading import BOUNDS, PARAMETERS
from schemas.kafka import apply_topics
from schemas.records import Event
from schemas.settings import Settings
from sinks.clickhouse.engine import Warehouse
from tests.sinks.made import DAY, HOUR, T0, event, fill, update

FILES = {
    "project.yaml": "name: shop\n",
    "events.yaml": "Order Completed: {same: properties.order_id, revenue: properties.paid, undo: [Refund]}\n",
    "segments/best.yaml": "when: {rfm: {recency: 5, monetary: [4, 5]}}\n",
}


def history(seed: int) -> list[Event]:
    """Orders of twenty people, some reported twice, some taken back, in part or wholly."""
    chance, events = random.Random(seed), list[Event]()
    for number in range(120):
        who, at, paid = f"user_id:u{chance.randrange(20)}", T0 + chance.randrange(30 * 24) * HOUR, chance.randrange(100)
        order = {"order_id": f"{who}/{number}", "paid": paid}
        events.append(event("Order Completed", at, id=f"{number}", who=who, properties=order))
        if chance.random() < 0.2:
            events.append(event("Order Completed", at + HOUR, id=f"{number}b", who=who, properties=order))
        if chance.random() < 0.3:
            back = order | {"paid": chance.choice([paid, paid / 2])}
            events.append(event("Refund", at + 2 * HOUR, id=f"{number}r", who=who, properties=back))
    return sorted(events, key=lambda one: one.occurred_at)


@pytest.mark.parametrize("within", ["", "within: 10d\n"])
def test_the_warehouse_and_the_stage_know_the_same_orders(warehouse: Warehouse, within: str) -> None:
    project, events, now = parse({**FILES, "rfm.yaml": within}), history(7), T0 + 20 * DAY
    fill(warehouse, map(update, events))
    asked = of_warehouse(warehouse, project, now)
    seen = of_events(project, [one for one in events if one.occurred_at <= now], now)
    told = [sorted(zip(x.last, x.counts, [round(s, 6) for s in x.sums], strict=True)) for x in (asked, seen)]
    assert told[0] == told[1]
    assert len(told[0]) > 10
    assert asked.bounds(now) == seen.bounds(now)


def test_the_warehouse_and_the_stage_predict_from_the_same_orders(warehouse: Warehouse) -> None:
    project, events, now = parse(FILES), history(9), T0 + 20 * DAY + 7
    fill(warehouse, map(update, events))
    asked = buyers.of_warehouse(warehouse, project, now)
    seen = buyers.of_events(project, [one for one in events if one.occurred_at <= now], now)
    assert {key: one._replace(worth=round(one.worth, 6)) for key, one in asked.items()} == seen
    assert len(seen) > 10
    assert any(one.days > 2 for one in seen.values())
    after = buyers.spent(warehouse, project, now, T0 + 90 * DAY)
    later = [one for one in events if one.name == "Order Completed" and one.occurred_at > now]
    assert 0 < len(after) <= len({one.identifiers[0] for one in later})


def test_bounds_are_fitted_published_and_kept(
    kafka: str, home: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHLINE_BROKERS", kafka)
    monkeypatch.setenv("PATHLINE_PARTITIONS", "8")  # as the other tests on this broker have them
    settings, codec = Settings(), Codec()
    for path, text in FILES.items():
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text(text, "utf-8")
    project = load(home)
    apply_topics(settings, project.channels)
    publish(settings, project)
    few = CliRunner().invoke(app, ["rfm", "fit"])
    assert "scores need at least 5 people who bought, there are 0" in few.output
    fill(warehouse, map(update, history(7)))
    done = CliRunner().invoke(app, ["rfm", "fit"])
    assert done.exit_code == 0, done.output
    fitted = published_last(settings, codec)
    assert fitted is not None
    assert fitted.files[BOUNDS] in done.output
    assert parse(fitted.files).scoring.bounds is not None
    again = CliRunner().invoke(app, ["apply"])
    assert f"{fitted.version} was in force already" in again.output, again.output
    (home / BOUNDS).write_text("recency: [4d, 3d, 2d, 1d]\nfrequency: [2, 3, 4, 5]\nmonetary: [2, 3, 4, 5]\n", "utf-8")
    own = CliRunner().invoke(app, ["apply"])
    assert own.exit_code == 0, own.output
    last = published_last(settings, codec)
    assert last is not None
    assert last.files[BOUNDS] == (home / BOUNDS).read_text("utf-8")


def crowd() -> list[Event]:
    """Orders of sixty people, each on some days of a month."""
    chance, events = random.Random(5), list[Event]()
    for number in range(60):
        for day in sorted(chance.sample(range(40), chance.randrange(1, 9))):
            order = {"order_id": f"{number}/{day}", "paid": round(chance.uniform(5, 60), 2)}
            who = f"user_id:u{number}"
            events.append(event("Order Completed", T0 + day * DAY, id=f"{number}/{day}", who=who, properties=order))
    return sorted(events, key=lambda one: one.occurred_at)


@pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="the extra `predict` is not there")
def test_how_people_buy_is_fitted_published_kept_beside_the_scores_and_held_against_what_came(
    kafka: str, home: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHLINE_BROKERS", kafka)
    monkeypatch.setenv("PATHLINE_PARTITIONS", "8")
    settings, codec = Settings(), Codec()
    for path, text in {**FILES, "segments/hot.yaml": "when: {predicts: {value: 90d, at_least: 9}}\n"}.items():
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text(text, "utf-8")
    project = load(home)
    apply_topics(settings, project.channels)
    publish(settings, project)
    fill(warehouse, map(update, crowd()))
    for command in (["rfm", "fit"], ["predict", "fit"], ["apply"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    last = published_last(settings, codec)
    assert last is not None
    assert {BOUNDS, PARAMETERS} <= last.files.keys()
    assert "of 60 people" in last.files[PARAMETERS]
    habits = parse(last.files).predicting.habits
    assert habits is not None
    assert habits.worth is not None
    told = CliRunner().invoke(app, ["predict", "quality", "--at", "2026-04-01", "--ahead", "9d", "--format", "json"])
    assert told.exit_code == 0, told.output
    assert '"own rate"' in told.output
    monkeypatch.setattr(fitting, "find_spec", lambda name: None)
    bare = CliRunner().invoke(app, ["predict", "fit"])
    assert bare.exit_code == 1
    assert bare.output.strip() == "Fitting needs SciPy, an extra of Pathline: pip install 'pathline[predict]'"
