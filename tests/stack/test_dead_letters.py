"""Dead letters can be listed, read and given to their reader once more, each exactly once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from pathline.cli import app
from pathline.dead_letters import DeadLetter, read
from pathline.replay import APP
from processors.runtime.contract import Record
from processors.runtime.points import VARIABLE, Point
from schemas.dead_letters import Failed, Replay, letter, replay_of
from schemas.kafka import apply_topics, producer_config
from schemas.settings import Settings
from schemas.topics import ASSIGNMENTS, DEAD_LETTERS, DEFINITIONS, PEOPLE
from tests.runtime.workers import Counting, Worker, until
from tests.runtime.workers import read as records

#: as the other tests on this broker have them
PARTITIONS = 8
AT = 1_700_000_000_000  # 2023-11-14T22:13:20Z
FROM_EDGE = (("source", b"collector:abc"), ("app", b"collector"), ("error", b"Rejected"), ("message", b"no identifier"))


@pytest.fixture
def settings(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("PATHLINE_BROKERS", kafka)
    settings = Settings(partitions=PARTITIONS)
    apply_topics(settings, [])
    return settings


def dead(settings: Settings, *values: bytes, topic: str = PEOPLE, by: str = "segments", at: int = AT) -> list[str]:
    """Dead letters of records with these values, as a processor leaves them; their ids."""
    ids: list[str] = []
    producer = Producer(producer_config(settings.brokers))
    for number, value in enumerate(values):
        failed = Failed(topic, 1, 7 + number, AT - 5, b"key", value, (("trace", b"\xff"), ("empty", None)))
        made = letter(failed, by, "BadRecord", "unknown schema id 9", at)
        bury(producer, made.value, made.headers, ids)
    assert producer.flush(20) == 0
    return ids


def bury(producer: Producer, value: bytes | None, headers: Any, ids: list[str]) -> None:
    def delivered(error: object, message: Any) -> None:
        ids.append(f"{message.partition()}:{message.offset()}")

    producer.produce(DEAD_LETTERS, value, b"key", 1, headers=list(headers), on_delivery=delivered)


def run(*arguments: str) -> Any:
    """The JSON that a command prints; asserts that it succeeds."""
    result = CliRunner().invoke(app, ["dead-letters", *arguments, "--format", "json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["dead-letters", *arguments])
    assert result.exit_code == 1
    return result.stderr


def found(settings: Settings, topic: str, value: bytes) -> list[Record]:
    return [record for record in records(settings.brokers, topic) if record.value == value]


def handled(settings: Settings, ids: list[str]) -> dict[str, str]:
    return {d.id: d.handled for d in read(settings) if d.id in ids}


def test_a_replay_puts_the_original_record_back_once_for_the_app_that_failed(settings: Settings) -> None:
    ids = dead(settings, b"\x00back")
    assert [told["done"] for told in run("replay", *ids)] == ["replayed"]
    (back,) = found(settings, PEOPLE, b"\x00back")
    assert (back.key, back.partition) == (b"key", 1)
    assert replay_of(back.headers) == Replay("segments", 1, AT, 7)
    assert back.headers[-2:] == (("trace", b"\xff"), ("empty", None))
    assert f"{ids[0]} can't be replayed: replayed already" in refused("replay", *ids)
    assert len(found(settings, PEOPLE, b"\x00back")) == 1


def test_what_can_not_be_replayed_is_refused_with_its_reason_and_nothing_is_sent(settings: Settings) -> None:
    (fine,) = dead(settings, b"fine")
    (project,) = dead(settings, b"project", topic=DEFINITIONS, by="graph")
    (wake,) = dead(settings, b"wake", topic="segments:wake")
    edge: list[str] = []
    producer = Producer(producer_config(settings.brokers))
    bury(producer, b"{", FROM_EDGE, edge)
    assert producer.flush(20) == 0
    assert f"{edge[0]} can't be replayed: refused at the edge" in refused("replay", fine, *edge)
    assert "pathline apply" in refused("replay", fine, project)
    assert "caused by a wake of segments" in refused("replay", fine, wake)
    assert "no dead letter 9:9" in refused("replay", fine, "9:9")
    assert "say which by filters" in refused("replay")
    assert found(settings, PEOPLE, b"fine") == []


def test_filters_choose_by_topic_app_error_and_time(settings: Settings) -> None:
    hour = 3_600_000
    (early,) = dead(settings, b"early", by="filtered", at=AT - hour)
    late, later = dead(settings, b"late", b"later", topic="updates", by="filtered", at=AT)

    def listed(*arguments: str) -> list[str]:
        return [told["id"] for told in run("list", "--app", "filtered", *arguments)]

    assert listed() == [early, late, later]
    assert listed("--topic", "updates") == [late, later]
    assert listed("--error", "SCHEMA ID 9", "--limit", "1") == [later]
    assert listed("--error", "something else") == []
    assert listed("--until", "2023-11-14T22:13:20") == [early]
    assert listed("--since", "2023-11-15T00:13:20+02:00") == [late, later]
    assert listed("--since", "1h") == []
    assert "neither a time" in refused("list", "--since", "soon")


def test_a_dry_run_tells_and_does_nothing_and_skipping_marks_without_replaying(settings: Settings) -> None:
    ids = dead(settings, b"not this one", by="skipped")
    assert [told["done"] for told in run("replay", "--app", "skipped", "--dry-run")] == ["replayed"]
    assert handled(settings, ids) == {ids[0]: ""}
    assert [told["done"] for told in run("replay", "--app", "skipped", "--policy", "skip")] == ["skipped"]
    assert handled(settings, ids) == {ids[0]: "skipped"}
    assert run("list", "--app", "skipped", "--waiting") == []
    assert run("replay", "--app", "skipped") == []
    assert found(settings, PEOPLE, b"not this one") == []


def test_in_a_compacted_topic_a_replayed_record_does_not_take_the_place_of_a_newer_one(settings: Settings) -> None:
    (id_,) = dead(settings, b"an assignment", topic=ASSIGNMENTS, by="sink")
    run("replay", id_)
    (back,) = found(settings, ASSIGNMENTS, b"an assignment")
    assert back.key == b"key\0" + id_.encode()


def test_the_commands_show_where_from_and_why_with_the_original_bytes(settings: Settings) -> None:
    # by a name of its own: other tests on this broker leave more dead letters than a list shows
    (id_,) = dead(settings, b"\x00\xffx", by="shown")
    (row,) = run("list", "--app", "shown")
    assert (row["id"], row["from"], row["by"]) == (id_, "people 1:7", "shown")
    assert row["reason"] == "BadRecord: unknown schema id 9"
    whole = run("show", id_)
    assert (whole["value_hex"], whole["key"], whole["attempt"]) == ("00ff78", "key", 1)
    assert whole["own"] == [{"name": "trace", "value": "\\\\xff"}, {"name": "empty", "value": None}]
    assert refused("show", "5:5") == "There is no dead letter 5:5.\n"


@pytest.mark.parametrize(("point", "replayed"), [(Point.AFTER_OUTPUTS, 0), (Point.AFTER_COMMIT, 40)])
def test_a_replay_that_is_killed_neither_loses_nor_doubles(
    settings: Settings, tmp_path: Path, point: Point, replayed: int
) -> None:
    by = f"killed {point}"
    values = {b"%d %s" % (number, point.encode()) for number in range(40)}
    ids = dead(settings, *values, by=by)
    command = [sys.executable, "-m", "pathline", "dead-letters", "replay", "--app", by]
    environment = os.environ | {VARIABLE: f"{APP}:{point}:0:{tmp_path / 'died'}"}
    assert subprocess.run(command, env=environment).returncode == -signal.SIGKILL

    def back() -> list[bytes | None]:
        return [record.value for record in records(settings.brokers, PEOPLE) if record.value in values]

    again = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert again.stdout.count(b"replayed") == 40 - replayed
    assert sorted(back(), key=str) == sorted(values, key=str)
    assert set(handled(settings, ids).values()) == {"replayed"}


def of(settings: Settings, by: str) -> list[DeadLetter]:
    return [d for d in read(settings) if d.app == by]


def running(worker: Worker) -> bool:
    return worker.state() == "running"


def test_a_record_that_fails_again_is_a_new_dead_letter_that_counts_attempts(
    settings: Settings, kafka: str, tmp_path: Path
) -> None:
    with Counting(kafka, tmp_path, "again", partitions=2) as line:
        line.publish("key", b"poison")
        line.publish("key", b"fine")
        line.flush()
        worker = line.worker()
        until(lambda: running(worker) and len(of(settings, "again")) == 1, "the poison is a dead letter")
        (first,) = of(settings, "again")
        assert first.attempt == 1
        for attempt in (2, 3):
            run("replay", "--app", "again")
            until(lambda wanted=attempt: len(of(settings, "again")) == wanted, "it failed again")
        attempts = [d.attempt for d in of(settings, "again")]
        assert attempts == [1, 2, 3]
        assert {d.headers["first_at"] for d in of(settings, "again")} == {first.headers["at"]}
        assert {d.headers["first_offset"] for d in of(settings, "again")} == {first.headers["offset"]}
        (told,) = run("replay", "--app", "again", "--attempts", "3")
        assert (told["done"], told["why"]) == ("left alone", "again has failed on it 3 times")
        stopped = CliRunner().invoke(
            app, ["dead-letters", "replay", "--app", "again", "--policy", "stop", "--format", "json"]
        )
        assert stopped.exit_code == 1
        assert [(o["done"], o["why"]) for o in json.loads(stopped.stdout)] == [("failed again", "BadRecord: poison")]


def test_stopping_at_the_first_error_leaves_the_rest_for_later(settings: Settings, kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "mended", partitions=2) as line:
        worker = line.worker()
        until(lambda: running(worker), "it runs")
        ids = dead(settings, b"fine now", b"poison", b"not reached", topic="mended.in", by="mended")
        stopped = CliRunner().invoke(
            app, ["dead-letters", "replay", *ids, "--policy", "stop", "--format", "json"], catch_exceptions=False
        )
        assert stopped.exit_code == 1
        assert [o["done"] for o in json.loads(stopped.stdout)] == ["replayed", "failed again"]
        assert handled(settings, ids) == dict(zip(ids, ["replayed", "replayed", ""], strict=True))
        assert [record.value for record in line.read("out")] == [b"1"]


def test_records_replayed_for_another_app_are_passed_over(settings: Settings, kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "bystander", partitions=2) as line:
        worker = line.worker()
        until(lambda: running(worker), "it runs")
        before: Mapping[str, str] = handled(settings, dead(settings, b"1", topic="bystander.in", by="somebody"))
        run("replay", *before)
        line.publish("key", b"mine")
        line.flush()
        until(lambda: [record.value for record in line.read("out")] == [b"1"], "its own is counted, and nothing else")
        assert sum(1 for record in line.read("in")) == 2
