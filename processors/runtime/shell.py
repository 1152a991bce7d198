"""Faust as the shell of a worker: app, agent, worker, supervision and command line are Faust's.

Its own transport and tables are not used for data: they lose and double it when a process dies. A transport of ours
delivers each batch of the engine as one message through Faust's conductor to the app's one agent, and knows no
acknowledgements: a batch is done when its transaction is.
"""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import faust
import faust.app.base
from confluent_kafka import KafkaException
from faust.tables.manager import TableManager
from faust.transport import base
from faust.transport.consumer import Consumer
from faust.transport.drivers import TRANSPORTS
from faust.transport.producer import Producer
from faust.types import TP, ConsumerMessage

from processors.runtime.contract import Stage
from processors.runtime.engine import Batch, Engine
from processors.runtime.exits import Exit, Stop, leave, no_room
from processors.runtime.web import Web
from schemas.kafka import cause_of

T = TypeVar("T")

_CALLBACK_SECONDS = 30.0
SCHEME = "line"
TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"


class Boot(faust.app.base.BootStrategy):
    """Faust's services that have a part in a line: neither its tables nor its leader election nor its web."""

    def server(self) -> list[Any]:
        return [
            *self.sensors(),
            *self.kafka_producer(),
            self.app.web_endpoint,
            self.app.consumer,
            *self.agents(),
            *self.kafka_conductor(),
        ]


class LineApp(faust.App):
    """A Faust app around one stage. `engine` is what its transport runs."""

    engine: Engine
    stage: Stage
    web_endpoint: Web
    BootStrategy = Boot

    def _create_directories(self) -> None:
        """Faust itself keeps no files here."""


class Untouched(faust.Schema):
    """What the engine hands over is no bytes and reaches the agent as it is."""

    def loads_key(self, app: Any, message: Any, **options: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **options: Any) -> Any:
        return message.value


class NoTables(TableManager):
    """State is the runtime's: there is nothing to register or to recover."""

    async def wait_until_tables_registered(self) -> None:
        return

    async def wait_until_recovery_completed(self) -> bool:
        return False


class LineConsumer(Consumer):
    """Drives the engine in its one Kafka thread and hands its batches to Faust."""

    app: LineApp

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._assignment: set[TP] = set()
        self._count = 0

    async def subscribe(self, topics: Iterable[str]) -> None:
        """The conductor is ready: start. The topics are those of the stage."""
        self.add_future(self._drive())

    async def _drive(self) -> None:
        # a batch makes and drops a hundred thousand objects without cycles: looking for cycles after each 700 of them
        # took 40 % of the worker's time
        gc.freeze()
        gc.set_threshold(250_000, 10, 100)
        engine, loop = self.app.engine, asyncio.get_running_loop()
        listener = _Listener(self, loop)
        try:
            if not await self._in_thread(lambda: engine.connect(listener, loop, _failed)):
                return
            while not self.should_stop:
                batch = await self._in_thread(engine.poll)
                if batch is not None and not self.should_stop:
                    done = loop.create_future()
                    await self.callback(self._message(batch, done))
                    await done
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            _failed(error)

    async def process(self, batch: Batch) -> None:
        """What the agent does with a batch."""
        try:
            await self._in_thread(lambda: self.app.engine.process(batch))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # leave before Faust ends the agent's generator, as that would acknowledge the batch
            _failed(error)

    async def on_stop(self) -> None:
        """Wait for the transaction at hand, then leave the group."""
        self.app.engine.stop()
        try:
            await self._in_thread(self.app.engine.close)
        except Exception as error:
            _failed(error)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)

    def _message(self, batch: Batch, done: asyncio.Future[None]) -> ConsumerMessage:
        self._count += 1
        tp = TP(self.app.stage.inputs[0], batch.number)
        # Faust drops messages of an older generation than the app's; ours are never older, as the engine waits for each
        generation = self.app.consumer_generation_id
        return ConsumerMessage(
            *tp, self._count, 0.0, 0, [], None, (batch, done), None, 0, 0, tp, generation_id=generation
        )

    async def assigned(self, partitions: set[TP]) -> None:
        """Tell Faust which partitions are ours."""
        self._assignment = partitions
        await self.app.topics.on_partitions_assigned(partitions)
        await self.app.on_partitions_assigned.send(partitions)
        self.app.flow_control.resume()

    async def revoked(self, partitions: set[TP]) -> None:
        """Tell Faust which are ours no longer."""
        self._assignment -= partitions
        await self.app.on_partitions_revoked.send(partitions)

    # What Faust asks of a consumer and this one answers by doing nothing: positions and commits are the engine's.

    def ack(self, message: Any) -> bool:
        message.acked = True
        return True

    def track_message(self, message: Any) -> None:
        return

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        return False

    async def wait_empty(self) -> None:
        return

    def assignment(self) -> set[TP]:
        return self._assignment

    def verify_event_path(self, now: float, tp: TP) -> None:
        return

    def topic_partitions(self, topic: str) -> int | None:
        return None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return None

    def highwater(self, tp: TP) -> int:
        return 0

    async def position(self, tp: TP) -> int | None:
        return None

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return {}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return {}

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return {}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        return

    async def create_topic(self, topic: str, *arguments: Any, **options: Any) -> None:
        raise RuntimeError(f"{topic}: topics come from the catalogue (pathline topics apply), not from Faust")

    async def _seek(self, partition: TP, offset: int) -> None:
        return

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return False

    async def _getmany(self, *arguments: Any) -> Mapping[TP, list[Any]]:
        return {}

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        raise NotImplementedError("batches come from the engine")


class LineProducer(Producer):
    """Nothing is sent outside the engine's transactions: Faust's base class refuses to send."""


class Transport(base.Transport):
    """Faust's door to the engine."""

    Consumer = LineConsumer
    Producer = LineProducer
    driver_version = "pathline"


class _Listener:
    """Takes what the engine says in the Kafka thread to the event loop, and waits there until Faust knows."""

    def __init__(self, consumer: LineConsumer, loop: asyncio.AbstractEventLoop) -> None:
        self._consumer = consumer
        self._loop = loop

    def assigned(self, partitions: set[tuple[str, int]]) -> None:
        self._tell(self._consumer.assigned({TP(*each) for each in partitions}))

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        self._tell(self._consumer.revoked({TP(*each) for each in partitions}))

    def _tell(self, what: Any) -> None:
        # 9. Rebalance callbacks run in the polling thread; Faust's own run in its event loop, and are waited for.
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_CALLBACK_SECONDS)


def _failed(error: BaseException) -> None:
    if isinstance(error, Stop):
        leave(error.code, str(error))
    if isinstance(error, KafkaException):
        leave(Exit.LOST, f"Kafka: {cause_of(error).str()}")
    if no_room(error):
        leave(Exit.DISK, f"the disk is full, make room: {error}")
    leave(Exit.BROKEN, f"{type(error).__name__}: {error}", error)
