"""Carries out the faults of a schedule on the processes of a line.

What is hit is not started again from here: a line does that itself, as its supervisor would, while time passes in
`Line.wait`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tests.faults.schedule import Fault, Kind


class Impossible(Exception):
    """A fault can't be had here; the message says why."""


class Process(Protocol):
    """A worker that comes back whenever it ends."""

    @property
    def name(self) -> str:
        """For reports."""

    def kill(self) -> None:
        """End it at once; does nothing to one that is down."""

    def terminate(self) -> None:
        """Ask it to stop in order (SIGTERM), without waiting; does nothing to one that is down."""

    def freeze(self) -> None:
        """SIGSTOP; does nothing to one that is down."""

    def thaw(self) -> None:
        """SIGCONT; does nothing to one that is down."""

    def wipe(self) -> None:
        """Delete its state folder. The process must be down."""


class Broker(Protocol):
    """The broker of a line."""

    def freeze(self) -> None:
        """SIGSTOP."""

    def thaw(self) -> None:
        """SIGCONT."""

    def kill(self) -> None:
        """End it at once."""

    def start(self) -> object:
        """Start it on the same data and port, and wait until clients are served."""


P = TypeVar("P", bound=Process)


class Line(Protocol[P]):
    """What runs while faults happen."""

    @property
    def broker(self) -> Broker:
        """Its broker."""

    def processes(self) -> Sequence[P]:
        """Those that may be hit, in a fixed order."""

    def wait(self, seconds: float) -> None:
        """Let time pass; what has ended is started again meanwhile. With 0, look after the processes once."""

    def scale(self, leaving: P, seconds: float) -> None:
        """Let one more worker join for so many seconds, then let `leaving` leave in its stead. Raises Impossible."""

    def fill_disk(self, process: P) -> None:
        """Let the process come to the end of its disk, and then have one with room. Raises Impossible."""

    def crash(self, process: P, point: str) -> None:
        """Let the process die, once, when it reaches this crash point of the runtime. Returns when it has died."""


def inject(fault: Fault, line: Line[P]) -> None:
    """Do what the fault says; returns when it is over, not when the line has recovered. Raises Impossible."""
    victims = [_chosen(line.processes(), draw) for draw in fault.victims]
    victim = victims[0]
    match fault.kind:
        case Kind.KILL:
            victim.kill()
        case Kind.BURST:
            for hit, gap in zip(victims, (*fault.gaps, 0.0), strict=True):
                hit.kill()
                line.wait(gap)
        case Kind.FREEZE:
            victim.freeze()
            line.wait(fault.lasts)
            victim.thaw()
        case Kind.TERMINATE:
            victim.terminate()
        case Kind.SCALE:
            line.scale(victim, fault.lasts)
        case Kind.WIPE:
            victim.kill()
            victim.wipe()
        case Kind.DISK_FULL:
            line.fill_disk(victim)
        case Kind.BROKER_FROZEN:
            line.broker.freeze()
            line.wait(fault.lasts)
            line.broker.thaw()
        case Kind.BROKER_KILLED:
            line.broker.kill()
            line.wait(fault.lasts)
            line.broker.start()
        case Kind.CRASH:
            line.crash(victim, fault.point)


def _chosen(processes: Sequence[P], draw: float) -> P:
    return processes[int(draw * len(processes))]
