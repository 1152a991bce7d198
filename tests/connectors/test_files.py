"""Sources as they are read: the Complete Journey and JSON lines."""

from __future__ import annotations

import codecs
import gzip
from collections import Counter
from pathlib import Path

import orjson
import pytest

from connectors.inbound.files import open_source
from connectors.inbound.files.base import BadSource, Item
from connectors.inbound.files.complete_journey import CompleteJourney
from connectors.inbound.segment import instant, to_event
from tests.connectors.doubles import NOW, RULES


def message(item: Item) -> dict[str, object]:
    assert item.message is not None
    return dict(item.message)


@pytest.fixture(scope="module")
def shop() -> list[Item]:
    return list(CompleteJourney("households=60,weeks=20").items())


def test_the_shop_data_is_in_order_of_time_and_every_message_is_an_event(shop: list[Item]) -> None:
    made = [
        to_event(message(item), RULES, received_at=NOW, source="load", historical=True, use_sent_at=False)
        for item in shop
    ]
    times = [event.occurred_at for event in made]
    assert times == sorted(times)
    assert times[-1] < CompleteJourney("weeks=20").ends_at
    assert len({event.message_id for event in made}) == len(made)
    names = Counter(event.name for event in made)
    assert set(names) == {"Identify", "Order Completed", "Campaign Mailed", "Coupon Redeemed"}
    assert {event.channel for event in made if event.name == "Order Completed"} == {"store"}
    assert {event.channel for event in made if event.name == "Campaign Mailed"} == {"mail"}


def test_every_household_is_introduced_once_and_first(shop: list[Item]) -> None:
    known = set()
    for item in shop:
        one = message(item)
        card = item.message["context"]["externalIds"][0]["id"]  # type: ignore[index]
        if one["type"] == "identify":
            assert card not in known
            known.add(card)
            assert one["traits"]["email"] == f"household-{card}@example.com"  # type: ignore[index]
            assert one["traits"]["synthetic"] is True  # type: ignore[index]
            assert one["context"]["consent"] == {"categoryPreferences": {"email": True}}  # type: ignore[index]
        assert card in known


def test_a_basket_is_one_order_with_its_lines() -> None:
    orders = [message(item) for item in CompleteJourney("households=5,weeks=2").items()]
    order = next(one["properties"] for one in orders if one.get("event") == "Order Completed")
    assert isinstance(order, dict)
    paid = sum(line["price"] * max(line["quantity"], 1) for line in order["products"])
    assert order["total"] == pytest.approx(paid, abs=0.01 * sum(max(line["quantity"], 1) for line in order["products"]))
    assert {"product_id", "quantity", "price", "department", "category", "brand"} <= set(order["products"][0])


def test_a_coupon_is_redeemed_at_a_basket_of_its_day(shop: list[Item]) -> None:
    ones = [message(item) for item in CompleteJourney("households=400,weeks=20").items()]
    baskets = {
        (one["context"]["externalIds"][0]["id"], one["timestamp"])  # type: ignore[index]
        for one in ones
        if one.get("event") == "Order Completed"
    }
    coupons = [one for one in ones if one.get("event") == "Coupon Redeemed"]
    assert coupons
    for coupon in coupons:
        assert (coupon["context"]["externalIds"][0]["id"], coupon["timestamp"]) in baskets  # type: ignore[index]


def test_fewer_households_are_part_of_more_and_always_the_same() -> None:
    def cards(count: int) -> set[str]:
        found = (message(item) for item in CompleteJourney(f"households={count},weeks=1").items())
        return {str(one["messageId"]) for one in found}

    assert cards(20) < cards(60)
    assert cards(20) == cards(20)


def test_the_whole_data_is_what_the_package_says() -> None:
    whole = CompleteJourney()
    assert whole.households == 2_469
    assert instant("2017-01-01T05:00:00Z", "start") == whole.starts_at


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("complete_journey:homes=3", "unknown option 'homes'; there are households"),
        ("complete_journey:weeks=0", "a number from 1 is expected"),
        ("complete_journey:weeks=x", "a number from 1 is expected"),
        ("complete_journey:households=9999", "there are 2469"),
        ("csv:file", "unknown format 'csv'; there are complete_journey, segment"),
        ("missing.jsonl", "no such file: missing.jsonl"),
        ("segment:missing.jsonl", "no such file: missing.jsonl"),
    ],
)
def test_a_wrong_source_says_what_is_right(text: str, reason: str) -> None:
    with pytest.raises(BadSource) as refused:
        open_source(text)
    assert reason in str(refused.value)


def test_json_lines_keep_the_bytes_of_what_they_can_not_read(tmp_path: Path) -> None:
    lines = [b'{"type": "track"}', b"", b"{", b"\xff", b"[1]", b'{"a": 1}']
    for path, data in (
        (tmp_path / "a.jsonl", b"\n".join(lines)),
        (tmp_path / "a.jsonl.gz", gzip.compress(b"\n".join(lines))),
        (tmp_path / "windows.jsonl", codecs.BOM_UTF8 + b"\r\n".join(lines)),
    ):
        path.write_bytes(data)
        items = list(open_source(str(path)).items())
        assert [item.raw for item in items] == [line for line in lines if line]
        assert [item.message is not None for item in items] == [True, False, False, False, True]
        assert items[3].problem == "not a JSON object"


def test_the_options_of_a_source_make_its_id(tmp_path: Path) -> None:
    assert open_source("complete_journey:weeks=3,households=7").id == "complete_journey:households=7,weeks=3"
    path = tmp_path / "a.jsonl"
    path.write_bytes(orjson.dumps({}))
    assert open_source(str(path)).id == open_source(f"segment:{path}").id


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_json_lines_in_another_encoding_are_refused_as_a_whole(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"type": "track"}\n{"type": "track"}\n'.encode(encoding))
    with pytest.raises(BadSource, match=r"a\.jsonl is UTF-16, JSON lines are UTF-8: iconv"):
        list(open_source(str(path)).items())
