"""The counting stage as an app of its own process; topics by environment, so that tests don't share any."""

from __future__ import annotations

import os

from processors.runtime.worker import faust_app
from tests.runtime.counting import CountingStage

_name = os.environ.get("COUNTING", "counting")
app = faust_app(
    lambda source, codec: CountingStage(
        f"{_name}.in", f"{_name}.out", _name, int(os.environ.get("COUNTING_WAKE_AFTER", "0"))
    )
)
