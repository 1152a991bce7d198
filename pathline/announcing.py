"""What holds for the whole line from an instant on: published in `definitions`, and told to all its partitions."""

from __future__ import annotations

from confluent_kafka import Producer

from pathline.errors import UserError
from schemas.codec import Codec
from schemas.kafka import partitions_of, producer_config
from schemas.records import Definitions, PersonEnvelope
from schemas.settings import Settings
from schemas.topics import DEFINITIONS, PEOPLE

#: How long Kafka may take for a question or the transaction, in seconds.
TIMEOUT = 30.0


class Announcer:
    """Publishes and tells in one transaction, so that nobody hears of what is not there, and it holds in all partitions
    or in none. From its making on those made before can announce nothing any more. Raises KafkaException, and UserError
    when the topics are missing."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._codec = codec
        self._producer = Producer(
            producer_config(settings.brokers)
            | {
                # the same for all: a second one at the same time ends the first instead of mixing with it
                "transactional.id": "pathline.apply",
                # one that died may hide what comes after it for no longer than a worker that died
                "transaction.timeout.ms": settings.transaction_timeout_ms,
                "log_level": 3,
            }
        )
        topics = partitions_of(self._producer, (DEFINITIONS, PEOPLE), timeout=TIMEOUT)
        for name in (DEFINITIONS, PEOPLE):
            if name not in topics:
                raise UserError(f"The line has no topic {name}: create its topics with `pathline topics apply`.")
        self._partitions = topics[PEOPLE]
        self._producer.init_transactions(TIMEOUT)

    def announce(self, key: str, published: Definitions, told: PersonEnvelope) -> None:
        """Publish under a key, and tell every partition of `people`."""
        self._producer.begin_transaction()
        self._producer.produce(DEFINITIONS, key=key, value=self._codec.encode(published))
        for partition in self._partitions:
            self._producer.produce(PEOPLE, value=self._codec.encode(told), partition=partition)
        self._producer.commit_transaction(TIMEOUT)
