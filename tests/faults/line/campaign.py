"""The campaign: a whole line under load and faults, then at rest, then judged."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from pathline.commands.apply import publish
from pathline.journeys.standing import steer
from pathline.local.home import Line
from pathline.local.quiet import wait_quiet
from pathline.local.stack import Stack
from schemas import topics
from schemas.codec import Codec
from schemas.journey_states import PAUSED, RUNNING
from schemas.kafka import client_config, consumer_config
from schemas.settings import Settings
from schemas.topics import DAY_MS, changelog
from sinks.clickhouse import writer
from sinks.clickhouse.engine import open_server
from tests.faults.line import edges, invariants
from tests.faults.line.crowd import waves
from tests.faults.line.facts import KEEPING, gather
from tests.faults.line.feeding import Feeder
from tests.faults.line.invariants import Figures, Violation
from tests.faults.line.offsets import Watch
from tests.faults.line.oracle import undisturbed
from tests.faults.line.project import FRESH_MS, WAITING, changed, project, write
from tests.faults.line.reading import by_time, partitions
from tests.faults.line.running import Recovery, RunningLine, until
from tests.faults.runtime.invariants import Violated, stores_as_the_changelog
from tests.faults.schedule import Fault

PARTITIONS = 4
SESSION_SECONDS = 4.0
#: no more events are given while so many records wait somewhere
BACKLOG = 8_000
_PATIENCE = 900.0
#: faults from one pause of the journeys to the next, and events that come between a pause and a change
_STEERED_EVERY, _COMING = 7, 100
_COPIES = 3
_TELL_SECONDS = 5.0
_NOT_ENDED = (
    "SELECT uniqExact(send_id) AS n FROM pathline.sends WHERE send_id NOT IN "
    f"(SELECT send_id FROM pathline.ledger WHERE state IN ({', '.join(repr(each) for each in sorted(edges.FINAL))}))"
)


class Campaign:
    """A line, what it is given, and what happens to it. `say` is told about progress in single lines."""

    def __init__(self, running: RunningLine, seed: int, say: Callable[[str], None], poison_every: int = 1_000) -> None:
        self.running = running
        self.recoveries: list[Recovery] = []
        self._seed = seed
        self._say = say
        self._feeder = Feeder(running.stack.line, project().identity, seed, poison_every)
        self._backlog = Backlog(running.stack.line.broker, PARTITIONS)
        self._watch = Watch(running.stack.line.broker, PARTITIONS)
        self._settings = Settings(**running.stack.line.settings)
        self._codec = Codec()
        self._changes = self._paused_at = 0

    def run(self, events: int, happen: Iterable[Recovery], name: str = "c", rate: float = math.inf) -> int:
        """Give at least so many events, and go on as long as things happen; returns how many.

        No more than `rate` a second, and no more than the line takes. `name` keeps the people of several runs on one
        line apart.
        """
        over = threading.Event()
        with ThreadPoolExecutor(1) as feeding:
            given = feeding.submit(self._feed, events, rate, over, name)
            try:
                for recovery in happen:
                    self.recoveries.append(recovery)
                    told = f"all at work again after {recovery.seconds:.1f} s, {recovery.restored:,} records restored"
                    self._say(f"{recovery.fault}: {told}")
                    self._watch.look()
                    if given.done():
                        given.result()
            finally:
                over.set()
            return given.result()

    def steer(self, faults: Iterable[Fault]) -> Iterator[Recovery]:
        """Faults one after another, for `run`. Every few of them the journeys that wait are paused, then changed for a
        version that takes over whoever is inside, then resumed, each right before a fault."""
        for number, fault in enumerate(faults):
            match number % _STEERED_EVERY:
                case 1:
                    self._tell(PAUSED)
                case 2:
                    self._change()
                case 3:
                    self._tell(RUNNING)
            yield self.running.suffer(fault)
        self._tell(RUNNING)

    def _tell(self, state: str) -> None:
        for name in WAITING:
            steer(self._settings, self._codec, name, state, "campaign")
        self._paused_at = len(self._feeder.given)

    def _change(self) -> None:
        """Publish the next version, when people have come into paused journeys."""
        until(lambda: len(self._feeder.given) >= self._paused_at + _COMING, "people go on", _PATIENCE)
        self._changes += 1
        publish(self._settings, changed(self._changes))

    def _feed(self, events: int, rate: float, over: threading.Event, name: str) -> int:
        given, began, told = 0, time.monotonic(), 0.0
        for wave in waves(self._seed, 2**40, name):
            if given >= events and over.is_set():
                break
            given += self._feeder.give(wave)
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                self._say(f"{given:,} events given")
            time.sleep(max(0.0, began + given / rate - time.monotonic()))
            until(lambda: self._backlog.now() < BACKLOG, "the line takes more", _PATIENCE, every=0.5)
        self._feeder.close()
        return given

    def settle(self) -> None:
        """Return when the line has done all it was given and every timer has fired."""
        stack = self.running.stack
        time.sleep(max(FRESH_MS, *WAITING.values()) / 1000)
        # on a busy machine a process may find out only now that it lost its place
        self.running.recovered("the last one", self.running.restored())
        warehouse = open_server(stack.line.warehouse, prepare=False)
        try:
            wait_quiet(lambda: stack.line, still_seconds=2.0, patience_seconds=_PATIENCE)
            if warehouse.rows(_NOT_ENDED)[0]["n"]:
                until(lambda: not warehouse.rows(_NOT_ENDED)[0]["n"], "every send ends", _PATIENCE, every=0.5)
                wait_quiet(lambda: stack.line, still_seconds=2.0, patience_seconds=_PATIENCE)
        finally:
            warehouse.close()

    def judge(self) -> dict[str, Figures]:
        """The figures of every invariant, by its name. Raises Violation at the first that does not hold."""
        line = self.running.stack.line
        self._watch.look()
        facts = gather(line.broker)
        self._say(f"read {facts.sizes.total():,} records; running the oracle")
        expected = undisturbed(by_time(line.broker, topics.EVENTS), PARTITIONS)
        warehouse = open_server(line.warehouse, prepare=False)
        try:
            return {
                "1 events and moves": invariants.updates_once(facts, expected, self._feeder.given),
                "1 memberships": invariants.memberships_alternate(facts),
                "1 decisions and sends": invariants.sends_decided(facts, expected),
                "2 persons": invariants.persons_alike(facts, expected),
                "3 committed offsets": self._watch.figures(),
                "4 dead letters": invariants.letters_once(facts),
                "5 timers": invariants.timers_once(facts, expected),
                "6 one person": invariants.one_person(facts, expected),
                "7 warehouse": edges.warehouse_once(warehouse, facts, expected),
                "8 messages": edges.delivered_as_promised(Path(line.home) / "mailbox", facts),
                "9 nothing left": edges.nothing_left(line.broker),
            }
        finally:
            warehouse.close()
            self._watch.close()


def stores_alike(line: Line) -> Figures:
    """2. Each local store is the changelog up to its checkpoint, the owner's up to its end. Next to nothing is being
    written: copies of the stores can be opened, and are made again when something was written meanwhile."""
    compared = Counter[str]()
    for app in KEEPING:
        count = partitions(line.broker, changelog(app))
        for left in reversed(range(_COPIES)):
            with tempfile.TemporaryDirectory(prefix="pathline-stores-") as copies:
                found = [each for each in (Path(line.home) / "state").iterdir() if each.name.rpartition("-")[0] == app]
                folders = [Path(shutil.copytree(each, Path(copies) / each.name)) for each in found]
                try:
                    compared.update(stores_as_the_changelog(line.broker, app, count, folders))
                    break
                except Violated as wrong:
                    if not left:
                        raise Violation(f"{app}: {wrong}") from wrong
    return dict(compared)


class Backlog:
    """How much waits between the stages of a line."""

    def __init__(self, brokers: str, partitions: int) -> None:
        self._places = {
            app: [TopicPartition(topic, number) for number in range(partitions)]
            for app, topic in (
                ("identity", topics.EVENTS),
                ("segments", topics.PEOPLE),
                ("journeys", topics.UPDATES),
                (writer.GROUP, topics.UPDATES),
            )
        }
        self._clients = {app: Consumer(consumer_config(brokers, app)) for app in self._places}

    def now(self) -> int:
        """Records that wait; none while the broker can't tell, as clients don't wait for it either."""
        try:
            return sum(self._behind(app, tp) for app, places in self._places.items() for tp in places)
        except KafkaException:
            return 0

    def _behind(self, app: str, place: TopicPartition) -> int:
        client = self._clients[app]
        [committed] = client.committed([place], timeout=5)
        end = client.get_watermark_offsets(place, timeout=5)[1]
        return max(0, end - max(committed.offset, 0))


@contextmanager
def running_line(folder: Path, say: Callable[[str], None] = lambda line: None) -> Iterator[RunningLine]:
    """A whole line of its own in a folder, two workers where there can be two, with a short session timeout."""
    wanted = {
        "PATHLINE_SESSION_TIMEOUT_MS": str(int(SESSION_SECONDS * 1000)),
        "PATHLINE_TRANSACTION_TIMEOUT_MS": str(int(2 * SESSION_SECONDS * 1000)),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ |= wanted
    try:
        workers = dict.fromkeys(("identity", "segments", "journeys"), 2)
        with Stack(folder / "home", write(folder / "shop"), partitions=PARTITIONS, workers=workers, say=say) as stack:
            _keep_changelogs_whole(stack.line.broker)
            yield RunningLine(stack, folder)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _keep_changelogs_whole(brokers: str) -> None:
    """A store is compared with its changelog up to its checkpoint, also when that lies far back."""
    later = ConfigEntry("min.compaction.lag.ms", str(DAY_MS), incremental_operation=AlterConfigOpType.SET)
    resources = [ConfigResource(ResourceType.TOPIC, changelog(app), incremental_configs=[later]) for app in KEEPING]
    admin = AdminClient(client_config(brokers))
    for answer in admin.incremental_alter_configs(resources).values():
        answer.result()
