"""How a worker ends when it can't go on: at once, with a code its supervisor understands."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from enum import IntEnum
from typing import NoReturn

import structlog

log = structlog.get_logger()


class Exit(IntEnum):
    """Exit codes, by sysexits.h where there is a fitting one."""

    DEAD_LETTERS = 65  # too much of the input can't be used: starting again does not help, look at the dead letters
    BROKEN = 70  # an error nobody expected: start again
    LOST = 75  # the partitions or the transactions now belong to another worker: start again
    SETUP = 78  # topics or settings are not as they must be: starting again does not help


class Stop(Exception):
    """The worker must end with this code; the message is for the person who runs it."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def leave(code: Exit, message: str, error: BaseException | None = None) -> NoReturn:
    """End the process without any clean-up.

    Whatever runs on (Faust's own shutdown included) could commit work that did not happen; an open transaction is
    aborted by the next start.
    """
    if error is not None:
        traceback.print_exception(error)
    log.error("worker stops", code=int(code), why=code.name.lower(), message=message)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
