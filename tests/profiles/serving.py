"""The HTTP side as programs of a shop see it, over real HTTP; Kafka is a list."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from schemas import topics
from schemas.condition import RUNNING, Condition
from schemas.records import Access, Event
from sinks.profiles.access import Gate, Register
from sinks.profiles.app import make_app
from sinks.profiles.keys import KeyFile
from sinks.profiles.outbox import Told
from sinks.profiles.parts import Parts
from sinks.profiles.rates import Rates
from sinks.profiles.tokens import Tokens
from tests.connectors.doubles import KeepingProducer, KeepingPublisher
from tests.profiles.lab import CODEC, START, Lab
from tests.runtime.workers import until


@dataclass
class Served:
    """A server; `told` are accesses, `kafka` has what clients told."""

    url: str
    lab: Lab
    keys: KeyFile
    told: list[Told]
    kafka: KeepingProducer = field(default_factory=KeepingProducer)
    state: dict[str, Any] = field(default_factory=lambda: {"complete": True, "now": 0.0})

    def key(self, name: str, *fields: str, **rights: Any) -> str:
        return self.keys.add(name, {"fields": list(fields), **rights})[1]

    def get(self, who: str, key: str | None, **asked: Any) -> httpx.Response:
        headers = asked.pop("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
        return httpx.get(f"{self.url}/v1/people/{who}", headers=headers, params=asked)

    def post(self, path: str, key: str, body: Any, **headers: str) -> httpx.Response:
        given = {"content": body} if isinstance(body, bytes) else {"json": body}
        headers |= {"Authorization": f"Bearer {key}"}
        return httpx.post(f"{self.url}{path}", headers=headers, **given)

    def accesses(self) -> list[Access]:
        return [CODEC.decode(Access, told.value) for told in self.told if told.topic == topics.ACCESSES]

    def events(self) -> list[Event]:
        return [CODEC.decode(Event, record.value) for record in self.kafka.of(topics.EVENTS)]


@contextmanager
def serving(lab: Lab, folder: Path) -> Iterator[Served]:
    """A server for the people of a lab."""
    keys, told = KeyFile(folder / "keys.json"), list[Told]()
    line = Served("", lab, keys, told)
    publisher = KeepingPublisher(line.kafka)
    app = make_app(
        Parts(
            people=lab.people,
            gate=Gate(keys, Rates(lambda: line.state["now"]), Tokens(b"secret", lambda: line.state["now"])),
            register=Register(told.append, CODEC, lab.clock),
            condition=Condition("profiles", RUNNING, RUNNING.__eq__),
            as_of=lambda: START,
            complete=lambda: line.state["complete"],
            publisher=publisher,
            codec=CODEC,
            clock=lab.clock,
            note=lambda changes: lab.store.apply(changes.items()),
        )
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    socket = server.config.bind_socket()
    line.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    until(lambda: server.started, "it listens")
    try:
        yield line
    finally:
        server.should_exit = True
        thread.join()
        publisher.close(1)
