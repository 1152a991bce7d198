"""The bound: the counting job as a bare loop of librdkafka, a transaction for each up to 10,000 records, its state in a
dict that is lost with the process. Nothing that can be left out is in it.
"""

from __future__ import annotations

import sys

from confluent_kafka import Consumer, Producer

from schemas.kafka import consumer_config, producer_config
from schemas.topics import changelog


def main(brokers: str, app: str, into: str, out: str) -> None:
    consumer = Consumer(
        consumer_config(brokers, app)
        | {"queued.min.messages": 100_000, "partition.assignment.strategy": "range", "fetch.queue.backoff.ms": 10}
    )
    producer = Producer(
        producer_config(brokers)
        | {"transactional.id": app, "queue.buffering.max.messages": 1_000_000, "batch.num.messages": 10_000}
    )
    producer.init_transactions()
    consumer.subscribe([into])
    state: dict[bytes, int] = {}
    while True:
        first = consumer.poll(1)
        if first is None:
            continue
        producer.begin_transaction()
        changed = set()
        for message in (first, *consumer.consume(9_999, 0)):
            key = message.key()
            state[key] = state.get(key, 0) + 1
            changed.add((message.partition(), key))
            producer.produce(out, message.value(), key)
        for partition, key in changed:
            producer.produce(changelog(app), b"%d" % state[key], key, partition=partition)
        producer.flush()
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        producer.commit_transaction()


if __name__ == "__main__":
    main(*sys.argv[1:5])
