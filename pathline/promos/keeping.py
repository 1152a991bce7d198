"""Pools on a running line: the topic `promos` holds each code once, spread evenly over the partitions.

A code is given by the journeys worker of its partition, so a partition gives what was put into it. Only codes that are
not there yet are written, some at a time; a load that is interrupted has done a part, and done again it does the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress

from confluent_kafka import Producer

from pathline.erasing.reading import records
from pathline.errors import UserError
from schemas.codec import BadRecord, Codec
from schemas.definitions.model import Project
from schemas.definitions.problems import nearest
from schemas.kafka import partitions_of, producer_config
from schemas.records import PromoCode
from schemas.settings import Settings
from schemas.topics import PROMOS

TIMEOUT = 60.0
#: codes in one transaction
CHUNK = 10_000


def loaded(settings: Settings, codec: Codec, partitions: list[int]) -> dict[str, set[str]]:
    """The codes ever loaded, by promo. Raises KafkaException."""
    found = defaultdict[str, set[str]](set)
    for message in records(settings.brokers, PROMOS, partitions):
        # what is no code is in no pool
        with suppress(BadRecord):
            code = codec.decode(PromoCode, message.value())
            found[code.promo].add(code.code)
    return dict(found)


def unused(project: Project, promo: str) -> str:
    """Why nobody gets the codes of a pool under this project, if so. Raises UserError where codes are made."""
    known = project.promos.get(promo)
    if known is None:
        meant = nearest(promo, project.promos)
        return f"the project in force has no promo {promo!r} ({meant}): the codes wait until it has"
    if known.length is not None:
        raise UserError(f"the promo {promo!r} makes its codes as they are given: there is no pool to fill")
    return ""


class Loader:
    """The one who loads codes; another one that begins ends this one's work."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._producer = Producer(
            producer_config(settings.brokers)
            | {
                "transactional.id": "pathline.promos",
                "transaction.timeout.ms": settings.transaction_timeout_ms,
                "log_level": 3,
            }
        )
        topics = partitions_of(self._producer, [PROMOS], timeout=TIMEOUT)
        if PROMOS not in topics:
            raise UserError(f"The line has no topic {PROMOS}: create its topics with `pathline topics apply`.")
        self._partitions = topics[PROMOS]
        # ends what an interrupted one left open, so that the codes read afterwards are final
        self._producer.init_transactions(TIMEOUT)
        self.codes = loaded(settings, codec, self._partitions)

    def load(self, promo: str, codes: Iterable[str], tell: Callable[[int], None] = lambda done: None) -> int:
        """Put codes that were never there into a pool; how many. `tell` hears how many are done."""
        known = self.codes.setdefault(promo, set())
        new = [code for code in dict.fromkeys(codes) if code not in known]
        for first in range(0, len(new), CHUNK):
            self._producer.begin_transaction()
            for place, code in enumerate(new[first : first + CHUNK], len(known)):
                self._produce(promo, code, self._partitions[place % len(self._partitions)])
            self._producer.commit_transaction(TIMEOUT)
            known.update(new[first : first + CHUNK])
            tell(min(first + CHUNK, len(new)))
        return len(new)

    def _produce(self, promo: str, code: str, partition: int) -> None:
        value = self._codec.encode(PromoCode(promo=promo, code=code, at=self._settings.make_clock().now()))
        while True:
            try:
                self._producer.produce(PROMOS, key=f"{promo}/{code}".encode(), value=value, partition=partition)
                return
            except BufferError:
                self._producer.poll(0.1)
