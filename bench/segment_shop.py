"""Definitions for the benches of segments: many that read few events each, and one of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.definitions import parse
from schemas.definitions.model import Project

DAY = 86_400_000
#: An event is read by so many segments.
TOUCHED = 10
_RULES = {
    "project.yaml": "name: bench\n",
    "identity.yaml": "identifiers: {user_id: {limit: 1}, email: {}, anonymous_id: {}}\n",
    "channels.yaml": "{email: {consent: opt_in}, web: {kind: session}}",
    "rfm_bounds.yaml": "{recency: [180d, 90d, 30d, 7d], frequency: [1, 2, 3, 6], monetary: [20, 55, 120, 400]}",
    "predict_parameters.yaml": "{purchases: {r: 0.6, alpha: 20, a: 0.8, b: 2.5}, values: {p: 4, q: 3.5, gamma: 30}}",
}


def shop(segments: int) -> tuple[Project, list[str]]:
    """A project with so many segments, and the names of the events that they read, each by `TOUCHED` segments."""
    names = [f"Event {number}" for number in range(max(1, segments // TOUCHED))]
    files = {f"segments/s{n}.yaml": f"when: {_condition(n, len(names))}" for n in range(segments)}
    return parse(_RULES | files), names


def _condition(number: int, names: int) -> str:
    """A mix: most count within a window, some look at properties, some at other segments; a tenth is true of who did
    nothing."""
    name, days = f"Event {number % names}", 1 + number % 90
    match number // names:
        case 0 | 5:
            return f"{{did: {name}, count: {{at_least: {1 + number % 3}}}, within: {days}d}}"
        case 1 | 6:
            return f"{{all: [{{did: {name}}}, {{not: {{did: {name}, within: {days}d}}}}]}}"
        case 2:
            return f"{{not: {{did: {name}, within: {days}d}}}}"
        case 3 | 7:
            return f'{{did: {name}, where: "event.properties.total > {number % 100}", within: {days}d}}'
        case 4:
            return f"{{sum: {{event: {name}, of: properties.total, within: {days}d, at_least: 200}}}}"
        case 8:
            return f"{{did: {name}, count: {{at_least: 3}}}}"
        case _:
            return f"{{all: [{{in: s{number % names}}}, {{not: {{in: s{number % names + 2 * names}}}}}]}}"


def single(file: str, events: str = "") -> Project:
    """A project with one segment or computed trait, and perhaps with an events.yaml."""
    kind, _, text = file.partition(" ")
    return parse(_RULES | {f"{kind}/one.yaml": text} | ({"events.yaml": events} if events else {}))


SAME = "Order: {same: properties.order_id, revenue: properties.total, undo: [Refund]}"
REVENUE = "Order: {revenue: properties.total}"
#: kinds that read the orders of events.yaml
BY_ORDERS = ("rfm", "predicts")
#: one of each kind, by what a reader of the table calls it
KINDS: Mapping[str, str] = {
    "nothing": "segments when: {trait: x, exists: true}",
    "did, at least 3, joined orders": "segments when: {did: Order, count: {at_least: 3}}",
    "sum within 90d, joined orders": "segments when: {sum: {event: Order, of: properties.total, within: 90d, at_least: "
    "500}}",
    "did, ever": "segments when: {did: Order}",
    "did, at least 3 within 30d": "segments when: {did: Order, count: {at_least: 3}, within: 30d}",
    "did, at most 1 within 30d": "segments when: {did: Order, count: {at_most: 1}, within: 30d}",
    "did, between 30d and 7d": "segments when: {did: Order, between: [30d, 7d]}",
    "did, lines of orders": "segments when: {did: Order, each: properties.products, count: {at_least: 3}}",
    "did_in_order, ever": "segments when: {did_in_order: [View, Order]}",
    "did_in_order within 7d": "segments when: {did_in_order: [View, Order], within: 7d}",
    "sum within 90d": "segments when: {sum: {event: Order, of: properties.total, within: 90d, at_least: 500}}",
    "sum, ever": "segments when: {sum: {event: Order, of: properties.total, at_least: 500}}",
    "max, ever": "segments when: {max: {event: Order, of: properties.total, at_least: 100}}",
    "distinct within 90d": "segments when: {distinct: {event: Order, of: properties.product_id, within: 90d, "
    "at_least: 5}}",
    "most_frequent within 90d": "segments when: {most_frequent: {event: Order, of: properties.product_id, within: 90d, "
    "equals: p1}}",
    "first, last": "segments when: {all: [{first: {event: Order, within: 30d}}, {last: {event: Order, before: 7d}}]}",
    "rfm": "segments when: {rfm: {recency: 5, monetary: [4, 5]}}",
    "predicts": "segments when: {predicts: {purchase: 30d, at_least: 0.6}}",
    "prefers": "segments when: {prefers: email}",
    "held_for": "segments when: {trait: city, held_for: 30d}",
    "computed trait: list of 50": "traits collect: {add: View, keep: [name, price]}",
    "computed trait: rhythm": "traits interval: {event: Order}",
}


def doing(number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(event, properties, traits) of what somebody does at the step of this number: orders and views in turn."""
    product = {"product_id": f"p{number % 60}", "name": f"Tea of the hill {number % 60}", "price": number % 90}
    if number % 2:
        return "View", product, {"city": "Kyiv"}
    order = {"order_id": f"o{number}", "total": number % 90, "products": [product, product]}
    return "Order", product | order, {}
