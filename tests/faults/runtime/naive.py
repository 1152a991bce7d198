"""The runtime with one of its rules left out: a campaign that does not notice is blind."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from processors.runtime import membership, outbox
from processors.runtime.engine import Engine
from processors.runtime.membership import Entry, Membership
from processors.runtime.partition import Partition
from processors.runtime.restore import Restorer
from processors.runtime.steps import Outcome
from schemas.settings import Settings

#: who is out of a group hears of it sooner; who is not waits in vain
_TOLD_SECONDS = 30.0

Changes = dict[int, list[tuple[bytes, bytes | None]]]


def state_before_commit() -> None:
    """Rule 5: the local store is written first."""
    commit = Engine._commit

    def naive(self: Engine, outcome: Outcome, changes: Changes, touched: set[int]) -> None:
        for number, changed in changes.items():
            partition = self._members.partitions[number]
            known = partition.store.checkpoint
            partition.store.apply(changed, known.offset if known else 0, partition.topic_id)
        commit(self, outcome, changes, touched)

    Engine._commit = naive  # type: ignore[method-assign]


def generation_at_commit() -> None:
    """Rule 1: the group's generation is asked for when offsets are sent, not kept from the assignment.

    Who was away for about a session serves the group before, and takes lost partitions lightly, as the broker is to
    refuse its offsets anyway. It is no static member: of those offsets without a generation would be refused.
    """
    assign, fetch = Membership._on_assign, Membership.fetch
    away = 0.75 * Settings().session_timeout_ms / 1000
    #: when the group was served last; the partitions given to it while it asked, for later
    served, given, asking = time.monotonic(), list[list[TopicPartition]](), False

    def dynamic(config: dict[str, Any]) -> Any:
        return Consumer({name: value for name, value in config.items() if name != "group.instance.id"})

    def now(self: Membership) -> Any:
        nonlocal asking
        if time.monotonic() - served > away:
            self.hold()
            asking, until = True, time.monotonic() + _TOLD_SECONDS
            # while it joins, the client has a name without a generation, which would be refused
            while not given and time.monotonic() < until:
                self._consumer.poll(0.05)
            asking = False
            if not given:
                self.go_on()
        return self._consumer.consumer_group_metadata()

    def later(self: Membership, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        if asking:
            given.append(assigned)
        else:
            assign(self, consumer, assigned)

    def serve(self: Membership, most: int, timeout: float) -> list[Entry]:
        nonlocal served
        if given:
            assign(self, self._consumer, given.pop())
            given.clear()
        fetched = fetch(self, most, timeout)
        served = time.monotonic()
        return fetched

    def keep(self: Membership, group: Any) -> None:
        return

    def shrug(self: Membership, consumer: Consumer, lost: list[TopicPartition]) -> None:
        return

    membership.Consumer = dynamic  # type: ignore[assignment,attr-defined]
    Membership.group = property(now, keep)
    Membership._on_lost = shrug  # type: ignore[method-assign]
    Membership._on_assign = later  # type: ignore[method-assign]
    Membership.fetch = serve  # type: ignore[method-assign]


def no_catching_up() -> None:
    """Rule 2: a store that has state is taken for up to date."""
    start = Restorer.start

    def naive(self: Restorer, partitions: list[Partition]) -> None:
        for partition in partitions:
            if partition.store.checkpoint is not None:
                self._finish(partition)
        start(self, [partition for partition in partitions if not partition.restored])

    Restorer.start = naive  # type: ignore[method-assign]


def timers_without_offsets() -> None:
    """Rule 7: a transaction that only fires timers sends no offsets."""
    commit = Engine._commit

    def naive(self: Engine, outcome: Outcome, changes: Changes, touched: set[int]) -> None:
        members, offsets = self._members, self._members.offsets
        if not outcome.next:
            # the client sends nothing then, and asks nobody
            members.offsets = lambda partitions: []  # type: ignore[method-assign]
        commit(self, outcome, changes, touched)
        members.offsets = offsets  # type: ignore[method-assign]

    Engine._commit = naive  # type: ignore[method-assign]


def fresh_transactional_id() -> None:
    """Rule 10: every start takes a transactional id of its own."""

    def naive(config: dict[str, Any]) -> Any:
        return Producer(config | {"transactional.id": f"{config['transactional.id']}-{uuid.uuid4()}"})

    outbox.Producer = naive  # type: ignore[assignment,attr-defined]


RULES: dict[str, Callable[[], None]] = {
    "state written before the commit": state_before_commit,
    "generation read at commit time": generation_at_commit,
    "store not caught up at assignment": no_catching_up,
    "offsets not sent with timers": timers_without_offsets,
    "fresh transactional id at each start": fresh_transactional_id,
}


def leave_out(rule: str) -> None:
    """Put the runtime of this process together without a rule; with "" as it is."""
    if rule:
        RULES[rule]()
