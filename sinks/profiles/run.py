"""The process `pathline profiles`: follows the line and answers."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvicorn
from confluent_kafka import KafkaError, KafkaException, Producer
from fastapi import FastAPI

from connectors.inbound.collector.publisher import Publisher, edge_producer
from processors.runtime.exits import Exit, leave, no_room
from processors.runtime.published import PublishedDefinitions
from schemas.condition import JOINING, RUNNING, STOPPING, Condition
from schemas.kafka import cause_of, producer_config
from schemas.limits import TooMany
from schemas.registry import codec_for
from schemas.secret import secret_of
from schemas.settings import Settings
from sinks.profiles.access import Gate, Register
from sinks.profiles.app import make_app
from sinks.profiles.following import APP, Follower
from sinks.profiles.keys import KeyFile, path_of
from sinks.profiles.outbox import Outbox
from sinks.profiles.parts import Parts
from sinks.profiles.people import People
from sinks.profiles.projects import CurrentProjects
from sinks.profiles.rates import Rates
from sinks.profiles.store import Store
from sinks.profiles.tokens import Tokens

log = structlog.get_logger(APP)

_STOP_SECONDS = 10.0


def run(settings: Settings, port: int, host: str = "127.0.0.1") -> None:
    """Serve until SIGTERM or SIGINT; port 0 takes a free one."""
    # an answer does not wait for the rest of a batch of records
    sys.setswitchinterval(0.001)
    folder = settings.home / "state" / APP
    codec, clock = codec_for(settings), settings.make_clock()
    condition = Condition(APP, JOINING, RUNNING.__eq__)
    store = Store(folder / "people")
    outbox = Outbox(folder / "outbox", Producer(producer_config(settings.brokers) | {"error_cb": _on_error}))
    projects = CurrentProjects(PublishedDefinitions(settings.brokers, codec))
    stopping = threading.Event()
    follower = Follower(settings, store, outbox, codec, condition, projects, stopping)
    thread = threading.Thread(target=_follow, args=(follower,), name="follower", daemon=True)
    publisher = Publisher(edge_producer(settings.brokers))
    app = make_app(
        Parts(
            people=People(store, codec, projects),
            gate=Gate(KeyFile(path_of(settings)), Rates(), Tokens(secret_of(settings))),
            register=Register(outbox.tell, codec, clock),
            condition=condition,
            as_of=follower.as_of,
            complete=lambda: store.complete,
            publisher=publisher,
            codec=codec,
            clock=clock,
            note=store.write,
        )
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        thread.start()
        yield
        condition.be(STOPPING)
        stopping.set()
        thread.join(_STOP_SECONDS)
        projects.close()
        outbox.close()
        await asyncio.to_thread(publisher.close)
        store.close()

    app.router.lifespan_context = lifespan
    log.info("profiles", host=host, port=port, brokers=settings.brokers)
    uvicorn.Server(uvicorn.Config(app, host, port, log_level="warning", access_log=False)).run()


def _follow(follower: Follower) -> None:
    try:
        follower.run()
    except TooMany as many:
        leave(Exit.DEAD_LETTERS, str(many))
    except KafkaException as error:
        leave(Exit.LOST, f"{APP}: {cause_of(error).str()}")
    except Exception as error:
        if no_room(error):
            leave(Exit.DISK, f"the disk is full, make room: {error}")
        leave(Exit.BROKEN, f"{type(error).__name__}: {error}", error)


def _on_error(error: KafkaError) -> None:
    log.warning("kafka", error=error.str())
