"""Foreign records in an app's changelog, which nobody but the app writes: restoring passes them over, and one that
takes the place of a state stops the worker until a person has decided."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from pathline.cli import app
from processors.runtime.exits import HOPELESS, LAST_WORDS, Exit
from processors.runtime.store import PROGRESS
from schemas.kafka import producer_config
from schemas.topics import changelog
from tests.runtime.workers import Counting, until

_numbers = count()
STATE = b"scount\0key"

KEYS = [b"nonsense", b"s", b"w", b"w\0\0\0", b"mcheckpoint", b"", b"w" + b"\0" * 10 + b"\xff", b"scount\0\xff"]


def test_a_worker_restores_its_state_from_between_them(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "mixed", partitions=1) as line:
        line.publish("key")
        line.flush()
        worker = line.worker()
        until(lambda: [record.value for record in line.read("out")] == [b"1"], "it is counted")
        worker.stop()
        line.wipe(worker)
        producer = Producer(producer_config(kafka))
        for key in KEYS:
            producer.produce(changelog("mixed"), b"\xff", key, 0)
        assert producer.flush(20) == 0
        line.publish("key")
        line.flush()
        worker.start()
        until(lambda: [record.value for record in line.read("out")] == [b"1", b"2"], "it goes on where it was")
        assert line.logs().count("foreign record in the changelog") == len(KEYS)


@pytest.fixture(params=[STATE])
def counted(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Counting]:
    """A worker that counted `key` twice, without its disk now; somebody has written into its changelog since."""
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("PATHLINE_BROKERS", kafka)
    with Counting(kafka, tmp_path, f"foreign-{next(_numbers)}", partitions=1) as line:
        line.publish("key")
        line.publish("key")
        line.flush()
        worker = line.worker()
        until(lambda: len(line.read("out")) == 2, "it is counted")
        worker.stop()
        line.wipe(worker)
        producer = Producer(producer_config(kafka))
        producer.produce(changelog(line.name), b"garbage", request.param, 0)
        assert producer.flush(20) == 0
        line.environment[LAST_WORDS] = str(tmp_path / "words")
        worker.start()
        yield line


def test_a_state_that_can_not_be_read_stops_its_worker_and_can_be_put_back(counted: Counting, tmp_path: Path) -> None:
    (worker,) = counted.workers
    counted.publish("other")
    counted.flush()
    until(lambda: len(counted.read("out")) == 3, "as long as nobody needs it the others are counted")
    (place,) = [record for record in counted.read("changelog") if record.value == b"garbage"]
    refused = CliRunner().invoke(app, ["state", "put-back", counted.name, f"0:{place.offset}"])
    assert (refused.exit_code, worker.exit_code()) == (1, None), "not while it runs"
    counted.publish("key")
    counted.flush()
    until(lambda: worker.exit_code() is not None, "the worker stops")
    assert worker.exit_code() == Exit.STATE
    assert Exit.STATE in HOPELESS
    words = (tmp_path / "words").read_text()
    assert f"{changelog(counted.name)}[0], offset {place.offset}." in words
    assert repr(STATE) in words
    command = re.search(r"`pathline (state put-back \S+ \S+)`", words)
    assert command is not None

    worker.start()
    until(lambda: worker.exit_code() == Exit.STATE, "it stops again, having passed over nothing")
    assert len(counted.read("out")) == 3
    until(lambda: CliRunner().invoke(app, command[1].split()).exit_code == 0, "it is put back", every=0.5)
    worker.start()
    until(lambda: [r.value for r in counted.read("out") if r.key == b"key"] == [b"1", b"2", b"3"], "it goes on")
    worker.stop()

    def asked_again() -> str:
        return CliRunner().invoke(app, command[1].split()).output

    until(lambda: "nothing is to be put back" in asked_again(), "it is not put back twice", every=0.5)


@pytest.mark.parametrize("counted", [PROGRESS], indirect=True)
def test_a_worker_that_can_not_read_how_far_its_state_is_stops_at_once(counted: Counting) -> None:
    (worker,) = counted.workers
    until(lambda: worker.exit_code() == Exit.STATE, "the worker stops")


def test_a_state_that_can_not_be_read_can_be_given_up(counted: Counting) -> None:
    (worker,) = counted.workers
    counted.publish("key")
    counted.flush()
    until(lambda: worker.exit_code() == Exit.STATE, "the worker stops")
    (offset,) = [record.offset for record in counted.read("changelog") if record.value == b"garbage"]
    command = ["state", "put-back", counted.name, f"0:{offset}", "--delete"]
    until(lambda: CliRunner().invoke(app, command).exit_code == 0, "it is given up", every=0.5)
    worker.start()
    until(lambda: [r.value for r in counted.read("out")] == [b"1", b"2", b"1"], "it begins anew")
