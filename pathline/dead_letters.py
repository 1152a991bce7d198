"""Dead letters as an operator sees them: which there are, where they came from, and what became of them.

`dead-letters` also holds a mark for each one that was replayed or skipped (`pathline.replay`): a record without a value
whose headers name it. Marks stand behind their letters in the same partition, so they outlive them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pathline.errors import UserError
from schemas.dead_letters import ours_of
from schemas.headers import headers_of
from schemas.kafka import consumer_config, high_watermarks
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, DEFINITIONS

#: headers of a mark: `partition:offset` of the dead letter, and `replayed` or `skipped`
HANDLED, HOW = "handled", "how"
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter without its bytes; `id` is partition:offset in `dead-letters`, `headers` are ours as text,
    `handled` says what became of it: replayed, skipped, or nothing yet."""

    id: str
    headers: Mapping[str, str]
    handled: str = ""

    @property
    def partition(self) -> int:
        return int(self.id.partition(":")[0])

    @property
    def offset(self) -> int:
        return int(self.id.partition(":")[2])

    @property
    def topic(self) -> str:
        """Topic of the record; empty for what was refused at the edge."""
        return self.headers.get("topic", "")

    @property
    def app(self) -> str:
        """Who could not use it."""
        return self.headers.get("app", "")

    @property
    def at(self) -> int:
        """Line time of the failure in milliseconds since 1970 UTC."""
        return int(self.headers.get("at", "0"))

    @property
    def attempt(self) -> int:
        """How often the app has failed on this record, this time included."""
        return int(self.headers.get("attempt", "1"))

    @property
    def reason(self) -> str:
        """Kind of error and message."""
        return f"{self.headers.get('error', '')}: {self.headers.get('message', '')}"

    @property
    def origin(self) -> str:
        """Where it came from: topic and offset, or connector."""
        head = self.headers
        return f"{self.topic} {head['partition']}:{head['offset']}" if self.topic else head.get("source", "")

    @property
    def refusal(self) -> str | None:
        """Why it can't be replayed, None when it can."""
        if self.handled:
            return f"{self.handled} already"
        if not self.topic:
            return "refused at the edge: it never was a record; send it again corrected"
        if ":" in self.topic:
            return f"caused by a {self.topic.partition(':')[2]} of {self.app}, not by a record"
        if self.topic == DEFINITIONS:
            return "projects are published anew: pathline apply"
        if self.headers.get("cut"):
            return f"it was too large to be kept whole ({self.headers['cut']})"
        return None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters are meant; what is None is not asked for. `error` is a part of kind or message of the error,
    `since` and `until` are line time in milliseconds, the end not included."""

    topic: str | None = None
    app: str | None = None
    error: str | None = None
    since: int | None = None
    until: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a dead letter is meant."""
        return (
            self.topic in (None, letter.topic)
            and self.app in (None, letter.app)
            and (self.error is None or self.error.casefold() in letter.reason.casefold())
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
        )


def read(settings: Settings, starts: Mapping[int, int] | None = None) -> list[DeadLetter]:
    """All dead letters that are kept, the oldest failure first; `starts` (offset by partition) reads only these.

    Raises KafkaException, UserError without the topic.
    """
    letters: dict[str, DeadLetter] = {}
    handled: dict[str, str] = {}
    for message in _messages(settings, starts):
        ours = ours_of(headers_of(message))
        if HANDLED in ours:
            handled[ours[HANDLED]] = ours[HOW]
        else:
            id_ = f"{message.partition()}:{message.offset()}"
            letters[id_] = DeadLetter(id_, ours)
    for id_ in handled.keys() & letters.keys():
        letters[id_] = replace(letters[id_], handled=handled[id_])
    return sorted(letters.values(), key=lambda letter: (letter.at, letter.partition, letter.offset))


def contents(settings: Settings, letters: Iterable[DeadLetter]) -> Iterator[tuple[DeadLetter, Message]]:
    """These dead letters with their bytes, by partition. Raises KafkaException, and UserError for one that is gone."""
    wanted = {letter.id: letter for letter in letters}
    if not wanted:
        return
    starts: dict[int, int] = {}
    for letter in wanted.values():
        starts[letter.partition] = min(letter.offset, starts.get(letter.partition, letter.offset))
    for message in _messages(settings, starts):
        found = wanted.pop(f"{message.partition()}:{message.offset()}", None)
        if found is not None:
            yield found, message
        if not wanted:
            return
    raise UserError(f"These dead letters are gone by now: {', '.join(wanted)}")


def _messages(settings: Settings, starts: Mapping[int, int] | None) -> Iterator[Message]:
    """Committed messages from the given offsets, by default the beginning, to the end as it is now."""
    consumer = Consumer(consumer_config(settings.brokers, "unused") | {"enable.partition.eof": True, "log_level": 2})
    try:
        found = consumer.list_topics(DEAD_LETTERS, timeout=TIMEOUT_SECONDS).topics[DEAD_LETTERS]
        if found.error is not None:
            raise UserError(
                f"There is no topic {DEAD_LETTERS} at {settings.brokers}; `pathline topics apply` makes it."
            )
        starts = dict.fromkeys(found.partitions, 0) if starts is None else starts
        ends = high_watermarks(settings.brokers, [(DEAD_LETTERS, partition) for partition in starts])
        left = {partition for partition, start in starts.items() if ends[DEAD_LETTERS, partition] > start}
        consumer.assign([TopicPartition(DEAD_LETTERS, partition, starts[partition]) for partition in left])
        while left:
            message = consumer.poll(TIMEOUT_SECONDS)
            if message is None:
                raise UserError(f"{DEAD_LETTERS} could not be read within {TIMEOUT_SECONDS:.0f} s.")
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition() or 0)
            else:
                raise KafkaException(error)
    finally:
        consumer.close()
