"""The Faust app of the journeys stage: `faust -A processors.journeys.app worker`."""

from __future__ import annotations

from processors.journeys.step import JourneysStage
from processors.runtime.worker import faust_app

app = faust_app(JourneysStage)
