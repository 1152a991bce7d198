"""Computed traits, seen through `pathline simulate`: in conditions, branches, expressions and messages."""

from __future__ import annotations

import pytest

from tests.line.project import Lab, at, granted, identify, track

EVENTS = "Order Completed: {same: properties.order_id, revenue: properties.total, undo: [Order Refunded]}\n"


def order(when: str, number: int, total: float, **more: object) -> dict[str, object]:
    return track("Order Completed", when, properties={"order_id": f"o{number}", "total": total, **more})


@pytest.fixture
def shop(lab: Lab) -> Lab:
    lab.files(
        {
            "events.yaml": EVENTS,
            "traits/spent.yaml": "sum: {of: properties.total, event: Order Completed, within: 90d}\n",
            "traits/anything.yaml": "name: last_order\nlast: {event: Order Completed}\n",
            "traits/favourite.yaml": """
                name: favourite_category
                most_frequent: {of: item.category, event: Order Completed, each: properties.products}
                """,
            "traits/restock.yaml": """
                next_expected: {event: Order Completed, each: properties.products, by: item.category}
                """,
        }
    )
    return lab


def test_conditions_ask_a_computed_trait_and_a_measure_alike(shop: Lab) -> None:
    shop.segment("by_trait", "trait: spent\nat_least: 500")
    shop.segment("by_sum", "sum: {of: properties.total, event: Order Completed, within: 90d, at_least: 500}")
    shop.segment("quiet", "trait: last_order\nbefore: 30d")
    orders = [order(at(), 1, 300), order(at(days=10), 2, 250), order(at(days=10), 2, 250)]
    refund = track("Order Refunded", at(days=20), properties={"order_id": "o2", "total": 50.01})
    done = shop.simulate([*orders, refund, order(at(days=25), 3, 0.01)], at(days=200))
    expected = [
        (at(days=10), "entered", "event"),
        (at(days=20), "left", "event"),
        (at(days=25), "entered", "event"),
        (at(days=90), "left", "timer"),
    ]
    assert done.changes("by_trait") == done.changes("by_sum") == expected
    assert done.changes("quiet") == [(at(days=55), "entered", "timer")]
    assert done.people[0]["traits"] == {"spent": 0, "last_order": at(days=25)}


def test_journeys_read_computed_traits_in_branches_expressions_and_messages(shop: Lab) -> None:
    shop.template("hello", "You like {{ person.traits.favourite_category }}", "{{ person.traits.spent }}")
    shop.journey(
        "thanks",
        """
        enter: {event: Order Completed, where: event.properties.total > 100}
        steps:
          - wait: 1h
          - branch:
              - when: {all: [{trait: spent, at_least: 300}, {trait: restock.tea, within: 40d}]}
                steps: [{exit: big}]
              - when: {cel: "person.traits.spent >= 200.0 && person.traits.favourite_category == 'tea'"}
                steps: [{send: {template: hello, channels: [email]}}]
              - otherwise: [{exit: small}]
        """,
    )
    customer = identify(at(days=-1), traits={"email": "u1@example.com"}, context=granted("email"))
    tea = {"products": [{"category": "tea"}, {"category": "cup"}]}
    orders = [order(at(), 1, 120, **tea), order(at(days=9), 2, 120, products=[{"category": "tea"}])]
    done = shop.simulate([customer, *orders, order(at(days=10), 3, 120)], at(days=20))
    assert [s["at"] for s in done.sends] == [at(days=9, hours=1)]
    exits = [(d["at"], d["detail"]) for d in done.decisions if d["reason"] == "exited"]
    assert exits == [(at(hours=1), "small"), (at(days=10, hours=1), "big")]


def test_a_branch_measures_by_itself(shop: Lab) -> None:
    shop.journey(
        "second",
        """
        enter: {event: Page Seen}
        steps:
          - branch:
              - when: {average: {of: properties.total, event: Order Completed, at_least: 50}}
                steps: [{send: {template: hello, channels: [email]}}]
              - when: {first: {event: Order Completed, at_least: 1d}}
                steps: [{exit: old}]
              - otherwise: [{exit: young}]
        """,
    )
    customer = identify(at(days=-1), traits={"email": "u1@example.com"}, context=granted("email"))
    seen = [track("Page Seen", at(days=day)) for day in (0, 1, 2, 3)]
    orders = [order(at(days=0.5), 1, 20), order(at(days=2.5), 2, 100)]
    done = shop.simulate([customer, *seen, *orders], at(days=9))
    assert [s["at"] for s in done.sends] == [at(days=3)]
    details = [d["detail"] for d in done.decisions if d["reason"] == "exited"]
    assert details == ["young", "young", "old"]
