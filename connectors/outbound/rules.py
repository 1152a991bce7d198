"""What the project says about a channel, as dispatch needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from connectors.outbound.channel import Channel, Rate
from connectors.outbound.pacing import Pace, pace_of
from processors.runtime.definitions import DefinitionsSource
from schemas.definitions import model
from schemas.records import SendCommand
from schemas.topics import DAY_MS

#: what could not be handed over for so long is not sent any more, wall milliseconds, unless channels.yaml says else
EXPIRES_MS = 3 * DAY_MS

_UNKNOWN = model.Channel("", consent="opt_in")


class Rules:
    """The rules of a channel by the project that was published last; where it says nothing, what is known of the
    provider. `wall` is line milliseconds per wall millisecond, `partitions` share the rate."""

    def __init__(self, definitions: DefinitionsSource, channel: Channel, wall: float, partitions: int) -> None:
        self._definitions = definitions
        self._channel = channel
        self._wall = wall
        self._partitions = partitions
        self._paces: dict[tuple[Rate | None, int], Pace | None] = {}

    def pace(self) -> Pace | None:
        """How fast a partition may go; None is as fast as it can."""
        return self._pace(self._written().rate or self._channel.traits.rate, self._partitions)

    def pace_per_recipient(self) -> Pace | None:
        """How fast messages to one address may follow each other."""
        return self._pace(self._written().rate_per_recipient or self._channel.traits.rate_per_recipient, 1)

    def stale(self, command: SendCommand, now: int) -> str:
        """Why it is too late for a message; empty when it is not."""
        most = self._written().expires or EXPIRES_MS
        waited = (now - command.at) / self._wall
        return f"not handed over within {most // 1000} s of its decision" if waited >= most else ""

    def policy(self, command: SendCommand) -> str:
        """What silence means for the channel, by the version the command was decided under, else by the latest."""
        for project in self._projects(command.version):
            if command.channel in project.channels:
                return project.channels[command.channel].consent
        return "opt_in"

    def _written(self) -> model.Channel:
        latest = self._definitions.latest()
        return latest.channels.get(self._channel.name, _UNKNOWN) if latest is not None else _UNKNOWN

    def _projects(self, version: str) -> Iterator[model.Project]:
        with suppress(LookupError):
            yield self._definitions.project(version)
        latest = self._definitions.latest()
        if latest is not None:
            yield latest

    def _pace(self, rate: Rate | None, shares: int) -> Pace | None:
        if (rate, shares) not in self._paces:
            self._paces[rate, shares] = None if rate is None else pace_of(rate, self._wall, shares)
        return self._paces[rate, shares]
