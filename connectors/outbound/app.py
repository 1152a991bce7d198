"""The Faust app of dispatch: one channel and lane a process, PATHLINE_CHANNEL and PATHLINE_LANE."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from connectors.outbound.channel import Channel
from connectors.outbound.dispatch import DispatchStage
from connectors.outbound.email import Email
from connectors.outbound.settings import SmtpSettings, server_of
from connectors.unsubscribe import secret_of
from processors.runtime.definitions import DefinitionsSource
from processors.runtime.worker import faust_app
from schemas.codec import Codec
from schemas.settings import Settings

#: where `pathline mailbox` listens when nothing else is said
MAIL_CATCHER = "smtp://127.0.0.1:2525"


class DispatchSettings(BaseSettings):
    """Which messages a dispatch process sends."""

    model_config = SettingsConfigDict(env_prefix="PATHLINE_", extra="ignore", frozen=True)

    channel: str = Field("email", description="Channel that is sent for.")
    lane: str = Field("marketing", pattern="^(marketing|transactional)$", description="marketing or transactional.")
    at_once: int = Field(20, ge=1, description="Most messages of a partition at the provider at a time.")


def email(settings: Settings) -> Channel:
    """E-mail by the SMTP server of the settings, by default the mail catcher. Raises ValueError for a wrong URL."""
    # the secret may be a file: importing this module makes none
    secret = cache(lambda: secret_of(settings))
    return Email(server_of(settings.smtp or MAIL_CATCHER), SmtpSettings(), secret, settings.public_url)


#: a new channel is one file and one line here
CHANNELS: dict[str, Callable[[Settings], Channel]] = {"email": email}


def stage_factory(settings: Settings, which: DispatchSettings) -> Callable[[DefinitionsSource, Codec], DispatchStage]:
    """Makes the stage of a channel and lane. Raises ValueError for a channel without connector."""
    if which.channel not in CHANNELS:
        raise ValueError(f"channel {which.channel!r} has no connector; there are {', '.join(CHANNELS)}")
    channel = CHANNELS[which.channel](settings)
    wall_second = settings.make_clock().wall_seconds(1_000)

    def make(definitions: DefinitionsSource, codec: Codec) -> DispatchStage:
        return DispatchStage(
            definitions,
            codec,
            channel,
            transactional=which.lane == "transactional",
            pace=1 / wall_second,
            at_once=which.at_once,
        )

    return make


_settings = Settings()
app = faust_app(stage_factory(_settings, DispatchSettings()), _settings)
