"""The embedded engine as ClickHouse clients see it over HTTP."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.clickhouse import asked
from sinks.clickhouse.app import serving
from sinks.clickhouse.engine import Warehouse, open_server
from sinks.clickhouse.http import application
from sinks.clickhouse.packing import Packer, unpacked
from sinks.clickhouse.statements import format_of, of_no_rows
from tests.sinks.made import T0, event, fill, update
from tests.sinks.sinking import wait

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
    done = subprocess.run([curl, "-sS", url, "-d", "SELECT 6 * 7"], capture_output=True, text=True, timeout=120)
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


def test_our_own_commands_read_without_a_word(url: str, caplog: pytest.LogCaptureFixture) -> None:
    read = open_server(url, prepare=False)
    assert read.arrow("SELECT name FROM pathline.events").num_rows == 3
    read.close()
    assert not caplog.records


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
        # what the engine would let through
        "SELECT file('/etc/passwd')",
        "SELECT `file` /* */ ('/etc/passwd')",
        "SELECT \"f\\x69le\"('/etc/passwd')",
        "SELECT /* /* */ ' */ file('/etc/passwd') -- '",
        "SELECT arrayMap(file, ['/etc/passwd'])",
        "SELECT arrayMap((file), ['/etc/passwd'])",
        "SELECT arrayMap((`file`) AS f, ['/etc/passwd'])",
        "SELECT 1 AS `a'b`, file('/etc/passwd') AS `c'd`",
        "SELECT 1 AS `a``'`, file('/etc/passwd') AS `'b`",
        "SELECT 1 AS `\\\\'`, file('/etc/passwd') AS \"'b\"",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
        "DESCRIBE file('/etc/passwd', 'LineAsString')",
        "DESCRIBE TABLE url('http://127.0.0.1:1/')",
        "EXISTS TABLE `/etc/passwd`",
        "SELECT * FROM python('x')",
        "SELECT * FROM deltaLake('http://127.0.0.1:1/bucket/key')",
        "SELECT * FROM eval('SELECT 1')",
        "EXPLAIN SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'LineAsString')",
    ],
)
def test_nothing_but_reading_is_possible(url: str, sql: str, tmp_path: Path) -> None:
    file = tmp_path / "out"
    answer = httpx.post(url, content=sql.replace("{file}", str(file)))
    assert answer.status_code >= 400, answer.text
    assert not file.exists()
    assert httpx.post(url, content="SELECT count() FROM pathline.events").text == "3\n"


@pytest.mark.parametrize("call", ["arrayMap({f:Identifier}", "arrayMap( ((({f : Identifier}"])
def test_a_parameter_names_no_function(url: str, call: str) -> None:
    sql = f"SELECT {call}{')' * (call.count('(') - 1)}, ['/etc/passwd'])"
    answer = httpx.post(f"{url}&param_f=file", content=sql)
    assert answer.status_code == 400
    assert "root:" not in answer.text
    column = httpx.post(f"{url}&param_f=name", content="SELECT any({f:Identifier}) FROM pathline.events")
    assert column.text == "Page Viewed\n"


def test_a_setting_neither_reads_nor_writes_files(url: str, tmp_path: Path) -> None:
    there, new = tmp_path / "row", tmp_path / "new"
    there.write_text("secret ${a:CSV}")
    for setting, path, kind in (
        ("format_template_row", there, "Template"),
        ("format_template_resultset", there, "Template"),
        ("format_schema", f"{there}:M", "Protobuf"),
        ("output_format_schema", new, "Protobuf"),
    ):
        answer = httpx.post(
            url, params={"password": PASSWORD, setting: str(path)}, content=f"SELECT 1 AS a FORMAT {kind}"
        )
        assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (400, "164")
        assert "secret" not in answer.text
        assert not new.exists()
    written = {"format_template_row_format": "<${a:CSV}>", "format_template_resultset_format": "${data}"}
    answer = httpx.post(url, params={"password": PASSWORD, **written}, content="SELECT 1 AS a FORMAT Template")
    assert answer.text.strip() == "<1>"


def test_a_query_has_its_limits(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(asked._CAPPED, "max_execution_time", 1)
    slow = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    assert "TIMEOUT_EXCEEDED" in httpx.post(url, content=slow).text
    # more can't be asked for
    assert "TIMEOUT_EXCEEDED" in httpx.post(f"{url}&max_execution_time=0", content=slow).text
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
        texts = pool.map(lambda n: httpx.post(url, content=f"SELECT {n}").text, range(40))
        assert list(texts) == [f"{n}\n" for n in range(40)]


def test_words_in_strings_and_comments_are_only_words(url: str) -> None:
    for sql in (
        "SELECT ';', 'INTO OUTFILE', 1 AS \"a;b\" /* ; DROP */ -- ; x\n WHERE 'file(' != '';",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "-- the question\nWITH 1 AS a SELECT a",
        "SELECT $$; file('x')$$",
        "SELECT file, concat(file, '') FROM pathline.costs",
        "SELECT * FROM numbers(3)",
        "SELECT * FROM view(SELECT 1)",
        "SELECT 1 AS `it's file(`, 2 AS `arrayMap(file`",
        "SELECT arrayMap(x -> x + 1, [{n:UInt8}])",
    ):
        assert httpx.post(f"{url}&param_n=1", content=sql).status_code == 200, sql


def test_the_format_a_query_names_is_found() -> None:
    assert format_of("SELECT 1 FORMAT JSON") == "JSON"
    assert format_of("SELECT 1 FORMAT CSV SETTINGS max_threads = 1") == "CSV"
    assert format_of("SELECT ' FORMAT X'") is None


def test_what_is_asked_for_no_rows() -> None:
    assert of_no_rows("SELECT 1 SETTINGS max_threads = 1 FORMAT CSV") == "SELECT * FROM (SELECT 1) LIMIT 0"
    assert of_no_rows("SELECT 1 FORMAT CSV SETTINGS max_threads = 1") == "SELECT * FROM (SELECT 1) LIMIT 0"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("CSVWithNames", b'"a\nb","c"\n'), ("TSVWithNamesAndTypes", b"a\\nb\tc\nUInt64\tString\n"), ("CSV", b"")],
)
def test_a_long_answer_is_one_document(url: str, kind: str, expected: bytes) -> None:
    sql = f"SELECT number AS `a\\nb`, toString(number) AS c FROM numbers({{n:UInt32}}) FORMAT {kind}"
    long = httpx.post(f"{url}&param_n=200000", content=sql).content
    assert long.startswith(expected)
    assert long.count(b"\n") == 200_000 + expected.count(b"\n")
    assert long == httpx.post(f"{url}&param_n=200000&wait_end_of_query=1", content=sql).content
    assert httpx.post(f"{url}&param_n=0", content=sql).content == expected


def test_binary_answers_have_their_names_once(url: str) -> None:
    sql = "SELECT number AS a FROM numbers(200000) FORMAT RowBinaryWithNamesAndTypes"
    data = httpx.post(url, content=sql).content
    assert len(data) == len(b"\x01\x01a\x06UInt64") + 200_000 * 8


def test_a_huge_answer_is_not_kept(url: str) -> None:
    # more than a reader may hold, had it to be held
    sql = "SELECT number, repeat('x', 100) FROM numbers(2000000)"
    with httpx.stream("POST", f"{url}&max_result_bytes=1000000", content=sql) as answer:
        assert answer.status_code == 200
        assert sum(map(len, answer.iter_bytes())) > 200_000_000
    assert "TOO_MANY_ROWS_OR_BYTES" in httpx.post(f"{url}&max_result_bytes=1000000", content=f"{sql} FORMAT JSON").text


def test_a_failure_on_the_way_cuts_the_answer_off(url: str) -> None:
    sql = "SELECT throwIf(number = 3000000) FROM numbers(10000000)"
    with httpx.stream("POST", url, content=sql) as answer, pytest.raises(httpx.RemoteProtocolError):
        answer.read()
    assert answer.status_code == 200
    # whoever wants to know before the first byte asks for it
    assert httpx.post(f"{url}&wait_end_of_query=1", content=f"{sql} FORMAT Null").status_code == 500


def running(url: str) -> int:
    sql = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number)%' AND query NOT LIKE '%processes%'"
    return int(httpx.post(url, content=sql).text)


@pytest.mark.parametrize("sql", ["SELECT count()", "SELECT number"])
def test_a_client_that_goes_away_ends_its_query(url: str, sql: str) -> None:
    endless = f"{sql} FROM numbers(1000000000000) WHERE sipHash64(number) % 3 != 1"
    with suppress(httpx.ReadTimeout), httpx.stream("POST", url, content=endless, timeout=0.5) as answer:
        next(answer.iter_bytes())
    wait(lambda: running(url) == 0, "the query to end")
    # and gives its turn back
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: httpx.post(url, content="SELECT 1").text, range(8))) == ["1\n"] * 8


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "lz4", "br"])
def test_answers_and_questions_are_packed_as_asked(url: str, encoding: str) -> None:
    sql = "SELECT number FROM numbers(100000)"
    headers = {"Accept-Encoding": f"{encoding}, nonsense"}
    with httpx.stream("POST", f"{url}&enable_http_compression=1", content=sql, headers=headers) as answer:
        packed = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == encoding
    expected = "".join(f"{n}\n" for n in range(100_000)).encode()
    assert unpacked(packed, encoding, 1_000_000) == expected
    # nobody who did not ask gets it
    assert "content-encoding" not in httpx.post(url, content=sql, headers=headers).headers
    packer = Packer(encoding)
    body = packer.pack(b"SELECT ") + packer.pack(b"5", last=True)
    assert httpx.post(url, content=body, headers={"Content-Encoding": encoding}).text == "5\n"


def test_what_an_answer_cost_is_told(url: str) -> None:
    answer = httpx.post(
        f"{url}&query_id=mine&send_progress_in_http_headers=1", content="SELECT name FROM pathline.events"
    )
    assert answer.headers["x-clickhouse-query-id"] == "mine"
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("3", "3")
    assert json.loads(answer.headers["x-clickhouse-progress"])["read_rows"] == "3"
    assert answer.headers["x-clickhouse-timezone"]


def test_other_methods(url: str) -> None:
    assert httpx.head(url).status_code == 200
    assert httpx.options(url).headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert httpx.put(url, content="SELECT 1").status_code == 405


def test_what_drivers_need(url: str) -> None:
    # JDBC sends settings of inserts with everything, and packs by itself unless told otherwise
    assert httpx.post(f"{url}&async_insert=1&wait_for_async_insert=1&compress=0", content="SELECT 1").text == "1\n"
    assert "?compress=false" in httpx.post(f"{url}&compress=1", content="SELECT 1").text
    # clickhouse-connect reads rows as they come, and may stop
    parts = httpx.URL(url)
    client = clickhouse_connect.get_client(host=parts.host, port=parts.port, password=PASSWORD, database="pathline")
    with client.query_row_block_stream("SELECT number FROM numbers(300000)") as blocks:
        assert sum(map(len, blocks)) == 300_000
    with client.query_df_stream("SELECT number FROM numbers(1000000000)") as frames:
        assert len(next(iter(frames))) > 0
    assert client.query_np("SELECT number FROM numbers(3)").tolist() == [[0], [1], [2]]
    assert client.command("SELECT count() FROM events") == 3
    # what SQLAlchemy, Ibis and BI tools ask about the schema
    assert ["events", "View"] in [
        list(row) for row in client.query("SELECT name, engine FROM system.tables").result_rows
    ]
    assert client.query("DESCRIBE TABLE sends").result_rows[0][0] == "send_id"
    assert client.query("SELECT version(), timezone()").result_rows
    client.close()
