"""The jars of Apache Kafka, by Maven coordinates, kept in the user's cache folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

KAFKA = "4.1.0"
BROKER = f"org.apache.kafka:kafka_2.13:{KAFKA}"
#: without a binding the broker logs nothing
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"

Progress = Callable[[str], None]


def cache() -> Path:
    """What is kept for the user across projects: `pathline` in XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pathline"


def fetch(progress: Progress = lambda line: None) -> Path:
    """The folder with the broker's jars, fetched first if they aren't there yet.

    Several processes may ask at once: one fetches, the others wait for it. Raises RuntimeError when an artifact can't
    be fetched; what is complete already is used by the next try.
    """
    folder = cache() / f"kafka-{KAFKA}"
    if folder.is_dir():
        return folder
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            progress(f"Fetching Apache Kafka {KAFKA} (about 45 MB, once)")
            # complete or not there at all: the folder appears by one rename
            with tempfile.TemporaryDirectory(dir=cache()) as unfinished:
                _download(Path(unfinished), progress)
                Path(unfinished).rename(folder)
    return folder


def _download(folder: Path, progress: Progress) -> None:
    import jgo  # slow to import and needed once

    try:
        # resolved apart: together, log4j's dependency management would replace Kafka's own versions by older ones
        artifacts = [*jgo.resolve(BROKER), jgo.resolve(LOG_BINDING)[0]]
        with ThreadPoolExecutor(8) as pool:
            for done, future in enumerate(as_completed([pool.submit(a.resolve) for a in artifacts]), 1):
                jar = future.result()
                shutil.copy(jar, folder / jar.name)
                if done % 10 == 0 or done == len(artifacts):
                    progress(f"  {done} of {len(artifacts)} jars")
    except Exception as error:
        raise RuntimeError(f"the jars of Apache Kafka {KAFKA} could not be fetched: {error}") from error
