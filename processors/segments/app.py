"""The Faust app of the segments stage: `faust -A processors.segments.app worker`."""

from __future__ import annotations

from processors.runtime.worker import faust_app
from processors.segments.past import KafkaPast
from processors.segments.step import SegmentsStage
from schemas.settings import Settings

settings = Settings()
app = faust_app(
    lambda source, codec: SegmentsStage(source, codec, KafkaPast(settings.brokers), settings.speed), settings
)
