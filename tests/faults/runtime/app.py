"""The job as an app of its own process, by environment; also with a rule of exactly once left out."""

from __future__ import annotations

import os
from pathlib import Path

from processors.runtime.worker import faust_app
from tests.faults.runtime.job import Job
from tests.faults.runtime.naive import leave_out

leave_out(os.environ.get("JOB_LEAVES_OUT", ""))
app = faust_app(
    lambda source, codec: Job(os.environ["JOB"], int(os.environ["JOB_WAKE_AFTER"]), Path(os.environ["JOB_NAPPING"]))
)
