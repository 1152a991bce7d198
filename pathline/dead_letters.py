"""Dead letters: reading them, and giving them to their readers once more.

A dead letter is the record that could not be used, untouched, with headers that say where it came from and why it is
here (`processors.runtime.deadletters`, `connectors.inbound.deadletters`). A replay puts it back into its topic and a
mark into `dead-letters`, in one Kafka transaction, so that none is replayed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from pathline.errors import UserError
from schemas.kafka import consumer_config, high_watermarks, producer_config
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS

#: header of the mark: `partition:offset` of the dead letter that was replayed
REPLAYED = "replayed"
#: topics that several apps read: those that could use the record would get it twice
SHARED = ("updates", "identity.assignments", "definitions")
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter; `id` is partition:offset in `dead-letters`. Headers are UTF-8 text."""

    id: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]
    replayed: bool = False

    @property
    def origin(self) -> str:
        """Where it came from: topic and offset, or connector."""
        head = self.headers
        return f"{head['topic']} {head['partition']}:{head['offset']}" if "topic" in head else head.get("source", "")


def read(settings: Settings) -> list[DeadLetter]:
    """All dead letters that are kept, by partition and offset. Raises KafkaException, UserError without the topic."""
    consumer = Consumer(consumer_config(settings.brokers, "unused") | {"enable.partition.eof": True, "log_level": 2})
    try:
        found = consumer.list_topics(DEAD_LETTERS, timeout=TIMEOUT_SECONDS).topics[DEAD_LETTERS]
        if found.error is not None:
            raise UserError(
                f"There is no topic {DEAD_LETTERS} at {settings.brokers}; `pathline topics apply` makes it."
            )
        ends = high_watermarks(settings.brokers, [(DEAD_LETTERS, partition) for partition in found.partitions])
        messages = list(_to_end(consumer, {partition: end for (_, partition), end in ends.items() if end}))
    finally:
        consumer.close()
    letters, replayed = [], set()
    for message in messages:
        # the record's own headers stand after those of the dead letter and must not hide them
        headers = {name: _text(value) for name, value in reversed(message.headers() or [])}
        if REPLAYED in headers:
            replayed.add(headers[REPLAYED])
        else:
            place = f"{message.partition()}:{message.offset()}"
            letters.append(DeadLetter(place, message.key(), message.value(), headers))
    marked = [DeadLetter(d.id, d.key, d.value, d.headers, d.id in replayed) for d in letters]
    return sorted(marked, key=lambda letter: [int(part) for part in letter.id.split(":")])


def refusal(letter: DeadLetter) -> str | None:
    """Why a dead letter can't be replayed, None when it can."""
    topic = letter.headers.get("topic")
    if letter.replayed:
        return "replayed already"
    if topic is None:
        return "refused at the edge: it never was a record; send it again corrected"
    if ":" in topic:
        return f"caused by a {topic.partition(':')[2]} of {letter.headers.get('app')}, not by a record"
    if topic in SHARED:
        return f"{topic} has several readers: those that could use the record would get it twice"
    return None


def replay(settings: Settings, wanted: Iterable[str] | None) -> list[DeadLetter]:
    """Put dead letters back into their topics, exactly once each; all that can be if `wanted` (ids) is None.

    Returns those replayed. Raises UserError when a wanted one does not exist or can't be replayed; nothing is replayed
    then. Only one replay runs at a time: a second one ends the first.
    """
    producer = Producer(
        producer_config(settings.brokers)
        | {"transactional.id": "dead-letters-replay", "transaction.timeout.ms": settings.transaction_timeout_ms}
    )
    # waits for the end of a replay that died, or fences one that runs; so what is read next is final
    producer.init_transactions(TIMEOUT_SECONDS)
    letters = {letter.id: letter for letter in read(settings)}
    if wanted is None:
        chosen = [letter for letter in letters.values() if refusal(letter) is None]
    else:
        chosen = _chosen(letters, wanted)
    if not chosen:
        return []
    producer.begin_transaction()
    for letter in chosen:
        head = letter.headers
        producer.produce(head["topic"], letter.value, letter.key, int(head["partition"]))
        place = int(letter.id.partition(":")[0])
        producer.produce(DEAD_LETTERS, None, letter.key, place, headers={REPLAYED: letter.id, "topic": head["topic"]})
        producer.poll(0)
    producer.commit_transaction(TIMEOUT_SECONDS)
    return chosen


def _chosen(letters: dict[str, DeadLetter], wanted: Iterable[str]) -> list[DeadLetter]:
    chosen = []
    for place in dict.fromkeys(wanted):
        if place not in letters:
            raise UserError(f"There is no dead letter {place}.")
        if why := refusal(letters[place]):
            raise UserError(f"Dead letter {place} can't be replayed: {why}.")
        chosen.append(letters[place])
    return chosen


def _to_end(consumer: Consumer, ends: dict[int, int]) -> Iterator[Message]:
    """Committed messages of each partition up to its end."""
    consumer.assign([TopicPartition(DEAD_LETTERS, partition, 0) for partition in ends])
    left = set(ends)
    while left:
        message = consumer.poll(TIMEOUT_SECONDS)
        if message is None:
            raise UserError(f"{DEAD_LETTERS} could not be read within {TIMEOUT_SECONDS:.0f} s.")
        error = message.error()
        partition = message.partition()
        assert partition is not None
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            left.discard(partition)
        else:
            raise KafkaException(error)


def _text(value: str | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
