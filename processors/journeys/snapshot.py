"""The profile JSON of `updates`, as journeys read it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from schemas.consent import Choice
from schemas.definitions.model import Channel


class Snapshot(msgspec.Struct, frozen=True):
    """A person's profile. `addresses` are the identifiers the person used, by type, newest used first; `suppressed`
    maps an address to "marketing" or "all"; `affinity` are channels the person answered in, `hours`
    those of its day in which it did, the preferred first."""

    traits: dict[str, Any] = {}
    segments: list[str] = []
    consents: list[Choice] = []
    addresses: dict[str, list[str]] = {}
    suppressed: dict[str, str] = {}
    timezone: str | None = None
    affinity: list[str] = []
    hours: list[int] = []

    def addresses_in(self, channel: Channel) -> list[tuple[str, str]]:
        """(identifier type, address) in a channel, newest used first within a type, stronger types as listed."""
        return [(type_, value) for type_ in channel.identifiers for value in self.addresses.get(type_, ())]

    def language(self) -> str:
        """The person's language, "" when unknown: trait `language`, else the first part of trait `locale`."""
        spoken = self.traits.get("language") or self.traits.get("locale") or ""
        return spoken.replace("_", "-").split("-")[0].lower() if isinstance(spoken, str) else ""

    def with_traits(self, traits: dict[str, Any]) -> Snapshot:
        """With these traits set."""
        return msgspec.structs.replace(self, traits={**self.traits, **traits})


EMPTY = Snapshot()


@lru_cache(maxsize=1_024)
def read(data: bytes) -> Snapshot:
    """The snapshot in profile JSON. Raises msgspec.DecodeError when it is not one."""
    return msgspec.json.decode(data, type=Snapshot)
