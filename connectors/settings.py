"""Settings of connectors, from the environment of the processes that use them."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Self
from urllib.parse import SplitResult, urlsplit

from pydantic_settings import BaseSettings, SettingsConfigDict


def address(url: str, schemes: Collection[str], setting: str, form: str) -> SplitResult:
    """The parts of a URL with one of these schemes and a host. Raises ValueError, which names the setting and says what
    form is expected."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{setting}: {error}; {form} expected") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{setting}: {form} expected")
    return parts


class ConnectorSettings(BaseSettings):
    """Settings of a connector. A channel with a name of its own may have its own ones: `PATHLINE_<CHANNEL>_...`."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    @classmethod
    def of(cls, channel: str) -> Self:
        """Those of a channel, else those of the connector. Raises ValueError."""
        prefix = f"PATHLINE_{re.sub(r'[^A-Z0-9]', '_', channel.upper())}_"
        own = cls(_env_prefix=prefix).model_dump(exclude_unset=True)
        return cls(**own)
