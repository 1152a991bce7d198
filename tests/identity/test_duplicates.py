"""Clients repeat messages; each counts once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.identity.duplicates import REMEMBERED, is_duplicate
from processors.identity.model import BLOCKS, RECENT
from processors.runtime.store import MemoryStore
from processors.runtime.turns import Work
from tests.graph.rules import shop
from tests.identity.crowd import Town

DAY = 86_400_000


def test_a_message_sent_again_counts_once() -> None:
    town = Town(shop())
    for at in (1, 2, 3):
        town.post("bought", 1, "retry", received_at=at, user_id="anna")
    assert town.histories() == [["bought"]]


def test_a_message_sent_again_after_the_window_is_another_one() -> None:
    town = Town(shop())
    window = town.rules.remember_messages
    town.post("first", 1, "m", user_id="anna")
    town.post("within", window, "m", user_id="anna")
    town.post("after", window + 1, "m", user_id="anna")
    assert town.histories() == [["after", "first"]]


def test_the_same_message_id_of_another_source_or_person_is_another_message() -> None:
    town = Town(shop())
    town.post("one", 1, "m", user_id="anna")
    town.post("two", 1, "m", user_id="boris")
    assert town.histories() == [["one"], ["two"]]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=60))
@settings(max_examples=200, deadline=None)
def test_duplicates_are_those_received_within_the_window_before(messages: list[tuple[int, int]]) -> None:
    work, now, window = Work(0, MemoryStore()), 0, 20
    accepted: dict[int, int] = {}
    for message, later in messages:
        now += later
        duplicate = message in accepted and now - accepted[message] < window
        assert is_duplicate(work, "user_id:1", str(message), now, window) == duplicate
        if not duplicate:
            accepted[message] = now


def test_what_is_remembered_of_one_identifier_is_bounded() -> None:
    work = Work(0, MemoryStore())
    for number in range(3 * REMEMBERED):
        assert not is_duplicate(work, "user_id:kiosk", str(number), number, 7 * DAY)
    for number in range(2 * REMEMBERED, 3 * REMEMBERED):
        assert is_duplicate(work, "user_id:kiosk", str(number), number, 7 * DAY)
    kept = [*(block for _, block in work.scan(BLOCKS)), *(recent.block for _, recent in work.scan(RECENT))]
    assert sum(len(block) for block in kept) <= 20 * REMEMBERED
