"""Every example of docs/segments.md, run by `pathline simulate`: what somebody does, and when the segment has them."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.definitions import load
from schemas.definitions.durations import spoken
from schemas.definitions.model import All, Predicts
from schemas.identifiers import person_id
from tests.line.project import START, Lab, Simulated, at, granted, identify, track
from tests.segments.buying import Told, score

PAGE = (Path(__file__).parents[2] / "docs" / "segments.md").read_text("utf-8")
EXAMPLES = dict(re.findall(r"```yaml\n# (\S+\.yaml)[^\n]*\n(.*?)```", PAGE, re.DOTALL))
BOUGHT = "Order Completed"


def bought(total: float, **when: float) -> dict[str, Any]:
    return track(BOUGHT, at(**when), properties={"total": total})


def lines(*products: tuple[str, float], store: str, **when: float) -> dict[str, Any]:
    """An order in a store."""
    listed = [{"category": category, "price": price} for category, price in products]
    total = sum(price for _, price in products)
    properties = {"total": total, "store": store, "products": listed}
    return track(BOUGHT, at(**when), properties=properties, context={"channel": "store"})


def traits(day: float, **told: Any) -> dict[str, Any]:
    return identify(at(days=day), traits=told)


def product(name: str, total: int, **when: float) -> dict[str, Any]:
    return track(name, at(**when), properties={"product_id": "p1", "total": total})


#: by segment: who (a user of their own, here and there one that a lottery draws), what they do, and what follows: so
#: long after the first instant, Monday noon, by what cause
STORIES: dict[str, tuple[str, list[dict[str, Any]], list[str]]] = {
    "regulars": ("", [bought(30), bought(5, days=1), bought(21, days=2)], ["2d entered event", "30d left timer"]),
    "cooling": ("", [bought(1)], ["2d entered timer", "5d left timer"]),
    "silent": (
        "",
        [track("View", at()), bought(1, days=1)],
        ["0s entered event", "1d left event", "41d entered timer"],
    ),
    "spring": ("", [bought(1, days=1), track("Service Booked", at(days=9))], ["9d entered event"]),
    "spring_regulars": (
        "",
        [bought(30, days=8), bought(30, days=9), traits(10, city="Lviv"), traits(11, city="Kyiv")],
        ["9d entered event", "10d left event", "11d entered event", "38d left timer"],
    ),
    "grown_up": (
        "",
        [traits(0, age=18, city="Kyiv", interests=["tea", "cups"]), traits(1, city="Odesa")],
        ["0s entered event", "1d left event"],
    ),
    "steady": ("", [traits(0, tier="gold"), traits(31, tier=None)], ["30d entered timer", "31d left event"]),
    "card_expires": ("", [traits(0, expires="2026-03-20")], ["3d12h entered timer", "17d12h left timer"]),
    "birthday_soon": ("", [traits(0, birthday="1990-03-15")], ["5d12h entered timer", "13d12h left timer"]),
    "at_work": (
        "",
        [track("View", at(days=3))],
        ["3d entered event", "3d6h left timer", "3d21h entered timer", "4d6h left timer", "6d21h entered timer", "..."],
    ),
    "every_tenth": ("u4", [track("View", at())], ["0s entered event"]),
    "next_tenth": ("u29", [track("View", at())], ["0s entered event"]),
    "big_spenders": ("", [bought(300), bought(200, days=1)], ["1d entered event", "90d left timer"]),
    "tea_lovers": (
        "",
        [
            lines(("tea", 40), ("tea", 40), ("cups", 30), store="Kyiv"),
            lines(("tea", 20), store="Lviv", days=1),
        ],
        ["30d entered timer"],
    ),
    "new_buyers": (
        "",
        [lines(("tea", 1), store=store, days=days) for store, days in (("Kyiv", 0), ("Odesa", 20), ("Lviv", 21))],
        ["0s entered event", "7d1ms left timer", "21d entered event", "28d1ms left timer"],
    ),
    "tea_drinkers": (
        "",
        [lines(("tea", 1), ("tea", 1), store="Kyiv"), lines(("cups", 1), ("tea", 1), store="Kyiv", days=1)],
        ["1d entered event", "30d left timer"],
    ),
    "at_the_till": (
        "",
        [product("Product Viewed", 1), product("Product Added", 1, hours=5), product("Checkout Started", 150, hours=6)],
        ["6h entered event", "1d left timer"],
    ),
    "best_buyers": ("", [bought(400)], ["0s entered event", "30d left timer"]),
    "about_to_buy": ("", [bought(20, days=day) for day in range(20)], ["3d entered event", "28d6h34m50s left timer"]),
    "worth_a_call": (
        "",
        [bought(1_000, days=day) for day in range(12)],
        ["30d2h10m57s entered timer", "43d10h33m20s left timer"],
    ),
    "partners": ("", [track("View", at(days=1))], ["1d entered event"]),
    "may_be_written_to": (
        "",
        [
            identify(at(), traits={"email": "ann@example.com"}, context=granted("email", "promotions")),
            identify(at(days=2), context=granted(refused=("promotions",))),
        ],
        ["0s entered event", "2d left event"],
    ),
    "by_mail": (
        "",
        [track("Email Opened", at(days=1)), track("SMS Replied", at(days=2))],
        ["1d entered event", "2d left event"],
    ),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """All stories, each of a person of its own, side by side."""
    lab = Lab(tmp_path_factory.mktemp("examples"))
    lab.files(EXAMPLES)
    lab.files({"lists/partners.csv": "user_id\npartners\n", "lists/staff.csv": "user_id\nnobody\n"})
    messages = []
    for name, (user, story, _) in STORIES.items():
        for message in story:
            messages.append({**message, "userId": user or name, "messageId": f"{name}-{message['messageId']}"})
    return lab.simulate(sorted(messages, key=lambda message: message["timestamp"]), at(days=100))


@pytest.mark.parametrize("segment", STORIES)
def test_somebody_is_in_it_exactly_when(run: Simulated, segment: str) -> None:
    _, _, expected = STORIES[segment]
    changes = _changes(run, segment)
    told = [f"{_after(one['at'])} {one['change']} {one['cause']}" for one in changes]
    if expected[-1:] == ["..."]:
        told[len(expected) - 1 :] = ["..."]
    assert told == expected


@pytest.mark.parametrize("segment", ["about_to_buy", "worth_a_call"])
def test_predictions_reach_their_numbers_at_that_very_second_by_the_formulas_of_the_papers(
    run: Simulated, segment: str, tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    lab.files({name: text for name, text in EXAMPLES.items() if segment in name or name.startswith("predict")})
    when = load(lab.folder).segments[segment].when
    asked = [part for part in (when.of if isinstance(when, All) else (when,)) if isinstance(part, Predicts)]
    orders = [
        Told("", "Order", (then := _milliseconds(one["timestamp"])), then, number, None, one["properties"]["total"])
        for number, one in enumerate(STORIES[segment][1])
    ]

    def inside(now: int) -> bool:
        scores = [(part.tests, score(part.prediction, [one for one in orders if one.at <= now], now)) for part in asked]
        return all(value is not None and value >= least for ((_, least),), value in scores)

    assert len(asked) == PAGE.split(f"segments/{segment}.yaml")[1].split("```")[0].count("predicts:")
    for change in _changes(run, segment):
        turn, entered = _milliseconds(change["at"]), change["change"] == "entered"
        assert (inside(turn - 1_000), inside(turn)) == (not entered, entered), change


def test_every_example_is_run() -> None:
    assert {f"segments/{name}.yaml" for name in STORIES} == {name for name in EXAMPLES if name.startswith("segments/")}


def _changes(run: Simulated, segment: str) -> list[dict[str, Any]]:
    """Of the person whose story it is."""
    who = person_id(f"user_id:{STORIES[segment][0] or segment}")
    return [one for one in run.memberships if (one["person_id"], one["segment"]) == (who, segment)]


def _after(instant: str) -> str:
    return spoken(round((datetime.fromisoformat(instant) - START).total_seconds() * 1000))


def _milliseconds(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
