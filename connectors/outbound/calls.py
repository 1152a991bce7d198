"""Webhooks of journeys (step `call`): each goes to the URL that its step names, signed as Standard Webhooks are.

See `connectors.outbound.webhook` for the request and what answers mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from connectors.outbound.webhook import CATCHER_SECRET, Webhook, WebhookSettings
from schemas.receipts import noun_of
from schemas.services import CALLS
from schemas.settings import Settings

TYPE = "call"


class StepCallSettings(WebhookSettings, env_prefix="PATHLINE_STEP_CALL_"):
    """Those who are called."""

    url: str = Field("", description="Where all calls are posted instead of where they belong, to try them.")
    secret: str = Field("", description="Signs them, whsec_...; without it everything goes to the mailbox.")


def connect(settings: Settings, channel: str) -> Calls:
    """The webhooks of journeys, without a secret by the mailbox. Raises ValueError for a secret that is none."""
    own = StepCallSettings.of(channel)
    if not own.secret:
        own = own.model_copy(update={"url": f"{settings.catcher}/webhook/{channel}", "secret": CATCHER_SECRET})
    return Calls(own, channel)


class Calls(Webhook):
    """Posts to as many services as there are steps."""

    elsewhere = True

    def __init__(self, settings: StepCallSettings, name: str = CALLS) -> None:
        super().__init__(settings, name, noun=noun_of(CALLS), kind=TYPE)

    def target(self, content: Mapping[str, Any]) -> tuple[str, Mapping[str, str], Any]:
        """Where it goes, the headers that its step names, and what it says."""
        return self.url or content["url"], content["headers"], content["data"]
