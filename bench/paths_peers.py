"""The same questions of the same events in DuckDB and in pandas, for `bench.paths --peers`.

    python -m bench.paths_peers EVENTS.parquet

The peers get the columns they need, with persons already resolved. Each answer is told as one number, which must be
that of `pathline paths`. What is not installed is said.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

WEEK = 7 * 86_400_000
MONTH = 30 * 86_400_000

#: the number is that of steps from one event to the next
_TRANSITIONS = """
SELECT sum(count)::BIGINT FROM
(
    SELECT name, next, count(*) AS count, count(DISTINCT person) AS people, median(seconds) AS median FROM
    (
        SELECT person, name, lead(name) OVER path AS next, (lead(ts) OVER path - ts) / 1000 AS seconds
        FROM events WINDOW path AS (PARTITION BY person ORDER BY ts, id)
    )
    WHERE next IS NOT NULL GROUP BY ALL
)
"""
#: people with the third step of the funnel
_FUNNEL = f"""
WITH first AS (SELECT person, ts FROM events WHERE name = 'Product Viewed'),
     second AS (SELECT person, ts FROM events WHERE name = 'Product Added'),
     third AS (SELECT person, ts FROM events WHERE name = 'Order Completed')
SELECT count(DISTINCT x.person) FROM
(
    SELECT f.person AS person, f.ts AS began, s.ts AS ts
    FROM first AS f ASOF JOIN second AS s ON f.person = s.person AND f.ts <= s.ts
) AS x ASOF JOIN third AS t ON x.person = t.person AND x.ts <= t.ts
WHERE t.ts - x.began < {WEEK}
"""
#: conversions that have a touch, shared out evenly
_LINEAR = f"""
WITH touches AS
(
    SELECT person, ts, channel FROM
    (
        SELECT person, ts, channel, ts - lag(ts) OVER (PARTITION BY person, channel ORDER BY ts, id) AS since
        FROM events WHERE channel IN ('web', 'app', 'store')
    )
    WHERE since IS NULL OR since >= 1800000
    UNION ALL SELECT person, ts, channel FROM events WHERE channel = 'call_centre'
    UNION ALL
    SELECT arg_min(person, ts), min(ts), 'email' FROM events WHERE name = 'Email Link Clicked' GROUP BY send_id
),
paths AS
(
    SELECT c.id, c.revenue, t.channel, count(*) OVER (PARTITION BY c.id) AS length
    FROM (SELECT * FROM events WHERE name = 'Order Completed') AS c
    JOIN touches AS t ON c.person = t.person AND t.ts < c.ts AND c.ts - t.ts < {MONTH}
)
SELECT sum(owed)::BIGINT
FROM (SELECT channel, sum(1 / length) AS owed, sum(revenue / length) FROM paths GROUP BY channel)
"""
#: all returns
_RETENTION = """
SELECT sum(people)::BIGINT FROM
(
    SELECT began, week - began AS period, count(DISTINCT person) AS people FROM
    (
        SELECT person, week, min(week) OVER (PARTITION BY person) AS began
        FROM (SELECT person, (ts // 86400000 - 4) // 7 AS week FROM events)
    )
    WHERE week - began < 12 GROUP BY ALL
)
"""
SQL = {"transitions": _TRANSITIONS, "funnel": _FUNNEL, "attribution, linear": _LINEAR, "retention": _RETENTION}


def in_duckdb(file: str) -> dict[str, Callable[[], int]]:
    """By question how DuckDB answers it. Raises ImportError."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("CREATE TABLE events AS SELECT * FROM read_parquet(?)", [file])
    return {name: lambda sql=sql: connection.execute(sql).fetchone()[0] for name, sql in SQL.items()}


def in_pandas(file: str) -> dict[str, Callable[[], int]]:
    """By question how pandas answers it: what is written in a few lines. Raises ImportError."""
    import pandas

    events = pandas.read_parquet(file, columns=["person", "ts", "id", "name"])

    def transitions() -> int:
        path = events.sort_values(["person", "ts", "id"])
        same = path["person"].shift(-1) == path["person"]
        path = path.assign(next=path["name"].shift(-1), seconds=path["ts"].shift(-1) - path["ts"])[same]
        found = path.groupby(["name", "next"]).agg({"person": "nunique", "seconds": ["size", "median"]})
        return int(found["seconds", "size"].sum())

    def retention() -> int:
        weeks = events.assign(week=(events["ts"] // 86_400_000 - 4) // 7)
        weeks["began"] = weeks.groupby("person")["week"].transform("min")
        weeks = weeks[weeks["week"] - weeks["began"] < 12]
        return int(weeks.groupby(["began", "week"])["person"].nunique().sum())

    return {"transitions": transitions, "retention": retention}


def timed(name: str, ask: Callable[[], Any]) -> Any:
    """The answer; how long it took is printed, with the most memory of this process so far."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    answer = ask()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = after.ru_maxrss / 2**20
    print(f"{name:40} {seconds:7.1f} s, {cpu:6.1f} s of processor, most memory so far {memory:4.1f} GiB", flush=True)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--peer", choices=("duckdb", "pandas"), required=True)
    chosen = parser.parse_args()
    try:
        questions = {"duckdb": in_duckdb, "pandas": in_pandas}[chosen.peer](chosen.file)
    except ImportError:
        print(f"{chosen.peer} is not installed here: not measured")
        return
    for name, ask in questions.items():
        print(f"  its answer: {timed(f'{chosen.peer}: {name}', ask):,}")


if __name__ == "__main__":
    main()
