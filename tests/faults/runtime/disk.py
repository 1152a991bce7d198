"""A disk that is too small: how a process can be given one without being root."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

MIB = 64


def on_small_disk(folder: Path) -> list[str]:
    """A wrapper for a command: it then runs with an empty disk of 64 MiB at `folder`, which goes away with it."""
    script = 'mount -t tmpfs -o "size=$1m" line "$2" && shift 2 && exec "$@"'
    return ["unshare", "-r", "-m", "sh", "-c", script, "sh", str(MIB), str(folder)]


def fill(folder: Path) -> None:
    """Take what room is left on a small disk that this folder is on, and no more than it has in all."""
    try:
        with (folder / "filler").open("ab") as file:
            for _ in range(MIB):
                file.write(bytes(1024 * 1024))
    except OSError:
        return


@cache
def no_small_disk() -> str:
    """Why a process can't be given a small disk of its own; "" when it can."""
    command = ["unshare", "-r", "-m", "mount", "-t", "tmpfs", "line", "/mnt"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return "no unshare"
    return "no user namespaces" if done.returncode else ""
