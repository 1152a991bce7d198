"""Bad input on a running line: nothing stops it, nothing disappears, and what was good goes through."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from pathline.cli import app
from pathline.dead_letters import contents, read
from pathline.local.home import ProcessState
from pathline.local.quiet import wait_quiet
from pathline.local.stack import Stack
from processors.runtime.contract import Record
from schemas import topics
from schemas.codec import Codec
from schemas.dead_letters import LETTER_BYTES, own_of
from schemas.headers import headers_of
from schemas.kafka import producer_config
from schemas.records import Event
from sinks.clickhouse.engine import Warehouse, open_server
from tests.badinput.fuzzing import Sent, by_bytes, by_schema, profiles
from tests.badinput.poison import bomb, poison, table
from tests.line.project import Lab
from tests.runtime.workers import read as records
from tests.runtime.workers import until

PARTITIONS = 2
#: of one partition in a row; above what the campaign puts into any
RUN = 40


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("badinput")
    lab = Lab(folder)
    lab.segment("buyers", "did: Order Completed")
    lab.journey("callback", "enter: {api: true}\nsteps:\n  - wait: 1h\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHLINE_HOME", str(folder / "home"))
        patch.setenv("PATHLINE_DEAD_LETTER_RUN", str(RUN))
        with Stack(folder / "home", lab.folder, partitions=PARTITIONS) as running:
            yield running


@pytest.fixture(scope="module")
def warehouse(stack: Stack) -> Iterator[Warehouse]:
    opened = open_server(stack.line.warehouse, prepare=False)
    yield opened
    opened.close()


def buy(stack: Stack, user: str) -> None:
    """An order, through the collector."""
    key = b64encode(f"{stack.line.write_key}:".encode()).decode()
    message = {"userId": user, "event": "Order Completed", "messageId": f"order of {user}"}
    request = urllib.request.Request(
        f"{stack.line.collector}/v1/track", json.dumps(message).encode(), {"Authorization": f"Basic {key}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["accepted"] == 1


def members(warehouse: Warehouse, *users: str) -> int:
    """How many of these users the warehouse knows as buyers, each by one event."""
    named = ", ".join(f"'user_id:{user}'" for user in users)
    counted = f"SELECT count() AS n FROM pathline.events WHERE hasAny(identifiers, [{named}])"
    bought = (
        "SELECT count() AS n FROM pathline.members WHERE segment = 'buyers' AND person_id IN "
        f"(SELECT person_id FROM pathline.events WHERE hasAny(identifiers, [{named}]))"
    )
    events, persons = warehouse.rows(counted)[0]["n"], warehouse.rows(bought)[0]["n"]
    return int(persons) if events == persons else 0


def processes(stack: Stack) -> list[tuple[str, int | None, int, str]]:
    return [(p.name, p.pid, p.restarts, p.state) for p in stack.line.processes]


def process(stack: Stack, name: str) -> ProcessState:
    return next(p for p in stack.line.processes if p.name == name)


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["dead-letters", *arguments, "--format", "json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def events_of(stack: Stack) -> list[Record]:
    """What the collector put into `events`."""
    codec, source = Codec(), f"collector:{stack.line.write_key}"
    found = records(stack.line.broker, topics.EVENTS)
    return [record for record in found if codec.decode(Event, record.value).source == source]


def test_whatever_is_sent_to_the_collector_is_in_kafka_once_or_refused_with_a_reason(stack: Stack) -> None:
    sent, before = Sent(), len(events_of(stack))
    started = time.monotonic()
    by_schema(stack.line, sent, examples=8)
    by_bytes(stack.line, sent, examples=50)
    print(f"\ncollector: {sum(sent.statuses.values())} requests in {time.monotonic() - started:.0f} s,")
    print(f"  answered {dict(sorted(sent.statuses.items()))}, {sent.accepted} events accepted, {sent.letters} refused")
    assert sent.accepted > 20
    assert sent.letters > 20
    assert len(events_of(stack)) - before == sent.accepted
    assert sum(1 for letter in read(stack.settings) if letter.app == "collector") == sent.letters
    assert {state for *_, state in processes(stack)} == {"ready"}


def test_whatever_is_asked_of_profiles_is_answered_as_described(stack: Stack) -> None:
    statuses = Counter[int]()
    buy(stack, "asked")
    wait_quiet(lambda: stack.line)
    profiles(stack.line, "user_id:asked", statuses, examples=60)
    print(f"\nprofiles: answered {dict(sorted(statuses.items()))}")
    assert statuses.keys() >= {202, 400, 401}
    assert {state for *_, state in processes(stack)} == {"ready"}


def test_bad_records_in_any_topic_are_dead_letters_once_for_each_reader(stack: Stack, warehouse: Warehouse) -> None:
    before = processes(stack)
    buy(stack, "before")
    put = poison(stack.line.broker, PARTITIONS)
    buy(stack, "after")
    expected = Counter((p.topic, p.partition, p.offset, reader) for p in put for reader in p.readers)

    def found() -> Counter[tuple[str, int, int, str]]:
        letters = [letter for letter in read(stack.settings) if letter.topic]
        heads = [(letter.headers, letter) for letter in letters]
        return Counter((d.topic, int(h["partition"]), int(h["offset"]), d.app) for h, d in heads)

    until(lambda: found().total() >= expected.total(), "all bad records are dead letters", 120, every=1)
    until(lambda: members(warehouse, "before", "after") == 2, "what came before and after is counted", 120, every=0.5)
    wait_quiet(lambda: stack.line)
    print(f"\n{table(put, found())}\n{expected.total()} dead letters expected, {found().total()} found")
    assert found() == expected
    originals = {(p.topic, str(p.partition), str(p.offset)): p for p in put}
    letters = [letter for letter in read(stack.settings) if letter.topic]
    for letter, message in contents(stack.settings, letters):
        head = letter.headers
        original = originals[letter.topic, head["partition"], head["offset"]]
        assert (message.key(), message.value()) == (original.key, original.value), original.kind
        assert own_of(headers_of(message)) == original.headers, original.kind
        assert head["message"]
    assert processes(stack) == before


def test_a_record_larger_than_any_dead_letter_is_cut_and_says_so(stack: Stack) -> None:
    size = 2 * LETTER_BYTES
    bomb(stack.line.broker, topics.PEOPLE, size)
    until(lambda: [d for d in read(stack.settings) if d.headers.get("cut")], "it is a dead letter", every=0.5)
    (letter,) = [d for d in read(stack.settings) if d.headers.get("cut")]
    assert f"of {size} bytes of value" in letter.headers["cut"]
    ((_, message),) = contents(stack.settings, [letter])
    assert LETTER_BYTES - 64 < len(message.value() or b"") <= LETTER_BYTES
    told = CliRunner().invoke(app, ["dead-letters", "replay", letter.id])
    assert "too large to be kept whole" in told.stderr
    assert {state for *_, state in processes(stack)} == {"ready"}


def test_a_replay_reaches_only_the_reader_that_failed(stack: Stack) -> None:
    before = Counter(letter.app for letter in read(stack.settings) if letter.topic == topics.UPDATES)
    chosen = run("list", "--topic", topics.UPDATES, "--app", "sink", "--limit", "1")[0]
    (told,) = run("replay", chosen["id"])
    assert (told["app"], told["done"]) == ("sink", "replayed")

    def since() -> Counter[str]:
        return Counter(d.app for d in read(stack.settings) if d.topic == topics.UPDATES) - before

    until(lambda: since()["sink"] == 1, "the sink fails on it again", every=0.5)
    wait_quiet(lambda: stack.line)
    assert since() == {"sink": 1}
    again = run("list", "--topic", topics.UPDATES, "--app", "sink")[-1]
    assert again["attempt"] == 2


@pytest.mark.parametrize(("name", "topic"), [("graph", topics.LINKS), ("sink", topics.DECISIONS)])
def test_a_storm_of_bad_records_stops_its_reader_for_good_and_says_what_to_do(
    stack: Stack, name: str, topic: str
) -> None:
    before = sum(1 for letter in read(stack.settings) if letter.app == name)
    producer = Producer(producer_config(stack.line.broker))
    for _ in range(3 * RUN):
        producer.produce(topic, b"storm", b"k", 0)
    assert producer.flush(20) == 0
    until(lambda: process(stack, name).state == "failed", f"{name} has failed", every=0.2)
    status = json.loads(CliRunner().invoke(app, ["status", "--format", "json"]).stdout)
    (doing,) = [told["doing"] for told in status["processes"] if told["name"] == name]
    assert doing.startswith("failed, stopped for good: exit code 65")
    storm = rf"more than {RUN} records in a row(, over \d partitions,)? can't be used in {re.escape(topic)}\[0\]"
    assert re.search(storm, doing)
    assert f"pathline dead-letters list --app {name} --topic {topic}" in doing
    assert "PATHLINE_DEAD_LETTER_RUN" in doing
    assert sum(1 for letter in read(stack.settings) if letter.app == name) - before <= RUN
    assert process(stack, name).restarts == 0
