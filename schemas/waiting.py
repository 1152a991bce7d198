"""Waiting for Kafka: quietly, with growing pauses, and saying so."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.kafka import cause_of, client_config

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
ANSWER_SECONDS = 3.0


def wait_for_broker(brokers: str, pause: Callable[[float], object], say: Callable[[str], None]) -> bool:
    """Return once Kafka answers; False when told to stop meanwhile.

    `pause` sleeps so many seconds and returns something true to stop; `say` is told before each pause, in a sentence,
    why Kafka does not answer.
    """
    client = AdminClient(client_config(brokers) | {"log_level": 0})
    seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            client.list_topics(timeout=ANSWER_SECONDS)
        except KafkaException as error:
            say(f"Kafka at {brokers} does not answer ({cause_of(error).str()}), asking again in {seconds:g} s")
            if pause(seconds):
                return False
            seconds = min(2 * seconds, LONGEST_PAUSE_SECONDS)
        else:
            return True
