"""Giving dead letters to their readers once more, exactly once each.

A replay puts the record, untouched, back into its partition, for the app that failed on it alone
(`schemas.dead_letters`), and a mark into `dead-letters`, both in one Kafka transaction: after a crash a letter has
either been replayed and marked, or neither. A record that fails again is a new dead letter, which counts the attempts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from pathline.dead_letters import HANDLED, HOW, DeadLetter, contents, read
from pathline.errors import UserError
from processors.runtime.points import Point, reached
from schemas.dead_letters import Replay, own_of
from schemas.headers import headers_of, sendable
from schemas.kafka import consumer_config, producer_config
from schemas.settings import Settings
from schemas.topics import ASSIGNMENTS, DEAD_LETTERS

#: name of the replay among transactions, and at its crash points
APP = "dead-letters-replay"
#: records of one transaction
PORTION = 500
TIMEOUT_SECONDS = 30.0
_LOOK_SECONDS = 0.1

Policy = Literal["retry", "skip", "stop"]
Done = Literal["replayed", "skipped", "failed again", "left alone"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay did with one dead letter; `why` if it was left alone or failed again."""

    letter: DeadLetter
    done: Done
    why: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for.

    `choose` picks from all dead letters there are. Those the app has failed on `attempts` times are left alone. Policy
    `retry` gives each to its reader again, `skip` marks it as handled and no more, `stop` replays one at a time, waits
    up to `patience` seconds for its reader, and ends with the first that fails again.
    """

    choose: Callable[[list[DeadLetter]], list[DeadLetter]]
    policy: Policy = "retry"
    attempts: int = 5
    patience: float = 60.0

    def why_not(self, letter: DeadLetter) -> str | None:
        """Why a dead letter is left alone, None when it is not."""
        if self.policy == "skip":
            return f"{letter.handled} already" if letter.handled else None
        if letter.refusal is None and letter.attempt >= self.attempts:
            return f"{letter.app} has failed on it {letter.attempt} times"
        return letter.refusal


def foresee(settings: Settings, order: Order) -> list[Outcome]:
    """What `replay` would do, as far as that depends on no reader. Raises KafkaException, UserError."""
    done: Done = "skipped" if order.policy == "skip" else "replayed"
    outcomes = []
    for letter in order.choose(read(settings)):
        why = order.why_not(letter)
        outcomes.append(Outcome(letter, done) if why is None else Outcome(letter, "left alone", why))
    return outcomes


def replay(settings: Settings, order: Order) -> Iterator[Outcome]:
    """Do what is asked for, telling each outcome once it is certain.

    Raises KafkaException, and UserError for what can't be done. Only one replay runs at a time: a second one ends the
    first.
    """
    producer = Producer(
        producer_config(settings.brokers)
        | {"transactional.id": APP, "transaction.timeout.ms": settings.transaction_timeout_ms, "log_level": 3}
    )
    # waits for the end of a replay that died, or fences one that runs; so what is read next is final
    producer.init_transactions(TIMEOUT_SECONDS)
    chosen = []
    for letter in order.choose(read(settings)):
        why = order.why_not(letter)
        if why is None:
            chosen.append(letter)
        else:
            yield Outcome(letter, "left alone", why)
    size = 1 if order.policy == "stop" else PORTION
    for first in range(0, len(chosen), size):
        portion = chosen[first : first + size]
        transaction = _Transaction(producer)
        if order.policy == "skip":
            yield from transaction.skip(portion)
            continue
        outcomes = transaction.put_back(settings, portion)
        if order.policy == "retry":
            yield from outcomes
            continue
        (outcome,) = outcomes
        why = _verdict(settings, outcome.letter, transaction, order.patience)
        if why is not None:
            yield Outcome(outcome.letter, "failed again", why)
            return
        yield outcome


@dataclass
class _Transaction:
    """Some dead letters handled together. `places` are where the records went, `mark` is the last mark."""

    producer: Producer
    places: list[TopicPartition] = field(default_factory=list)
    mark: TopicPartition | None = None

    def skip(self, letters: Sequence[DeadLetter]) -> list[Outcome]:
        self.producer.begin_transaction()
        for letter in letters:
            self._mark(letter, "skipped")
        self._commit()
        return [Outcome(letter, "skipped") for letter in letters]

    def put_back(self, settings: Settings, letters: Sequence[DeadLetter]) -> list[Outcome]:
        self.producer.begin_transaction()
        for letter, message in contents(settings, letters):
            self._put_back(letter, message)
            self._mark(letter, "replayed")
        self._commit()
        return [Outcome(letter, "replayed") for letter in letters]

    def _put_back(self, letter: DeadLetter, message: Message) -> None:
        head = letter.headers
        told = Replay(
            letter.app,
            letter.attempt,
            int(head.get("first_at", letter.at)),
            int(head.get("first_offset", head["offset"])),
        )
        key = message.key()
        if key is not None and (letter.topic == ASSIGNMENTS or letter.topic.endswith(".ledger")):
            # under the record's own key, compaction would drop what is newer; nobody reads these keys
            key = key + b"\0" + letter.id.encode()
        self.producer.produce(
            letter.topic,
            message.value(),
            key,
            int(head["partition"]),
            headers=sendable(told.headers + own_of(headers_of(message))),
            on_delivery=self._delivered,
        )
        self.producer.poll(0)

    def _mark(self, letter: DeadLetter, how: str) -> None:
        headers = ((HANDLED, letter.id.encode()), (HOW, how.encode()))
        self.producer.produce(
            DEAD_LETTERS, None, None, letter.partition, headers=sendable(headers), on_delivery=self._delivered
        )

    def _delivered(self, error: object, message: Message) -> None:
        if error is None:
            place = TopicPartition(message.topic() or "", message.partition() or 0, message.offset() or 0)
            if place.topic == DEAD_LETTERS:
                self.mark = place
            else:
                self.places.append(place)

    def _commit(self) -> None:
        reached(APP, Point.AFTER_OUTPUTS, self.producer.flush)
        self.producer.commit_transaction(TIMEOUT_SECONDS)
        reached(APP, Point.AFTER_COMMIT)


def _verdict(settings: Settings, letter: DeadLetter, transaction: _Transaction, patience: float) -> str | None:
    """Why a replayed record failed again, None when its reader could use it. Raises UserError when the reader does not
    come to it in time."""
    (place,), mark = transaction.places, transaction.mark
    assert mark is not None
    # a client that never subscribes only asks what the group of this name has committed
    group = Consumer(consumer_config(settings.brokers, letter.app) | {"log_level": 2})
    try:
        deadline, asked = time.monotonic() + patience, [TopicPartition(place.topic, place.partition)]
        while group.committed(asked, TIMEOUT_SECONDS)[0].offset <= place.offset:
            if time.monotonic() > deadline:
                raise UserError(
                    f"{letter.id} was replayed, but {letter.app} has not come to it within {patience:g} s: "
                    "see `pathline status`."
                )
            time.sleep(_LOOK_SECONDS)
    finally:
        group.close()
    where = {"topic": place.topic, "partition": str(place.partition), "offset": str(place.offset), "app": letter.app}
    # dead letters stand in the partition of their record, behind the mark written with it
    later = read(settings, {mark.partition: mark.offset})
    return next((again.reason for again in later if where.items() <= again.headers.items()), None)
