"""What the read side knows of a person, as it is kept. Times are milliseconds since 1970 UTC."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.codec import BadRecord
from schemas.consent import Choice


class Profile(msgspec.Struct, frozen=True):
    """The profile JSON of `updates`. `addresses` are the identifiers the person used, by type, the one used last first;
    who was absorbed by another person has none left."""

    traits: dict[str, Any] = {}
    sources: dict[str, str] = {}
    segments: list[str] = []
    consents: list[Choice] = []
    addresses: dict[str, list[str]] = {}
    suppressed: dict[str, str] = {}
    timezone: str | None = None
    first_seen: int = 0
    affinity: list[str] = []

    @property
    def alive(self) -> bool:
        """Whether there is anything of this person here."""
        return bool(self.addresses)

    @property
    def identifiers(self) -> list[str]:
        """As `type:value`."""
        return [f"{type}:{value}" for type, values in self.addresses.items() for value in values]


class Gone(msgspec.Struct, frozen=True):
    """Something was erased at an instant; an identifier that is seen later begins anew with `generation`, 0: with
    none."""

    at: int
    generation: int = 0


_profile = msgspec.json.Decoder(Profile)


def profile_of(data: bytes) -> Profile:
    """The profile in its JSON. Raises BadRecord."""
    try:
        return _profile.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"the profile can't be read: {error}") from error
