"""The line that the person at the command line means."""

from __future__ import annotations

import os

from pathline.local.home import Home, Line
from schemas.settings import Settings


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
