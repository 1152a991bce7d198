"""The line that the person at the command line means."""

from __future__ import annotations

import os
import socket
import sys
import time

from pathline.errors import UserError
from pathline.local.home import Home, Line
from schemas.settings import Settings
from schemas.waiting import wait_for_broker

CONNECT_SECONDS = 3.0


def home() -> Home:
    """The home of the line: PATHLINE_HOME, by default ./.pathline."""
    return Home(Settings().home)


def running_line() -> Line | None:
    """The line that runs in the home on this machine, None when there is none."""
    here = home()
    return here.line() if here.held() else None


def settings() -> Settings:
    """Settings for a client of the line: the environment's, completed by those of the line that runs here."""
    line = running_line()
    if line is None:
        return Settings()
    unset = {name: value for name, value in line.settings.items() if f"PATHLINE_{name.upper()}" not in os.environ}
    return Settings.model_validate(Settings().model_dump() | unset)


def kafka_settings() -> Settings:
    """The same for a client that needs Kafka; waits for it, and says so.

    Raises UserError when nobody answers and nobody said that there is a Kafka: no line runs here, none is named.
    """
    chosen = settings()
    if running_line() is None and "PATHLINE_BROKERS" not in os.environ and not _listens(chosen.brokers):
        raise UserError(
            f"No Kafka answers at {chosen.brokers}: start a line in {home().path} with `pathline up`, or set "
            "PATHLINE_BROKERS (and PATHLINE_HOME) to the line you mean."
        )
    wait_for_broker(chosen.brokers, time.sleep, lambda why: print(why, file=sys.stderr, flush=True))
    return chosen


def _listens(brokers: str) -> bool:
    for server in brokers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        except (OSError, ValueError):
            continue
        return True
    return False
