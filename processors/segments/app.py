"""The Faust app of the segments stage: `faust -A processors.segments.app worker`."""

from __future__ import annotations

from processors.runtime.worker import faust_app
from processors.segments.step import SegmentsStage

app = faust_app(SegmentsStage)
