"""The Faust app of dispatch: one channel and lane a process, PATHLINE_CHANNEL, PATHLINE_CONNECTOR and PATHLINE_LANE."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from connectors.outbound.channel import Channel, Listening
from connectors.outbound.dispatch import DispatchStage
from connectors.outbound.listening import listen
from connectors.outbound.registry import make, usual
from processors.runtime.definitions import DefinitionsSource
from processors.runtime.shell import LineApp
from processors.runtime.worker import faust_app
from schemas.codec import Codec
from schemas.settings import Settings


class DispatchSettings(BaseSettings):
    """Which messages a dispatch process sends."""

    model_config = SettingsConfigDict(env_prefix="PATHLINE_", extra="ignore", frozen=True)

    channel: str = Field("email", description="Channel that is sent for.")
    connector: str = Field("", description="Its connector; empty: the usual one of a channel of this name.")
    lane: str = Field("marketing", pattern="^(marketing|transactional)$", description="marketing or transactional.")
    at_once: int = Field(20, ge=1, description="Most messages of a partition at the provider at a time.")


def stage_factory(
    settings: Settings, which: DispatchSettings, channel: Channel
) -> Callable[[DefinitionsSource, Codec], DispatchStage]:
    """Makes the stage of a channel and lane."""
    wall_second = settings.make_clock().wall_seconds(1_000)

    def stage(definitions: DefinitionsSource, codec: Codec) -> DispatchStage:
        return DispatchStage(
            definitions,
            codec,
            channel,
            transactional=which.lane == "transactional",
            pace=1 / wall_second,
            at_once=which.at_once,
            partitions=settings.partitions,
        )

    return stage


def _app() -> LineApp:
    """The app of this process. Raises ValueError for a channel without connector."""
    settings, which = Settings(), DispatchSettings()
    channel = make(which.connector or usual(which.channel), settings, which.channel)
    made = faust_app(stage_factory(settings, which, channel), settings)
    if isinstance(channel, Listening):
        # both lanes are connected, so both have to take what comes
        made.task(lambda: listen(channel, settings))
    return made


app = _app()
