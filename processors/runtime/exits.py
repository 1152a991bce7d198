"""How a worker ends when it can't go on: at once, with a code its supervisor understands."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

import structlog

log = structlog.get_logger()

#: environment variable with the file that takes the reason of an end, as Kubernetes' terminationMessagePath
LAST_WORDS = "PATHLINE_LAST_WORDS"
_NO_ROOM = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class Exit(IntEnum):
    """Exit codes, by sysexits.h where there is a fitting one."""

    DEAD_LETTERS = 65  # too much of the input can't be used: starting again does not help, look at the dead letters
    BROKEN = 70  # an error nobody expected: start again
    DISK = 74  # no room for state on the disk: start again, it goes on once there is some
    LOST = 75  # the partitions or the transactions now belong to another worker: start again
    STATE = 76  # what the changelog has under a key is no state: starting again does not help, put it right
    SETUP = 78  # topics or settings are not as they must be: starting again does not help


#: who ends with one of these would do so again
HOPELESS = frozenset({Exit.DEAD_LETTERS, Exit.STATE, Exit.SETUP})


class Stop(Exception):
    """The worker must end with this code; the message is for the person who runs it."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def no_room(error: BaseException) -> bool:
    """Whether an error of the system or of RocksDB, which has text only, says that a disk is full."""
    return any(text in str(error) for text in _NO_ROOM)


def leave(code: Exit, message: str, error: BaseException | None = None) -> NoReturn:
    """End the process without any clean-up.

    Whatever runs on (Faust's own shutdown included) could commit work that did not happen; an open transaction is
    aborted by the next start.
    """
    # at the end of a disk there is no room for words either, and the end must come all the same
    if error is not None:
        with contextlib.suppress(OSError):
            traceback.print_exception(error)
    if file := os.environ.get(LAST_WORDS):
        with contextlib.suppress(OSError):
            Path(file).write_text(message, "utf-8")
    with contextlib.suppress(OSError):
        log.error("worker stops", code=int(code), why=code.name.lower(), message=message)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
