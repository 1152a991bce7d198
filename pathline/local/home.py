"""What a local line remembers in its home: who holds it, its ports and keys, and how it can be reached."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pathline.local import ports


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process of the line. Times are seconds since 1970 UTC.

    `state` is starting, ready, not ready, waiting (for its restart), failed (a person has to look), restarting (because
    a person asked for it) or stopped; it is so since `since`. `restart_at` is when a waiting one starts again,
    `silent_since` since when a running one has not answered (0: it answers), `last_end` how it ended last and why.
    """

    name: str
    pid: int | None
    state: str
    restarts: int = 0
    web_port: int = 0
    log: str = ""
    since: float = 0.0
    restart_at: float = 0.0
    silent_since: float = 0.0
    last_end: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart of processes one after another that a person asked for; `id` names it.

    `left` are those still to come, the first of them is under way; `failed` says why the rest is left alone.
    """

    id: str
    left: list[str]
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """How a running line can be reached. The URLs work as they are, with their credentials.

    `settings` are those of its processes, `ports` the ones it listens on by name, `channels` those it sends over with
    their connectors.
    """

    home: str
    broker: str
    collector: str
    write_key: str
    warehouse: str
    mailbox: str
    profiles: str = ""
    profiles_key: str = ""
    project: str = ""
    supervisor: int = 0
    state: str = "starting"
    processes: list[ProcessState] = field(default_factory=list)
    restart: Restart | None = None
    ports: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)


class Home:
    """The folder PATHLINE_HOME of one line."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.run = self.path / "run"
        self.logs = self.path / "logs"
        self._lock: TextIO | None = None

    def take(self) -> bool:
        """Become the one supervisor of this home until `release` or the end of the process; False if there is one."""
        self.run.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        lock = (self.run / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def release(self) -> None:
        """Let another supervisor have this home."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def held(self) -> bool:
        """Whether a supervisor, of this process or another one, holds this home."""
        if self._lock is not None:
            return True
        if not (self.run / "lock").exists():
            return False
        with (self.run / "lock").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def write_line(self, line: Line) -> None:
        """Publish how the line can be reached."""
        self._write("line.json", asdict(line))

    def forget_line(self) -> None:
        """Nothing can be reached any more."""
        (self.run / "line.json").unlink(missing_ok=True)

    def line(self) -> Line | None:
        """What the supervisor published, None after an orderly end. It is out of date when the home is not held."""
        known = self._read("line.json")
        if known is None:
            return None
        processes = [ProcessState(**process) for process in known["processes"]]
        restart = Restart(**known["restart"]) if known["restart"] else None
        return Line(**(known | {"processes": processes, "restart": restart}))

    def ask_restart(self, restart: Restart) -> None:
        """Ask the supervisor of this home to restart processes; the answer is `Line.restart`."""
        self._write("restart.json", asdict(restart))

    def restart_asked(self) -> Restart | None:
        """What was asked for since this was called last; for the supervisor."""
        asked = self._read("restart.json")
        if asked is None:
            return None
        (self.run / "restart.json").unlink()
        return Restart(**asked)

    def keys(self) -> dict[str, str]:
        """The settings `write_keys` and `warehouse_password` of this line, made once."""
        names = ("write_keys", "warehouse_password")
        known = self._read("keys.json")
        if known is None:
            known = {name: secrets.token_hex(16) for name in names}
            self._write("keys.json", known)
        return {name: known[name] for name in names}

    def profiles_key(self, make: Callable[[], str]) -> str:
        """The key for profiles of this line, made once."""
        known = self._read("keys.json") or {}
        if "profiles_key" not in known:
            known["profiles_key"] = make()
            self._write("keys.json", known)
        return str(known["profiles_key"])

    def ports(self, wanted: dict[str, int]) -> dict[str, int]:
        """A port for each name: the wanted one if not 0, else the one of last time if it is free, else a free one.

        Raises ValueError when a wanted port is taken.
        """
        known: dict[str, int] = self._read("ports.json") or {}
        chosen: dict[str, int] = {}
        for name, port in wanted.items():
            if port and not ports.is_free(port):
                raise ValueError(f"port {port} for {name} is taken by another program")
            candidate = port or known.get(name, 0)
            while not candidate or candidate in chosen.values() or not ports.is_free(candidate):
                candidate = ports.free()
            chosen[name] = candidate
        self._write("ports.json", known | chosen)
        return chosen

    def partitions(self) -> int | None:
        """Partition count of the line in this home, None before its first start."""
        known = self._read("partitions.json")
        return int(known["partitions"]) if known else None

    def remember_partitions(self, count: int) -> None:
        """Keep the partition count with which the topics were made."""
        self._write("partitions.json", {"partitions": count})

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            read: dict[str, Any] = json.loads((self.run / name).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return read

    def _write(self, name: str, value: dict[str, Any]) -> None:
        """By rename, so that readers never see half a file; private, as there are keys in it."""
        draft = self.run / f"{name}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(value, indent=2), "utf-8")
        draft.rename(self.run / name)
