"""The Faust app of a processor, as run by `faust -A processors.identity.app worker` and `pathline process identity`."""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faust

from processors.runtime.contract import Stage
from processors.runtime.definitions import DefinitionsSource
from processors.runtime.engine import Engine
from processors.runtime.metrics import Metrics
from processors.runtime.published import PublishedDefinitions
from processors.runtime.shell import SCHEME, LineApp, NoTables, Untouched
from processors.runtime.web import Web
from schemas.codec import Codec
from schemas.registry import codec_for
from schemas.settings import Settings

#: Makes the stage of an app. The project is not there yet: it may be asked for in turns only.
StageFactory = Callable[[DefinitionsSource, Codec], Stage]


def faust_app(stage_factory: StageFactory, settings: Settings | None = None, codec: Codec | None = None) -> LineApp:
    """The Faust app around a stage. Nothing is connected before the worker starts.

    Settings are those of the environment unless given, the codec is that of the settings.
    """
    settings = settings or Settings()
    codec = codec or codec_for(settings)
    stage = stage_factory(PublishedDefinitions(settings.brokers, codec), codec)
    app = LineApp(
        stage.app,
        broker=";".join(f"{SCHEME}://{each.strip()}" for each in settings.brokers.split(",")),
        TableManager=NoTables,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    metrics = Metrics(stage.app)
    app.stage = stage
    app.engine = Engine(stage, settings, settings.make_clock(), metrics)
    app.web_endpoint = Web(metrics, settings.web_host, settings.web_port)

    @app.agent(app.topic(*stage.inputs, schema=Untouched(), acks=False), name=f"{stage.app}.step")
    async def step(batches: faust.StreamT[Any]) -> None:
        """Every batch of the engine, in order; done when its transaction is committed."""
        async for batch, done in batches:
            await app.consumer.process(batch)
            done.set_result(None)

    return app


def run(app: LineApp, loglevel: str = "INFO") -> None:
    """Run the worker of an app until it is told to stop, as `faust worker` does. Does not return."""
    app.finalize()
    worker = faust.Worker(app, loglevel=loglevel)
    worker.execute_from_commandline()
