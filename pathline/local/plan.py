"""What a local line consists of: its ports, keys, settings and processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.outbound.registry import Connector, connectors, served
from pathline.local import ports
from pathline.local.home import Home, Line
from pathline.local.kafka import KafkaBroker
from pathline.local.services import PythonService
from schemas.clock import ScaledClock
from schemas.definitions import Project, load, steps
from schemas.settings import Settings
from schemas.topics import dispatch_apps
from sinks.profiles.fields import EVERYTHING
from sinks.profiles.keys import ANY, KeyFile, made, path_of

PROCESSORS = ("identity", "graph", "segments", "journeys")
LANES = ("marketing", "transactional")
HOST = "127.0.0.1"
#: name of the key that a local line makes for itself
OWN_KEY = "local"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of a stack on the loopback address; 0 takes the one of last time, or a free one."""

    kafka: int = 0
    collector: int = 0
    warehouse: int = 0
    profiles: int = 0
    mailbox: int = 0
    smtp: int = 0
    smpp: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. None and missing entries take the default: the wall clock, one worker a processor.

    The partition count defaults to that of last time. The graph always has one worker. `heap_mb` bounds the broker's
    Java heap in MiB.
    """

    home: Path
    project: Path
    partitions: int | None = None
    clock: ScaledClock | None = None
    workers: Mapping[str, int] = field(default_factory=dict)
    ports: Ports = field(default_factory=Ports)
    heap_mb: int = 512


def prepare(plan: Plan, home: Home) -> Line:
    """Choose ports and keys. Raises ValueError when a port asked for is taken or the settings don't go together."""
    channels = served(load(plan.project))
    chosen = home.ports({name: getattr(plan.ports, name) for name in Ports.__slots__})
    keys = home.keys()
    base = Settings()
    collector = f"http://{HOST}:{chosen['collector']}"
    given: dict[str, Any] = {
        "home": home.path,
        "brokers": f"{HOST}:{chosen['kafka']}",
        "partitions": plan.partitions or home.partitions() or base.partitions,
        "public_url": base.public_url or collector,
        "smtp": base.smtp or f"smtp://{HOST}:{chosen['smtp']}",
        "api_keys": base.api_keys or home.path / "api_keys.json",
        "catcher": f"http://{HOST}:{chosen['mailbox']}",
        "smpp_catcher": f"smpp://mailbox@{HOST}:{chosen['smpp']}",
        **keys,
    }
    if plan.clock is not None:
        given |= {"clock": "scaled"}
        given |= {f"clock_{name}": getattr(plan.clock, name) for name in ("start", "speed", "until", "started")}
    settings = Settings.model_validate(base.model_dump() | given)
    return Line(
        home=str(home.path),
        broker=settings.brokers,
        collector=collector,
        write_key=keys["write_keys"],
        profiles=f"http://{HOST}:{chosen['profiles']}",
        profiles_key="" if base.api_keys else _own_key(home, path_of(settings)),
        warehouse=settings.warehouse
        or f"http://{HOST}:{chosen['warehouse']}/?user=pathline&password={keys['warehouse_password']}",
        mailbox=f"http://{HOST}:{chosen['mailbox']}" if _played(channels.values()) else "",
        project=str(plan.project.absolute()),
        supervisor=os.getpid(),
        ports=chosen,
        settings=settings.model_dump(mode="json"),
        channels={name: connector.name for name, connector in channels.items()},
    )


def _own_key(home: Home, file: Path) -> str:
    """The key with which whoever runs this line may do everything. Raises ValueError when the file of keys can't be
    used."""
    key = home.profiles_key(made)
    KeyFile(file).add(OWN_KEY, {"fields": [EVERYTHING], "enter": [ANY], "inbox": True}, key)
    return key


def _played(connectors: Iterable[Connector]) -> bool:
    """Whether a provider has to be played by the development mailbox."""
    return any(connector.played for connector in connectors)


def topic_channels(project: Project) -> list[str]:
    """Channels that have topics: all that a journey may send over or ask and all audiences, whoever takes it there."""
    known = sorted(name for name, channel in project.channels.items() if channel.kind != "session")
    return [*known, *steps.services(project)]


def broker(plan: Plan, line: Line, home: Home) -> KafkaBroker:
    """The line's Kafka."""
    return KafkaBroker(
        home.path / "kafka", plan.heap_mb, line.ports["kafka"], log=home.logs / "kafka.log", home=home.path
    )


def services(plan: Plan, line: Line, home: Home) -> list[PythonService]:
    """The line's Python processes, in the order in which events pass them."""
    found: list[PythonService] = []

    def add(name: str, *arguments: str, worker: int = 0, port: int = 0) -> None:
        web_port = port or ports.free()
        found.append(
            PythonService(
                name=name,
                arguments=arguments,
                settings=environment({**line.settings, "worker": worker, "web_port": web_port}),
                home=home.path,
                web_port=web_port,
                log=home.logs / f"{name}.log",
            )
        )

    if line.mailbox:
        smtp, smpp, web = (line.ports[name] for name in ("smtp", "smpp", "mailbox"))
        listens = ("--smtp-port", str(smtp), "--smpp-port", str(smpp), "--port", str(web))
        add("mailbox", "mailbox", *listens, port=web)
    collector, warehouse = line.ports["collector"], line.ports["warehouse"]
    add("collector", "collect", "--port", str(collector), port=collector)
    for processor in PROCESSORS:
        for worker in range(1 if processor == "graph" else plan.workers.get(processor, 1)):
            add(processor if worker == 0 else f"{processor}-{worker}", "process", processor, worker=worker)
    for channel, connector in line.channels.items():
        command = connectors()[connector].command
        for name, lane in zip(dispatch_apps(channel), LANES, strict=True):
            add(name, command, channel, "--connector", connector, "--lane", lane)
    profiles = line.ports["profiles"]
    add("profiles", "profiles", "--port", str(profiles), port=profiles)
    add("sink", "sink", "--port", str(warehouse))
    return found


def stop_order() -> tuple[Callable[[str], bool], ...]:
    """Which processes end together, by name: first what takes events in, last what the others need."""
    late = ("sink", "mailbox", "kafka")
    return (
        lambda name: name in ("collector", "profiles"),
        lambda name: name not in late,
        lambda name: name == "sink",
        lambda name: name == "mailbox",
        lambda name: True,
    )


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as the environment variables they are read from."""
    return {f"PATHLINE_{name.upper()}": str(value) for name, value in settings.items()}
