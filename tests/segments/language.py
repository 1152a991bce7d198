"""A project with a segment for every condition of the language, and people who do all that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

#: clocks go forward in Europe on March 29th, in America on the 8th
START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 40

FILES = {
    "project.yaml": """
name: shop
timezone: Europe/Kyiv
exclude: {any: [{in: list:staff}, {trait: tester, equals: true}]}
""",
    "events.yaml": """
Order Completed: {same: properties.order_id, revenue: properties.total, undo: [Order Refunded, Order Cancelled]}
Service Booked: {revenue: properties.price}
""",
    "channels.yaml": """
email: {consent: opt_in}
sms: {consent: opt_out}
viber: {consent: double_opt_in, identifiers: [phone]}
web_push: {consent: none}
web: {kind: session}
store: {kind: session}
""",
    "identity.yaml": """
identifiers:
  user_id: {limit: 1}
  email: {limit: 5, normalize: email, ignore: [plus_tags, dots]}
  phone: {limit: 5, normalize: phone, region: UA}
  push_token: {limit: 20}
  anonymous_id: {limit: 100}
""",
    "rfm_bounds.yaml": """
fitted: by hand
recency: [30d, 14d, 7d, 2d]
frequency: [1, 2, 3, 5]
monetary: [20, 55.5, 120, 250]
""",
    "predict_parameters.yaml": """
fitted: by hand
purchases: {r: 0.9, alpha: 6.2, a: 0.51, b: 2.63}
values: {p: 6.25, q: 3.74, gamma: 15.4}
""",
    "traits/likely.yaml": "predicts: {purchase: 20d}",
    "traits/worth.yaml": "predicts: {value: 20d}",
    "traits/hour.yaml": "best: hour",
    "traits/answers.yaml": "best: channel",
    "traits/cart.yaml": """
collect: {add: Product Added, remove: Product Removed, clear: [Order Completed, Cart Cleared],
          keep: [name, price, quantity], at_most: 3}
""",
    "traits/lines.yaml": """
