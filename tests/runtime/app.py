"""A test stage as an app of its own process; topics by environment, so that tests don't share any."""

from __future__ import annotations

import os

from processors.runtime.contract import Stage
from processors.runtime.worker import faust_app
from tests.runtime.calling import CallingStage
from tests.runtime.counting import CountingStage


def stage() -> Stage:
    name = os.environ.get("COUNTING", "counting")
    source, out = f"{name}.in", f"{name}.out"
    if "CALLING_NOTES" in os.environ:
        return CallingStage(source, out, name)
    return CountingStage(source, out, name, int(os.environ.get("COUNTING_WAKE_AFTER", "0")))


app = faust_app(lambda source, codec: stage())
