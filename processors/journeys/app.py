"""The Faust app of the journeys stage: `faust -A processors.journeys.app worker`."""

from __future__ import annotations

from functools import cache

from processors.journeys.step import JourneysStage
from processors.runtime.worker import faust_app
from schemas.secret import secret_of
from schemas.settings import Settings

settings = Settings()
app = faust_app(
    lambda source, codec: JourneysStage(
        source, codec, settings.speed, settings.partitions, cache(lambda: secret_of(settings))
    ),
    settings,
)
