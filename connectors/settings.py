"""Settings of connectors, from the environment of the processes that use them."""

from __future__ import annotations

import re
from typing import Self

from pydantic_settings import BaseSettings, SettingsConfigDict


class ConnectorSettings(BaseSettings):
    """Settings of a connector. A channel with a name of its own may have its own ones: `PATHLINE_<CHANNEL>_...`."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    @classmethod
    def of(cls, channel: str) -> Self:
        """Those of a channel, else those of the connector. Raises ValueError."""
        prefix = f"PATHLINE_{re.sub(r'[^A-Z0-9]', '_', channel.upper())}_"
        own = cls(_env_prefix=prefix).model_dump(exclude_unset=True)
        return cls(**own)