collect: {add: Order Completed, each: properties.products, by: item.sku, keep: [price], where: item.price > 5}
""",
    "traits/orders.yaml": "count: {event: Order Completed, within: 20d}",
    "traits/spent.yaml": "sum: {of: properties.total, event: Order Completed, within: 20d}",
    "traits/mean.yaml": "average: {of: item.price, event: Order Completed, each: properties.products}",
    "traits/rhythm.yaml": "interval: {event: [Order Completed, Service Booked]}",
    "traits/next_of.yaml": "next_expected: {event: Order Completed, each: properties.products, by: item.sku}",
    "traits/next.yaml": "next_expected: {event: Order Completed}",
    "traits/favourite.yaml": "most_frequent: {of: item.sku, event: Order Completed, each: properties.products}",
    "traits/first_order.yaml": "first: {event: Order Completed}",
    "traits/last_store.yaml": "last: {event: Order Completed, of: properties.store}",
    "traits/viewed.yaml": "distinct: {of: properties.product_id, event: Product Viewed, within: 10d}",
    "traits/channel.yaml": "most_frequent: {of: channel, event: Product Viewed}",
}

#: by kind; where one line has several of a kind their names are numbered
CONDITIONS = {
    "did": [
        "{did: Order Completed}",
        "{did: Order Completed, where: event.properties.total > 20, count: {at_least: 2}, within: 30d}",
        "{did: Product Viewed, within: 5d, count: {at_most: 1}}",
        "{did: [Product Viewed, Order Completed], between: [20d, 3d], count: {exactly: 2}}",
        "{did: Product Viewed, from: 2026-03-05, to: 2026-03-20T12:00:00, count: {at_least: 1, at_most: 3}}",
        '{did: Order Completed, each: properties.products, where: \'item.sku == "tea" && event.channel == "store"\'}',
        "{did: Email Opened}",
    ],
    "absence": [
        "{not: {did: Order Completed, within: 10d}}",
        "{all: [{did: Product Added}, {not: {did: Order Completed, within: 7d}}]}",
    ],
    "where": [
        "{did: Order Completed, where: event.properties.coupon.startsWith('MAY') || event.properties.total >= 100}",
        "{did: Order Completed, where: '!has(event.properties.coupon)', within: 20d}",
        "{did: Order Completed, where: \"event.properties.products.exists(p, p.price > 30 && p.sku in ['tea', 7])\"}",
        "{did: Order Completed, where: 'event.properties.products.all(p, p.price * 2 > 20.5)', within: 20d}",
        "{did: Product Viewed, where: \"event.properties.product_id != 'tea' && event.channel == 'web'\"}",
        "{did: Product Viewed, where: \"event.context.page.url.matches('^https://shop/(tea|cup)')\"}",
        "{did: Product Viewed, where: timestamp(event.timestamp).getHours() < 9 }",
        "{did: Order Completed, where: 'size(event.properties.products) > 1 && int(event.properties.total) % 2 == 0'}",
    ],
    "in_order": [
        "{did_in_order: [Product Viewed, Product Added], within: 5d, same: properties.product_id}",
        "{did_in_order: [Product Viewed, {did: [Product Added, Product Viewed]}, Order Completed]}",
        "{did_in_order: [Product Added, {did: Order Completed, where: event.properties.total > 50}], within: 15d}",
        "{did_in_order: [Order Completed, Order Refunded], same: properties.order_id}",
    ],
    "measure": [
        "{sum: {of: properties.total, event: Order Completed, within: 20d, at_least: 150}}",
        "{sum: {of: properties.total, event: Order Completed, at_most: 0}}",
        "{average: {of: properties.total, event: Order Completed, at_least: 40.15, at_most: 80}}",
        "{min: {of: item.price, event: Order Completed, each: properties.products, at_most: 10}}",
        "{max: {of: properties.total, event: [Order Completed, Service Booked], not_equals: 30}}",
        "{distinct: {of: properties.product_id, event: Product Viewed, within: 10d, at_least: 3}}",
        "{distinct: {of: properties.total, event: Order Completed, one_of: [0, 2]}}",
        "{most_frequent: {of: properties.product_id, event: Product Viewed, equals: tea}}",
        "{most_frequent: {of: item.sku, event: Order Completed, each: properties.products, contains: u}}",
        "{first: {event: Order Completed, within: 20d}}",
        "{first: {event: Order Completed, at_least: 10d}}",
        "{last: {event: Order Completed, of: properties.store, equals: Kyiv, between: [20d, 1d]}}",
        "{last: {event: Order Completed, before: 2026-03-20}}",
        "{last: {event: Product Viewed, after: 2026-03-28, of: properties.product_id, not_equals: cup}}",
    ],
    "trait": [
        "{trait: city, equals: Kyiv}",
        "{trait: city, not_equals: Kyiv}",
        "{trait: city, one_of: [Lviv, Odesa], held_for: 5d}",
        "{trait: address.street, contains: Main}",
        "{trait: age, at_least: 30, at_most: 50.5}",
        "{trait: joined, at_least: 2025-06-01}",
        "{trait: vip, exists: false}",
        "{trait: vip, equals: true}",
        "{trait: tags, contains: b}",
        "{trait: orders_elsewhere, contains: 7}",
    ],
    "date": [
        "{trait: expires, within: 7d}",
        "{trait: expires, before: 2026-03-20}",
        "{trait: expires, after: 2026-03-29T03:30:00}",
        "{trait: expires, before: 5d, exists: true}",
        "{trait: expires, after: 0s, within: 14d}",
        "{trait: birthday, anniversary: {within: 7d}}",
        "{trait: birthday, anniversary: {within: 1d, after: 3d}}",
        "{trait: next, within: 10d}",
        "{trait: first_order, before: 15d}",
    ],
    "computed": [
        "{trait: cart, exists: true}",
        "{trait: cart, contains: tea}",
        "{trait: cart, contains: 3}",
        "{trait: cart.0.price, at_least: 20}",
        "{trait: lines, contains: cup}",
        "{trait: orders, at_most: 1}",
        "{trait: spent, at_least: 60}",
        "{trait: mean, at_least: 15.5}",
        "{trait: rhythm, at_most: 6}",
        "{trait: next_of.tea, within: 12d}",
        "{trait: favourite, equals: tea}",
        "{trait: last_store, not_equals: Kyiv}",
        "{trait: viewed, one_of: [0, 2, 3]}",
        "{trait: channel, equals: web}",
    ],
    "in": ["{in: did_1}", "{not: {in: list:partners}}", "{all: [{in: list:partners}, {not: {in: trait_1}}]}"],
    "reach": [
        "{consent: email}",
        "{consent: {channel: email, purpose: promotions}}",
        "{consent: {channel: sms, purpose: promotions}}",
        "{consent: viber}",
        "{consent: web_push}",
        "{reachable: viber}",
        "{reachable: web_push}",
        "{prefers: email}",
        "{prefers: sms}",
    ],
    "rfm": ["{rfm: {recency: [4, 5], monetary: 5}}", "{rfm: {frequency: [1, 3], recency: [1, 2, 3]}}"],
    "time": [
        '{time: {from: "09:00", to: "18:00", days: [mon, tue, wed, thu, fri]}}',
        '{time: {from: "22:30", to: "06:15"}}',
        "{time: {days: [sun]}}",
    ],
    "predicts": [
        "{predicts: {purchase: 10d, at_least: 0.7}}",
        "{predicts: {churn: 5d, at_least: 0.2, at_most: 0.8}}",
        "{predicts: {churn: ever, at_most: 0.01}}",
        "{predicts: {value: 20d, at_least: 100}}",
        "{trait: likely, at_least: 0.9}",
        "{trait: worth, at_least: 90}",
        "{trait: hour, one_of: [9, 10, 11, 12, 13, 14]}",
        "{trait: answers, equals: sms}",
    ],
    "percent": ["{percent: 40}", "{percent: [20, 70], of: lottery}"],
}


def files() -> dict[str, str]:
    """Texts of the project by path."""
    named = {
        f"{kind}_{number}": condition
        for kind, conditions in CONDITIONS.items()
        for number, condition in enumerate(conditions, 1)
    }
    return FILES | {f"segments/{name}.yaml": f"when: {condition}\n" for name, condition in named.items()}


def messages(draw: Random, people: int, count: int) -> Iterator[dict[str, Any]]:
    """Messages of the Segment spec in order of time."""
    times = sorted(draw.uniform(0, DAYS) for _ in range(count))
    for number, days in enumerate(times):
        # many at the same second, as browsers do
        at = START + timedelta(seconds=round(days * 86_400 / 40) * 40)
        yield {
            "messageId": f"m{number}",
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **_who(draw, draw.randrange(people)),
            **_what(draw, at),
        }


def _who(draw: Random, number: int) -> dict[str, Any]:
    """A person by the user id, the device, the address, or several of them."""
    user, device = {"userId": f"u{number}"}, {"anonymousId": f"a{number}-{draw.randrange(2)}"}
    email = {"externalIds": [{"type": "email", "id": f"p.{number}+x@Example.com"}]}
    phone = {"externalIds": [{"type": "phone", "id": f"{'+38050' if number % 3 else '+8190'}{number:07d}"}]}
    token = {"externalIds": [{"type": "push_token", "id": f"t{number}"}]}
    by = draw.choice([user, user, device, user | device, user, device])
    return {**by, "_context": draw.choice([{}, {}, {}, email, phone, token])}


def _what(draw: Random, at: datetime) -> dict[str, Any]:
    kind = draw.choice(["view", "view", "add", "remove", "order", "order", "refund", "identify", "receipt", "consent"])
    product = draw.choice(["tea", "cup", "mug", 7])
    if kind == "view":
        page: dict[str, Any] = draw.choice([{}, {"page": {"url": f"https://shop/{product}/1"}}])
        zones: list[dict[str, Any]] = [{}, {}, {"timezone": "America/New_York"}, {"timezone": "Nowhere"}]
        zone = draw.choice([*zones, {"location": {"country": "JP"}}])
        return _track(draw, "Product Viewed", {"product_id": product}, page | zone)
    if kind == "add":
        more: dict[str, Any] = draw.choice([{}, {"quantity": 2}, {"price": 25, "name": "Name"}])
        return _track(draw, "Product Added", {"product_id": product} | more)
    if kind == "remove":
        return _track(draw, draw.choice(["Product Removed"] * 4 + ["Cart Cleared"]), {"product_id": product})
    if kind == "order":
        return _order(draw)
    if kind == "refund":
        told: dict[str, Any] = draw.choice([{"total": 10}, {"total": 30.1}, {}])
        return _track(draw, draw.choice(["Order Refunded", "Order Cancelled"]), {"order_id": draw.randrange(25)} | told)
    if kind == "identify":
        return {"type": "identify", "traits": _traits(draw, at)}
    if kind == "receipt":
        return _receipt(draw)
    choices = {draw.choice(["email", "sms", "viber", "promotions", "email:promotions"]): draw.random() < 0.6}
    return _track(draw, "Preferences Saved", {}, {"consent": {"categoryPreferences": choices}})


def _track(
    draw: Random, name: str, properties: dict[str, Any], context: dict[str, Any] | None = None
) -> dict[str, Any]:
    channel = draw.choice(["web", "web", "store", "email"])
    return {
        "type": "track",
        "event": name,
        "properties": properties,
        "context": {"channel": channel, **(context or {})},
    }


def _order(draw: Random) -> dict[str, Any]:
    lines = [{"sku": draw.choice(["tea", "cup", 7]), "price": draw.choice([4.5, 10, 30.3, 45])} for _ in range(2)]
    told: dict[str, Any] = {
        "order_id": draw.choice([draw.randrange(25), str(draw.randrange(25)), None]),
        "total": draw.choice([10, 30, 40.1, 0.1, 0.2, 120, None, "55"]),
        "products": draw.choice([lines, lines[:1], None, "none"]),
        "store": draw.choice(["Kyiv", "Lviv", None]),
        "coupon": draw.choice(["MAY5", "JUNE", None, 5]),
        "price": draw.choice([30, None]),
    }
    properties = {key: value for key, value in told.items() if value is not None or draw.random() < 0.2}
    return _track(draw, draw.choice(["Order Completed"] * 4 + ["Service Booked"]), properties)


def _traits(draw: Random, at: datetime) -> dict[str, Any]:
    days = at + timedelta(days=draw.randrange(-15, 15), seconds=draw.randrange(86_400))
    told: dict[str, Any] = {
        "city": draw.choice(["Kyiv", "Lviv", "Odesa", None]),
        "address": draw.choice([{"street": "1 Main St"}, {"street": "Side St"}, "Main"]),
        "age": draw.choice([20, 30, 50.5, 70, "30", None]),
        "joined": draw.choice(["2025-06-01", "2025-05-31T23:59:59Z", "2026-01-01T00:00:00+03:00", 1750000000, "soon"]),
        "vip": draw.choice([True, False, None]),
        "tags": draw.choice([["a", "b"], ["c"], [], "abc"]),
        "orders_elsewhere": [{"id": draw.randrange(5, 9)}],
        "expires": draw.choice(
            [f"{days:%Y-%m-%d}", f"{days:%Y-%m-%dT%H:%M:%S}", f"{days:%Y-%m-%dT%H:%M:%S}Z", f"{days:%Y%m%dT%H%M}+0200",
             f"{days:%Y-%m-%dT%H:%M:%S}.25", days.timestamp(), int(days.timestamp() * 1000), "2026-03-29T03:30:00",
             f"{days:%G-W%V-%u}", "never", None]
        ),
        "birthday": draw.choice(
            [f"1990-{days:%m-%d}", f"--{days:%m-%d}", f"{days:%m-%d}", f"1985-{days:%m-%d}T10:00:00Z", "1992-02-29",
             f"2026-{days:%m-%d}", "02-30", None]
        ),
        "timezone": draw.choice(["Asia/Tokyo", "America/New_York", "Mars", None]),
        "tester": draw.random() < 0.02,
    }  # fmt: skip
    return {name: value for name, value in told.items() if draw.random() < 0.4}


def _receipt(draw: Random) -> dict[str, Any]:
    name = draw.choice(
        ["Email Opened", "Email Link Clicked", "SMS Link Clicked", "Viber Replied", "Web Push Tapped", "Unsubscribed",
         "Email Unsubscribed", "SMS Unsubscribed", "Email Delivered", "Push Notification Opened"]
    )  # fmt: skip
    told: dict[str, Any] = {
        "machine": draw.choice([None, None, True]),
        "channel": draw.choice([None, None, None, "sms"]),
        "purpose": draw.choice([None, None, "promotions"]),
        "email": draw.choice([None, None, f"P{draw.randrange(9)}@example.com"]),
        "phone": draw.choice([None, None, f"050 {draw.randrange(9):07d}"]),
    }
    return _track(draw, name, {key: value for key, value in told.items() if value is not None})
