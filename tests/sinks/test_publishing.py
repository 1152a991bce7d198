"""What is told of people inside journeys before another version is published."""

from __future__ import annotations

from pathline.journeys.publishing import inside
from schemas.definitions import parse
from sinks.clickhouse.engine import Warehouse
from tests.journeys.lab import at
from tests.sinks.made import fill
from tests.sinks.test_journeys import JOURNEY, by_hand, lived


def test_who_is_inside_and_what_becomes_of_them(warehouse: Warehouse) -> None:
    lab = lived()
    for who in ("user_id:new1", "user_id:new2"):
        lab.customer(who)
        lab.event("Product Added", at(hours=45), who)
    fill(warehouse, lab.decided())
    before = dict(lab.files)
    here = {step: counted["here"] for step, counted in by_hand(lab.decided("cart"))[0].items()}
    total = sum(here.values())
    assert here["pause"] == 2 < here["end"]

    def told(text: str) -> list[str]:
        lab.journey("cart", text)
        return list(inside(warehouse, before, parse(lab.files)))

    assert told(JOURNEY) == []
    changed = JOURNEY.replace("10d", "9d")
    assert told(changed) == [f"cart: {total} inside an earlier version, who stay on it"]
    assert told(changed + "migrate: {steps: {pause: end, first: end}, others: exit}\n") == [
        f"cart: {total} inside an earlier version, 2 go over from pause to end, {total - 2} leave, nobody is at first"
    ]
    del lab.files["journeys/cart.yaml"]
    assert list(inside(warehouse, before, parse(lab.files))) == [f"cart is gone: {total} inside go on to its end"]
