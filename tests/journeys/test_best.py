"""The best channel: the cheapest in which a message is likely to be read."""

from __future__ import annotations

from itertools import permutations

import pytest

from processors.journeys.model import Belongings, Heard, join
from tests.journeys.lab import Lab, at

BEST = "enter: {event: Go}\nsteps:\n  - send: {template: hello, channels: best}\n"
DAY = 24


@pytest.fixture
def shop(lab: Lab) -> Lab:
    """E-mail is cheaper than push here, SMS is dear."""
    lab.file(
        "channels.yaml",
        """
        email: {cost: 0.001, connector: smtp}
        push: {cost: 0.002, connector: webpush, identifiers: [user_id]}
        sms: {cost: 0.05, connector: smpp}
        """,
    )
    lab.journey("j", BEST)
    lab.customer()
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    return lab


def go(lab: Lab, hours: float) -> str:
    """A message is sent; by which channel."""
    lab.event("Go", at(hours=hours))
    return lab.sends()[-1].channel


def test_while_nothing_is_known_the_cheapest_is_best(shop: Lab) -> None:
    assert go(shop, 0) == "email"


def test_three_messages_in_a_row_left_unread_make_way_for_the_next_cheapest(shop: Lab) -> None:
    assert [go(shop, hour) for hour in range(9)] == ["email"] * 3 + ["push"] * 3 + ["sms"] * 3


def test_where_silence_says_nothing_no_message_counts_as_unread(shop: Lab) -> None:
    assert [go(shop, hour) for hour in range(20)][6:] == ["sms"] * 14


def test_where_the_person_answered_is_better_than_what_is_cheaper(shop: Lab) -> None:
    shop.profiles["user_id:u1"]["affinity"] = ["push"]
    assert go(shop, 0) == "push"


@pytest.mark.parametrize("name", ["Email Opened", "Email Link Clicked"])
def test_who_reads_again_is_written_to_again(shop: Lab, name: str) -> None:
    assert [go(shop, hour) for hour in range(4)] == ["email"] * 3 + ["push"]
    shop.event(name, at(hours=5))
    assert [go(shop, hour) for hour in range(6, 10)] == ["email"] * 3 + ["push"]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("Email Delivered", {}),
        ("Email Opened", {"properties": {"machine": True}}),
        ("Email Opened", {"send_id": "another"}),
        ("Product Viewed", {}),
    ],
)
def test_what_shows_no_reading_changes_nothing(shop: Lab, name: str, more: dict[str, object]) -> None:
    for hour in range(3):
        go(shop, hour)
    shop.event(name, at(hours=4), **more)  # type: ignore[arg-type]
    assert go(shop, 5) == "push"


def test_an_open_of_an_older_message_by_its_id_counts(shop: Lab) -> None:
    for hour in range(3):
        go(shop, hour)
    shop.event("Email Opened", at(hours=4), send_id=shop.sends()[0].send_id)
    assert go(shop, 5) == "email"


def test_transactional_messages_count_too(shop: Lab) -> None:
    shop.journey(
        "order",
        "category: transactional\nenter: {event: Order}\nsteps:\n  - send: {template: hello, channels: [email]}\n",
    )
    for hour in range(3):
        shop.event("Order", at(hours=hour))
    assert go(shop, 4) == "push"


def test_a_better_channel_that_may_not_be_used_gives_way(shop: Lab) -> None:
    shop.profiles["user_id:u1"]["affinity"] = ["push"]
    shop.profiles["user_id:u1"]["consents"] = [
        {"address": "", "channel": "push", "purpose": "", "granted": False, "at": at(), "source": "x"}
    ]
    assert go(shop, 1) == "email"


def test_what_was_left_unread_is_known_after_a_merge(shop: Lab) -> None:
    shop.customer("anonymous_id:a")
    shop.profiles["anonymous_id:a"]["addresses"]["email"] = ["u1@example.com"]
    for hour in range(2):
        shop.event("Go", at(hours=hour), "anonymous_id:a")
    assert go(shop, 2) == "email"
    shop.move({"anonymous_id:a": 2}, "anonymous_id:a", "user_id:u1", at(hours=3))
    shop.arrived({"anonymous_id:a": 2}, "user_id:u1", at(hours=3))
    assert go(shop, 4) == "push"


def test_states_of_a_slot_join_in_any_order() -> None:
    parts = [
        Belongings(heard={"email": Heard((1, 5, 9), 3)}),
        Belongings(heard={"email": Heard((5, 7), 8), "sms": Heard((1,))}),
        Belongings(heard={"email": Heard((), 2)}),
    ]
    together = {"email": Heard((5, 7, 9), 8), "sms": Heard((1,))}
    assert all(join(join(a, b), c).heard == together for a, b, c in permutations(parts))
    assert all(join(a, join(b, c)).heard == together for a, b, c in permutations(parts))
