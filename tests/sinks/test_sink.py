"""The sink on a real Kafka and the real engine: every row once, through crashes and bad records."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient

from pathline.local.kafka import KafkaBroker
from schemas.identifiers import person_id, slot_of
from schemas.kafka import apply_topics, client_config, consumer_config, producer_config
from schemas.records import Assignment, Definitions, Period
from schemas.topics import ASSIGNMENTS, DEAD_LETTERS, DECISIONS, DEFINITIONS, UPDATES, outbound
from tests.sinks.made import CODEC, DAY, T0, decision, event, send, update
from tests.sinks.sinking import Sink, wait


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    yield broker.start()
    broker.stop()


@pytest.fixture
def sink(brokers: str, tmp_path: Path) -> Iterator[Sink]:
    """A sink that was never started, on topics that nothing was written to."""
    made = Sink(tmp_path, brokers)
    apply_topics(made.settings, ["email"])
    yield made
    made.stop(signal.SIGKILL)
    delete_topics(brokers)


def delete_topics(brokers: str) -> None:
    """All topics, and with them what groups have read of them."""
    admin = AdminClient(client_config(brokers))
    names = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
    for deleted in admin.delete_topics(names).values():
        deleted.result()
    wait(lambda: not set(names) & set(admin.list_topics(timeout=10).topics), "the topics to be gone")


class Line:
    """What the processors upstream do: committed transactions, and now and then one that is given up."""

    def __init__(self, sink: Sink) -> None:
        self._producer = Producer(
            producer_config(sink.settings.brokers) | {"transactional.id": "upstream", "linger.ms": 5}
        )
        self._producer.init_transactions(30)
        self.updates = 0

    def write(self, *records: tuple[str, str, bytes | None]) -> None:
        self._producer.begin_transaction()
        for topic, key, value in records:
            self._producer.produce(topic, value, key)
        self._producer.commit_transaction(30)

    def write_updates(self, number: int, months: int = 1) -> None:
        """Events of 50 persons, in batches with transactions given up in between (they leave gaps in the offsets)."""
        for start in range(0, number, 500):
            records = []
            for n in range(start, min(start + 500, number)):
                who = f"user_id:u{n % 50}"
                happened = event("Page Viewed", T0 + (n % months) * 30 * DAY + n, id=f"m{self.updates}", who=who)
                records.append((UPDATES, person_id(who), CODEC.encode(update(happened))))
                self.updates += 1
            self.write(*records)
            self._producer.begin_transaction()
            for topic, key, value in records[:7]:
                self._producer.produce(topic, value, key)
            self._producer.flush()
            self._producer.abort_transaction(30)


def dead_letters(brokers: str) -> list[Message]:
    consumer = Consumer(consumer_config(brokers, "test") | {"enable.partition.eof": True})
    consumer.subscribe([DEAD_LETTERS])
    found, ends = [], 0
    while ends < 2:
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            ends += 1
        else:
            found.append(message)
    consumer.close()
    return found


def exactly_once(sink: Sink, number: int) -> None:
    counted = "SELECT count() AS n, uniqExact(event_id) AS u FROM pathline.events"
    wait(lambda: int(sink.rows(counted)[0]["n"]) >= number, f"{number} rows")
    assert sink.rows(counted) == [{"n": number, "u": number}]


def test_what_the_line_committed_is_in_the_tables(sink: Sink) -> None:
    sink.start()
    line = Line(sink)
    line.write_updates(3_000, months=5)
    ann, bob = "user_id:u1", "user_id:u2"
    line.write(
        (DECISIONS, person_id(ann), CODEC.encode(decision(T0, "welcome", "entered", who=ann))),
        (outbound("email"), person_id(ann), CODEC.encode(send("s1", T0, who=ann))),
    )
    exactly_once(sink, 3_000)
    wait(lambda: (sink.count("decisions"), sink.count("sends")) == (1, 1), "the decision and the send")
    # a merge is seen in what is read from now on
    period = Period(since=0, person_id=person_id(ann), slot=slot_of(bob), version=2)
    line.write((ASSIGNMENTS, bob, CODEC.encode(Assignment(identifier=bob, version=2, periods=[period]))))
    together = f"SELECT count() AS n FROM pathline.events WHERE person_id = '{person_id(ann)}'"
    wait(lambda: int(sink.rows(together)[0]["n"]) == 120, "the merge")
    # so is what the project says of visits
    files = {"project.yaml": "name: shop\n", "channels.yaml": "web: {kind: session}\n"}
    line.write((DEFINITIONS, "v1", CODEC.encode(Definitions(version="v1", published_at=T0, files=files))))
    wait(lambda: sink.count("sessions") == 50, "the project")
    assert "pathline_sink_records_total" in sink.metrics()
    assert sink.stop() == 0


def test_a_crash_neither_loses_nor_doubles_rows(sink: Sink) -> None:
    line = Line(sink)
    line.write((UPDATES, "x", b"poison"))
    for point in ("sink.written-ahead", "sink.inserted", "sink.committed"):
        line.write_updates(1_000, months=3)
        sink.start(crash_at=point)
        assert sink.died() == -signal.SIGKILL
        # more has come when it starts again: the batch under way must not grow by it
        line.write_updates(300)
    sink.start()
    exactly_once(sink, line.updates)
    sink.stop()
    assert [message.value() for message in dead_letters(sink.settings.brokers)] == [b"poison"]


def test_it_waits_while_parts_pile_up_and_goes_on_with_what_it_had(sink: Sink) -> None:
    line, bound = Line(sink), sink.settings
    sink.settings = bound.model_copy(update={"warehouse_parts": 1})
    sink.start()

    def waits() -> bool:
        line.write_updates(50, months=3)
        return not sink.ready()

    wait(waits, "the sink to wait")
    assert sink.condition()["state"] == "waiting for the warehouse"
    assert "parts in one month, more than 1: merges are behind" in sink.condition()["detail"]
    line.write_updates(500, months=3)
    assert 'pathline_sink_parts{table="events_raw"}' in sink.metrics()
    sink.stop(signal.SIGKILL)
    sink.settings = bound
    sink.start()
    exactly_once(sink, line.updates)


def test_kills_at_any_moment_neither_lose_nor_double_rows(sink: Sink) -> None:
    line = Line(sink)
    sink.start()
    for _ in range(2):
        line.write_updates(2_500)
        sink.stop(signal.SIGKILL)
        sink.start()
    exactly_once(sink, 5_000)


def test_bad_records_are_dead_letters_and_block_nothing(sink: Sink) -> None:
    sink.start()
    line = Line(sink)
    good = CODEC.encode(update(event("A", id="good")))
    worse = CODEC.encode(update(event("B", at=99_999_999_999_999_999)))
    line.write((UPDATES, "k", b"poison"), (UPDATES, "k", good), (UPDATES, "k", worse), (UPDATES, "k", None))
    exactly_once(sink, 1)
    sink.stop()
    letters = dead_letters(sink.settings.brokers)
    assert [(letter.key(), letter.value()) for letter in letters] == [(b"k", b"poison"), (b"k", worse), (b"k", None)]
    headers = dict(letters[1].headers() or [])
    assert headers["topic"] == b"updates"
    assert headers["app"] == b"sink"
    assert b"at `$.at`" in (headers["message"] or b"")
    # a storm of them stops the sink before it buries the topic
    line.write(*[(UPDATES, "k", b"poison")] * 1_500)
    for _ in range(2):
        sink.start(crash_at="nowhere")
        assert sink.died() == 65
    assert len(dead_letters(sink.settings.brokers)) == 3
