"""The workers of the job together: they fail as a schedule says and are started again, as a supervisor would."""

from __future__ import annotations

import os
import resource
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, NewTopic

from pathline.local.kafka import KafkaBroker
from processors.runtime.exits import Exit
from processors.runtime.points import VARIABLE, Point
from schemas.kafka import client_config, topic_settings
from schemas.topics import DAY_MS, DEAD_LETTERS, Topic, changelog
from tests.faults.injectors import Impossible
from tests.faults.runtime import disk
from tests.faults.runtime.hand import Hand, Stuck

PATIENCE = 300.0
_LOOK_SECONDS = 0.02
_TRIES = 5


class Broker:
    """The broker of a campaign; use it from one thread, which lives as long as it."""

    def __init__(self, folder: Path) -> None:
        self._kafka = KafkaBroker(folder, heap_mb=512)

    def start(self) -> str:
        """Start it, and wait until clients are served; the bootstrap servers."""
        return self._kafka.start()

    def freeze(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        self._kafka.kill()

    def stop(self) -> None:
        """End it in order."""
        self._kafka.stop()

    @property
    def _pid(self) -> int:
        assert self._kafka.pid is not None
        return self._kafka.pid


class Crew:
    """Workers of one app on topics of its own. A context manager: nothing of it runs on afterwards.

    `rule` is left out of the runtime if given. Times are milliseconds.
    """

    def __init__(
        self,
        brokers: str,
        home: Path,
        app: str,
        *,
        broker: Broker | None = None,
        partitions: int = 4,
        rule: str = "",
        session_timeout: int = 2_000,
        transaction_timeout: int = 10_000,
        wake_after: int = 200,
    ) -> None:
        self.brokers, self.home, self.app, self.partitions = brokers, home, app, partitions
        self.session_seconds = session_timeout / 1000
        self.hands: list[Hand] = []
        self.napping = home / f"{app}-napping"
        self._broker = broker
        self._environment = {
            "JOB": app,
            "JOB_WAKE_AFTER": str(wake_after),
            "JOB_NAPPING": str(self.napping),
            "JOB_LEAVES_OUT": rule,
            "PATHLINE_BROKERS": brokers,
            "PATHLINE_HOME": str(home),
            "PATHLINE_SESSION_TIMEOUT_MS": str(session_timeout),
            "PATHLINE_TRANSACTION_TIMEOUT_MS": str(transaction_timeout),
        }

    def __enter__(self) -> Crew:
        names = [f"{self.app}.{name}" for name in ("events", "visits", "handoff", "out")]
        topics = [self._topic(Topic(name, "", None, False, None, "")) for name in names]
        topics.append(self._topic(Topic(changelog(self.app), "", None, True, None, ""), uncompacted=True))
        # shared by all apps of a broker, whichever comes first
        topics.append(NewTopic(DEAD_LETTERS, num_partitions=8, replication_factor=1))
        admin = AdminClient(client_config(self.brokers))
        for answer in admin.create_topics(topics).values():
            error = answer.exception()
            if error is not None and error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise error
        return self

    def __exit__(self, *exception: object) -> None:
        for hand in self.hands:
            hand.kill()

    @property
    def broker(self) -> Broker:
        assert self._broker is not None, "this crew's broker is shared with others"
        return self._broker

    def hire(self, start: bool = True) -> Hand:
        """One more worker."""
        number = len(self.hands)
        log = self.home / f"{self.app}-{number}.log"
        hand = Hand(number, self._environment, self.home / "state" / f"{self.app}-{number}", log)
        self.hands.append(hand)
        if start:
            hand.start()
        return hand

    def processes(self) -> list[Hand]:
        return [hand for hand in self.hands if hand.wanted]

    def tend(self) -> None:
        """Look after every worker once."""
        for hand in self.hands:
            hand.tend()

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self.tend()
        while time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            self.tend()

    def until(
        self, true: Callable[[], object], what: str, seconds: float = PATIENCE, every: float = _LOOK_SECONDS
    ) -> None:
        """Wait for a condition, looking after the workers meanwhile. Raises Stuck."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise Stuck(f"{what}: not within {seconds:.0f} s\n" + "\n".join(h.last_words() for h in self.hands))
            self.wait(every)

    def scale(self, leaving: Hand, seconds: float) -> None:
        idle = next((hand for hand in self.hands if not hand.wanted), None)
        if idle is None:
            self.hire()
        else:
            idle.wanted = True
        self.wait(seconds)
        leaving.wanted = False
        leaving.terminate()

    def fill_disk(self, process: Hand) -> None:
        process.kill()
        if why := disk.no_small_disk():
            self._end_of_files(process, why)
            return
        process.state.mkdir(parents=True, exist_ok=True)
        process.start(disk.on_small_disk(process.state))
        # its disk exists in its namespace only
        own = Path(f"/proc/{process.pid}/root{process.state}")
        device = process.state.stat().st_dev
        self.until(lambda: own.exists() and own.stat().st_dev != device, "the worker has a disk of its own")
        self.until(lambda: list(own.glob("*/CURRENT")), "the worker has opened its stores")
        self._until_it_dies(process, "its disk is full", lambda: disk.fill(own))

    def crash(self, process: Hand, point: str, skip: int = 2) -> None:
        marker = self.home / f"crashed-{uuid.uuid4()}"
        process.kill()
        for _ in range(_TRIES):
            if point == Point.DURING_RESTORE:
                process.wipe()
                skip = 0
            process.start(**{VARIABLE: f"{self.app}:{point}:{skip}:{marker}"})
            self._until_it_dies(process, f"it crashes {point}")
            if marker.exists():
                return
            # on a busy machine it may be late for the group before it comes there
            if process.exit_code != Exit.LOST:
                break
        raise Stuck(f"{process.name} died elsewhere than {point}:\n{process.last_words()}")

    def shut_down(self) -> None:
        """End all workers in order. Raises Stuck when one does not."""
        for hand in self.hands:
            hand.wanted = False
            hand.terminate()
        self.until(lambda: not any(hand.running() for hand in self.hands), "all workers stop in order")

    def restored(self) -> int:
        """Changelog records read in restores so far."""
        return sum(hand.restored() for hand in self.hands)

    def _end_of_files(self, process: Hand, why: str) -> None:
        """The next best: files can't grow any more."""
        if not hasattr(resource, "prlimit"):
            raise Impossible(f"{why}, and no limit on the size of files of another process")
        process.start()
        self.until(lambda: list(process.state.glob("*/CURRENT")), "the worker has opened its stores")
        room = process.log.stat().st_size + 65_536
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))
        self._until_it_dies(process, "its files can't grow")

    def _until_it_dies(self, process: Hand, why: str, act: Callable[[], None] = lambda: None) -> None:
        """Wait, doing `act` again and again, until it has died. It is not started again before that is seen."""
        process.wanted = False

        def dead() -> bool:
            act()
            return not process.running()

        try:
            self.until(dead, f"{process.name} ends: {why}")
        finally:
            process.wanted = True

    def _topic(self, topic: Topic, uncompacted: bool = False) -> NewTopic:
        # what a store is compared with is the changelog up to its checkpoint, also when that lies far back
        kept: dict[str, Any] = {"min.compaction.lag.ms": str(DAY_MS)} if uncompacted else {}
        config = topic_settings(topic) | kept
        return NewTopic(topic.name, num_partitions=self.partitions, replication_factor=1, config=config)
