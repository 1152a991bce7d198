"""The embedded engine as ClickHouse clients see it over HTTP."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.clickhouse import asked
from sinks.clickhouse.app import serving
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.http import application
from sinks.clickhouse.statements import NotAllowed, check, format_of
from tests.sinks.made import T0, event, fill, update

PASSWORD = "open sesame"


@pytest.fixture
def url(warehouse: Warehouse) -> Iterator[str]:
    assert warehouse.path is not None
    fill(warehouse, [update(event("Page Viewed", T0 + n)) for n in range(3)])
    with serving(application(warehouse.path, PASSWORD), 0, "test") as port:
        yield f"http://127.0.0.1:{port}/?user=pathline&password=open%20sesame"


def test_the_url_works_as_it_is(url: str) -> None:
    assert httpx.post(url, content="SELECT count() FROM pathline.events").text == "3\n"
    assert httpx.get(f"{url}&query=SELECT+count()+FROM+pathline.events").text == "3\n"
    assert httpx.get(f"{url}&query=SELECT+1+AS+a&default_format=JSONEachRow").text == '{"a":1}\n'
    answer = httpx.post(url, content="SELECT 1 AS a FORMAT JSON")
    assert answer.json()["data"] == [{"a": 1}]
    assert answer.headers["content-type"].startswith("application/json")
    assert httpx.get(url.replace("/?", "/ping?")).text == "Ok.\n"


def test_curl_reads(url: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl here")
    done = subprocess.run([curl, "-sS", url, "-d", "SELECT 6 * 7"], capture_output=True, text=True, timeout=20)
    assert done.stdout == "42\n"


def test_clickhouse_connect_reads(url: str) -> None:
    parts = httpx.URL(url)
    client = clickhouse_connect.get_client(
        host=parts.host, port=parts.port, username="anyone", password=PASSWORD, database="pathline"
    )
    assert client.query("SELECT count() FROM events WHERE name = {n:String}", {"n": "Page Viewed"}).result_rows == [
        (3,)
    ]
    assert client.query_arrow("SELECT event_id, properties FROM events").num_rows == 3
    assert client.query_df("SELECT name FROM events LIMIT 1")["name"][0] == "Page Viewed"
    long = ["x" * 100] * 1000
    assert client.query("SELECT length({l:Array(String)})", {"l": long}).result_rows == [(1000,)]
    with pytest.raises(DatabaseError, match="nowhere"):
        client.query("SELECT * FROM nowhere")
    client.close()


@pytest.mark.parametrize(
    "request_",
    [
        {"headers": {"X-ClickHouse-User": "x", "X-ClickHouse-Key": PASSWORD}},
        {"auth": ("x", PASSWORD)},
        {"headers": {"Authorization": f"Bearer {PASSWORD}"}},
    ],
)
def test_the_password_is_taken_where_clients_put_it(url: str, request_: dict[str, object]) -> None:
    bare = url.split("?")[0]
    assert httpx.post(bare, content="SELECT 1", **request_).text == "1\n"  # type: ignore[arg-type]


def test_without_the_password_nothing_is_read(url: str) -> None:
    bare = url.split("?")[0]
    for answer in (
        httpx.post(bare, content="SELECT 1"),
        httpx.post(f"{bare}?password=wrong", content="SELECT 1"),
        httpx.post(bare, content="SELECT 1", headers={"Authorization": "Basic ???"}),
    ):
        assert answer.status_code == 403
        assert answer.headers["x-clickhouse-exception-code"] == "516"


def test_parameters_database_and_settings(url: str) -> None:
    found = httpx.post(
        f"{url}&param_n=Page%20Viewed&database=pathline", content="SELECT count() FROM events WHERE name={n:String}"
    )
    assert found.text == "3\n"
    quoted = httpx.post(
        f"{url}&output_format_json_quote_64bit_integers=1", content="SELECT toUInt64(1) AS a FORMAT JSONEachRow"
    )
    assert quoted.text == '{"a":"1"}\n'
    packed = httpx.post(url, content=gzip.compress(b"SELECT 5"), headers={"Content-Encoding": "gzip"})
    assert packed.text == "5\n"
    # what one request sets, the next one does not see
    assert httpx.post(url, content="SELECT currentDatabase()").text == "default\n"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO pathline.moves (slot) VALUES ('x')",
        "DROP TABLE pathline.events_raw",
        "ALTER TABLE pathline.events_raw DELETE WHERE 1",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "SET readonly = 0",
        "USE pathline",
        "KILL QUERY WHERE 1",
        "SYSTEM SHUTDOWN",
        "SELECT 1; DROP TABLE pathline.events_raw",
        "SELECT 1 INTO OUTFILE '{file}'",
        "SELECT 1 INTO /* quietly */ OUTFILE '{file}'",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'LineAsString')",
        "SELECT * FROM executable('ls', 'LineAsString', 'a String')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT 1 SETTINGS max_execution_time = 100000",
    ],
)
def test_nothing_but_reading_is_possible(url: str, sql: str, tmp_path: Path) -> None:
    file = tmp_path / "out"
    answer = httpx.post(url, content=sql.replace("{file}", str(file)), timeout=10)
    assert answer.status_code >= 400, answer.text
    assert not file.exists()
    assert httpx.post(url, content="SELECT count() FROM pathline.events").text == "3\n"


def test_a_query_has_its_limits(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(asked._CAPPED, "max_execution_time", 1)
    slow = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    assert "TIMEOUT_EXCEEDED" in httpx.post(url, content=slow, timeout=20).text
    # more can't be asked for
    assert "TIMEOUT_EXCEEDED" in httpx.post(f"{url}&max_execution_time=0", content=slow, timeout=20).text
    assert (
        httpx.post(
            f"{url}&max_memory_usage=1000000", content="SELECT groupArray(number) FROM numbers(10000000)"
        ).status_code
        == 500
    )


def test_a_body_is_bounded_packed_or_not(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "MOST_BODY_BYTES", 10_000)
    long = b"SELECT 1 -- " + b"x" * 20_000
    packed = {"Content-Encoding": "gzip"}
    assert "longer than" in httpx.post(url, content=long).text
    assert "longer than" in httpx.post(url, content=gzip.compress(long), headers=packed).text
    assert "cut off" in httpx.post(url, content=gzip.compress(b"SELECT 1")[:-4], headers=packed).text
    assert "not gzip" in httpx.post(url, content=b"SELECT 1", headers=packed).text


def test_mistakes_are_told_as_clickhouse_tells_them(url: str) -> None:
    unknown = httpx.post(url, content="SELECT * FROM pathline.nowhere")
    assert (unknown.status_code, unknown.headers["x-clickhouse-exception-code"]) == (404, "60")
    broken = httpx.post(url, content="SELEC 1")
    assert broken.status_code == 400
    assert httpx.post(url, content=b"SELECT '\xff'").status_code == 400
    assert httpx.post(f"{url}&no_such_setting=1", content="SELECT 1").status_code == 400
    assert httpx.post(f"{url}&database=nowhere", content="SELECT 1").status_code == 404


def test_readers_do_not_wait_for_one_another(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda n: httpx.post(url, content=f"SELECT {n}", timeout=20).text, range(40))
        assert list(texts) == [f"{n}\n" for n in range(40)]


def test_words_in_strings_and_comments_are_only_words() -> None:
    check("SELECT ';', 'INTO OUTFILE', \"a;b\" /* ; DROP */ -- ; x\n FROM t;")
    check("(SELECT 1) UNION ALL (SELECT 2)")
    check("-- the question\nWITH 1 AS a SELECT a")
    for sql in ("", "SELECT 'a'; SELECT 2", "/* SELECT */ DROP TABLE x", "SELECT 1 INTO\nOUTFILE 'x'"):
        with pytest.raises(NotAllowed):
            check(sql)


def test_the_format_a_query_names_is_found() -> None:
    assert format_of("SELECT 1 FORMAT JSON") == "JSON"
    assert format_of("SELECT 1 format CSV SETTINGS max_threads = 1;") == "CSV"
    assert format_of("SELECT 'FORMAT X'") is None
