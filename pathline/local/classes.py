"""The broker's classes as Java has parsed them once (class-data sharing): a start then takes half the time.

The first broker that stops in order leaves the archive in the user's cache, later ones begin with it. Java takes an
archive only with the very JVM and jars it was made with, and goes on without it otherwise.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from pathline.local import jars

#: the check of what is in an archive takes a twentieth of a second
_FLAGS = ("-XX:+IgnoreUnrecognizedVMOptions", "-XX:+VerifySharedSpaces", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")
_CHECK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Classes:
    """The archive for a java and a folder of jars; `draft` is the file in which a broker may leave one."""

    java: Path
    libraries: Path
    draft: Path

    @property
    def possible(self) -> bool:
        """Whether this java can leave an archive: it adds to one that comes with it, which small ones lack."""
        return any((self.java.resolve().parents[1] / "lib" / "server").glob("classes*.jsa"))

    def archive(self) -> Path | None:
        """The archive, if there is one; a file of another length than its name says crashes Java, and is none."""
        for found in jars.cache().glob(f"{self._name}-*.jsa"):
            with suppress(OSError):
                if found.stem == f"{self._name}-{found.stat().st_size}":
                    return found
        return None

    def begin(self) -> list[str]:
        """Options to begin with the archive; none if there is none."""
        archive = self.archive()
        return [] if archive is None else [*_FLAGS, f"-XX:SharedArchiveFile={archive}"]

    def leave(self) -> list[str]:
        """Options to leave a draft at the end."""
        self.draft.unlink(missing_ok=True)
        if not self.possible:
            return []
        return [*_FLAGS, f"-XX:ArchiveClassesAtExit={self.draft}"]

    def keep(self) -> None:
        """The broker has ended: what it left becomes the archive, if it is whole."""
        with suppress(OSError):
            if self.draft.exists() and self._sound():
                kept = jars.cache() / f"{self._name}-{self.draft.stat().st_size}.jsa"
                # it appears by one rename: others start and stop at the same time
                with tempfile.TemporaryDirectory(dir=jars.cache()) as unfinished:
                    shutil.copyfile(self.draft, Path(unfinished) / kept.name).replace(kept)
                for older in jars.cache().glob("classes-*.jsa"):
                    if older != kept:
                        older.unlink(missing_ok=True)
        with suppress(OSError):
            self.draft.unlink(missing_ok=True)

    @property
    def _name(self) -> str:
        """The same for the same java and the same jars only."""
        parts = [self.java.resolve(), *sorted(self.libraries.glob("*.jar"))]
        about = [(str(part), stat.st_size, stat.st_mtime_ns) for part in parts if (stat := part.stat())]
        return f"classes-{blake2b(repr(about).encode(), digest_size=8).hexdigest()}"

    def _sound(self) -> bool:
        """Whether Java takes the draft; it may crash of it."""
        strictly = ["-Xshare:on", f"-XX:SharedArchiveFile={self.draft}", "-XX:+SuppressFatalErrorMessage"]
        command = [str(self.java), *_FLAGS, "-XX:+UseSerialGC", *strictly, "-cp", f"{self.libraries}/*", "-version"]
        try:
            return subprocess.run(command, capture_output=True, timeout=_CHECK_SECONDS).returncode == 0
        except subprocess.SubprocessError:
            return False
