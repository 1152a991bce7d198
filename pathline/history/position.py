"""How far a load into the warehouse has come, so that one that was interrupted goes on there."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import msgspec


class Reached(msgspec.Struct, kw_only=True):
    """Behind how many items a load is, the digest of their bytes, and what became of them; `kept` is the size of the
    file of rejected lines then.

    `began` is the instant of its first run (milliseconds since 1970 UTC), at which all its events are received; `alone`
    says that nothing of its source was there.
    """

    began: int
    alone: bool = True
    count: int = 0
    digest: str = ""
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: dict[str, int] = {}
    kept: int = 0


@dataclass(slots=True)
class PositionFile:
    """The position of one source in a home; there is one only while a load of it is not finished."""

    folder: Path
    source: str
    _path: Path = field(init=False)

    def __post_init__(self) -> None:
        self._path = self.folder / f"{blake2b(self.source.encode(), digest_size=8).hexdigest()}.json"

    @property
    def rejected(self) -> Path:
        """Where its rejected lines are gathered until it is finished."""
        return self._path.with_suffix(".rejected")

    def read(self) -> Reached | None:
        """Where an interrupted load has come to, None when none was."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Reached)
        except FileNotFoundError:
            return None

    def write(self, reached: Reached) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(reached))
        part.replace(self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
