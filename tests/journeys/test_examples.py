"""Every example of docs/journeys.md, run by `pathline simulate`: what is decided and sent, and when."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.definitions import parse
from schemas.definitions.advice import advice
from schemas.definitions.durations import spoken
from tests.line.project import START, Lab, at, granted, identify, track

PAGE = (Path(__file__).parents[2] / "docs" / "journeys.md").read_text("utf-8")
_BLOCK = re.compile(r"```yaml\n# (\S+\.yaml)\n(.*?)```", re.DOTALL)
SECTIONS = [dict(_BLOCK.findall(section)) for section in PAGE.split("\n## ")[1:]]
SHOP, EXAMPLES = SECTIONS[0], SECTIONS[1:]
BOUGHT = "Order Completed"


def did(name: str, properties: dict[str, Any] | None = None, **when: float) -> dict[str, Any]:
    return track(name, at(**when), properties=properties or {})


def bought(order: int, category: str = "tea", **when: float) -> dict[str, Any]:
    products = [{"product_id": "p1", "category": category}]
    return did(BOUGHT, {"order_id": order, "total": 120, "products": products}, **when)


CUP, POT = {"product_id": "p1", "name": "Cup"}, {"product_id": "p2", "name": "Pot"}

#: what somebody does from Monday, 2 March 2026, 14:00 in Kyiv, until so many days later; the decisions that follow
STORIES: dict[str, list[tuple[list[dict[str, Any]], float, list[str]]]] = {
    "abandoned_cart": [
        (
            [did("Product Added", CUP), did("Product Added", POT, minutes=50)],
            9,
            ["0s entered", "50m not entered", "1h50m sent email cart"],
        ),
        ([did("Product Added", CUP), did("Product Removed", CUP, minutes=9)], 9, ["0s entered", "1h9m exited"]),
        ([did("Product Added", CUP), bought(1, minutes=59)], 9, ["0s entered", "59m exited"]),
    ],
    "abandoned_browse": [
        (
            [did("Product Viewed", CUP), did("Product Viewed", POT, days=1)],
            9,
            ["0s entered", "4h sent email viewed", "1d not entered"],
        ),
        ([did("Product Viewed", CUP), did("Product Added", CUP, hours=3)], 9, ["0s entered", "3h exited"]),
    ],
    "welcome": [
        ([did("Signed Up")], 9, ["0s entered", "0s sent email welcome", "2d20h sent email first_order"]),
        ([did("Signed Up"), bought(1, days=1)], 9, ["0s entered", "0s sent email welcome", "2d exited"]),
    ],
    "birthday": [
        (
            [identify(at(), traits={"birthday": "1990-03-05"})],
            370,
            ["2d20h entered", "2d20h sent email birthday", "367d20h entered", "367d20h sent email birthday"],
        ),
    ],
    "order_confirmation": [
        (
            [bought(1, hours=9), bought(1, hours=9, minutes=1), bought(2, hours=10)],
            2,
            [
                "9h entered",
                "9h sent email confirmation",
                "9h1m not entered",
                "10h entered",
                "10h sent email confirmation",
            ],
        ),
    ],
    "replenishment": [
        (
            [bought(1, "coffee"), bought(2, days=5), bought(3, "coffee", days=10)],
            95,
            ["0s entered", "10d exited", "10d entered", "50d sent email refill", "90d sent email refill"],
        ),
    ],
    "win_back": [
        ([bought(1)], 80, ["60d entered", "60d sent email miss_you", "67d sent sms miss_you"]),
        ([bought(1), bought(2, days=62)], 80, ["60d entered", "60d sent email miss_you", "62d exited"]),
    ],
    "warranty_end": [
        (
            [did("Product Registered", {"serial": "s1", "name": "Kettle", "warranty_until": "2026-05-01"})],
            99,
            ["0s entered", "29d19h sent email warranty"],
        ),
    ],
    "service_reminder": [
        ([did("Service Due", {"serial": "s1"})], 2, ["0s entered", "0s sent sms service", "6h sent email service"]),
        (
            [did("Service Due", {"serial": "s1"}), did("SMS Delivered", hours=5)],
            2,
            ["0s entered", "0s sent sms service"],
        ),
        (
            [did("Service Due", {"serial": "s1"}), did("Service Booked", {"serial": "s1"}, hours=5)],
            2,
            ["0s entered", "0s sent sms service", "5h exited"],
        ),
    ],
    "click_and_collect": [
        (
            [did("Order Ready", {"order_id": 7})],
            9,
            ["0s entered", "0s sent sms ready", "2d20h sent sms still_ready", "5d20h task given step_task"],
        ),
        (
            [did("Order Ready", {"order_id": 7}), did("Order Picked Up", {"order_id": 7}, days=1)],
            9,
            ["0s entered", "0s sent sms ready", "1d exited"],
        ),
    ],
    "after_the_purchase": [
        (
            [did("Order Delivered", {"order_id": 7, "name": "Kettle"})],
            30,
            ["0s entered", "1d sent email how_to_use", "8d sent email goes_with", "15d sent email review"],
        ),
        (
            [did("Order Delivered", {"order_id": 7, "name": "Kettle"}), did("Product Reviewed", days=10)],
            30,
            ["0s entered", "1d sent email how_to_use", "8d sent email goes_with"],
        ),
        (
            [did("Order Delivered", {"order_id": 7, "name": "Kettle"}), did("Order Returned", {"order_id": 7}, days=3)],
            30,
            ["0s entered", "1d sent email how_to_use", "3d exited"],
        ),
    ],
}


def name_of(files: dict[str, str]) -> str:
    return re.findall(r"journeys/(\w+)\.yaml", " ".join(files))[0]


def test_the_examples_are_one_sound_project_and_each_has_a_story() -> None:
    made = parse({name: text for section in SECTIONS for name, text in section.items()})
    assert set(made.journeys) == set(STORIES) == set(map(name_of, EXAMPLES))
    assert not advice(made)


@pytest.mark.parametrize("files", EXAMPLES, ids=name_of)
def test_an_example_does_what_the_page_says(files: dict[str, str], tmp_path: Path) -> None:
    journey = name_of(files)
    lab = Lab(tmp_path)
    lab.files({**SHOP, **files})
    for happens, days, expected in STORIES[journey]:
        known = {"email": "ann@example.com", "phone": "+380501234567"}
        told = identify(at(minutes=-1), traits=known, context=granted("email", "sms"))
        simulated = lab.simulate([told, *happens], at(days=days))
        sent = {row["send_id"]: f" {row['template']}" for row in simulated.sends}
        found = []
        for row in simulated.decisions:
            after = datetime.fromisoformat(row["at"]) - START
            message = sent.get(row.get("send_id") or "", "")
            channel = f" {row['channel']}" if row["channel"] else ""
            if row["journey"] == journey:
                found.append(f"{spoken(round(after.total_seconds() * 1000)) or '0s'} {row['reason']}{channel}{message}")
        assert found == expected
        assert [row["template"] for row in simulated.sends] == [
            line.rsplit(" ", 1)[1] for line in expected if " sent " in line
        ]
