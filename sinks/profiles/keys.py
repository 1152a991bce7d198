"""Keys of programs that read profiles: a file with their hashes and what each may do.

A key is 32 random bytes, so a plain hash of it can't be tried out; the key itself is shown once, when it is made. The
file is written by `pathline keys` or by hand, read again when it changed, and may be mounted from a store of secrets.
"""

from __future__ import annotations

import hmac
import math
import os
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.settings import Settings
from sinks.profiles.fields import Fields, NoField

log = structlog.get_logger("profiles")

PREFIX = "plk"
ANY = "*"
#: what may be asked by beside the types of identifiers
PERSON_ID = "person_id"
#: between two looks at the file
_LOOK_SECONDS = 0.5


class Unknown(Exception):
    """No key, or none that is known and in force."""


class Key(BaseModel):
    """What is kept of a key.

    `fields` may be read with it, by identifiers of the types `by` (`person_id` among them); into the journeys `enter`
    people may be let; `inbox`: tokens for inboxes may be asked for. `origins` are the sites whose pages may use it;
    `rate` bounds its requests a second, `client_rate` those of one client address.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9]{8}$")
    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    fields: list[str] = []
    by: list[str] = [ANY]
    enter: list[str] = []
    inbox: bool = False
    origins: list[str] = []
    rate: float = Field(200.0, gt=0)
    client_rate: float | None = Field(None, gt=0)
    created_at: datetime
    revoked_at: datetime | None = None

    @field_validator("fields")
    @classmethod
    def _known(cls, fields: list[str]) -> list[str]:
        try:
            Fields.of(fields)
        except NoField as error:
            raise ValueError(str(error)) from None
        return fields

    @field_validator("origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            scheme, _, host = origin.partition("://")
            if origin != ANY and (scheme not in ("http", "https") or not host or "/" in host):
                raise ValueError(f"{origin!r} is no origin: https://shop.example, or * for any")
        return origins

    @property
    def allowed(self) -> Fields:
        """The fields that may be read."""
        return Fields.of(self.fields)

    def asks_by(self, type: str) -> bool:
        """Whether people may be asked for by this type of identifier."""
        return ANY in self.by or type in self.by

    def enters(self, journey: str) -> bool:
        """Whether people may be let into this journey."""
        return ANY in self.enter or journey in self.enter

    def used_at(self, origin: str) -> bool:
        """Whether pages of this origin may use it."""
        return ANY in self.origins or origin in self.origins


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Key] = []


class KeyFile:
    """The keys in a file. Safe for threads and, by renaming, for other processes that read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._looked = -math.inf
        self._version: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def current(self) -> list[Key]:
        """All keys, revoked ones too. Raises ValueError when the file can't be used; that keeps those known before."""
        with self._lock:
            self._refresh()
            return list(self._keys.values())

    def key(self, given: str) -> Key:
        """The key that was given. Raises Unknown."""
        _, _, rest = given.partition("_")
        id, _, _ = rest.partition("_")
        known = self._known().get(id)
        # compared also for an unknown id, so that time tells nothing
        same = hmac.compare_digest(hashed(given), known.sha256 if known is not None else "0" * 64)
        return _in_force(known if same else None)

    def known(self) -> list[Key]:
        """All keys as of a moment ago."""
        return list(self._known().values())

    def by_id(self, id: str) -> Key:
        """The key of an id, if it is in force. Raises Unknown."""
        return _in_force(self._known().get(id))

    def add(self, name: str, rights: Mapping[str, object], given: str | None = None) -> tuple[Key, str]:
        """A new key, and its text, which is kept nowhere; with a text `given` that was made before it is that key, with
        these rights. Raises ValueError."""
        text = given or made()
        own = {"id": text.split("_")[1], "name": name, "sha256": hashed(text), "created_at": _now()}
        try:
            key = Key.model_validate({**own, **rights})
        except ValidationError as error:
            raise ValueError(_words(error)) from None
        keys = self.current()
        if any(other.name == name and other.id != key.id and other.revoked_at is None for other in keys):
            raise ValueError(f"there is a key {name!r} already; revoke it first, or choose another name")
        self._write([*(other for other in keys if other.id != key.id), key])
        return key, text

    def revoke(self, name_or_id: str) -> Key:
        """The key is not in force any more. Raises LookupError."""
        keys = self.current()
        for place, key in enumerate(keys):
            if name_or_id in (key.id, key.name) and key.revoked_at is None:
                keys[place] = key.model_copy(update={"revoked_at": _now()})
                self._write(keys)
                return keys[place]
        raise LookupError(f"no key {name_or_id!r} is in force")

    def _known(self) -> dict[str, Key]:
        with self._lock:
            if time.monotonic() - self._looked > _LOOK_SECONDS:
                try:
                    self._refresh()
                except ValueError as error:
                    log.error("keys: what was known before holds on", error=str(error))
            return self._keys

    def _refresh(self) -> None:
        self._looked = time.monotonic()
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._keys, self._version = {}, None
            return
        version = found.st_ino, found.st_mtime_ns, found.st_size
        if version == self._version:
            return
        self._version = version
        try:
            file = _File.model_validate_json(self._path.read_bytes())
        except ValidationError as error:
            raise ValueError(f"{self._path}: {_words(error)}") from None
        self._keys = {key.id: key for key in file.keys}

    def _write(self, keys: list[Key]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(_File(keys=keys).model_dump_json(indent=2) + "\n", "utf-8")
        draft.rename(self._path)
        self._looked = -math.inf


def _in_force(key: Key | None) -> Key:
    if key is None:
        raise Unknown("unknown key")
    if key.revoked_at is not None:
        raise Unknown(f"the key {key.name!r} was revoked")
    return key


def made() -> str:
    """The text of a new key: what it is, a public id, the secret."""
    return f"{PREFIX}_{secrets.token_hex(4)}_{secrets.token_hex(32)}"


def hashed(text: str) -> str:
    """What is kept of a key."""
    return sha256(text.encode()).hexdigest()


def path_of(settings: Settings) -> Path:
    """Where the keys of a line are."""
    return settings.api_keys or settings.home / "api_keys.json"


def _words(error: ValidationError) -> str:
    """What is wrong, for people."""
    told = ((".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in error.errors())
    return "; ".join(f"{where}: {what}" for where, what in told)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
