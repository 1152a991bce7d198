"""Calls as tasks of a call centre: its software gets each as a signed webhook and tells the outcome the same way back.

See `connectors.outbound.webhook` for the request and `connectors.inbound.hooks.standard` for outcomes.
"""

from __future__ import annotations

from pydantic import Field

from connectors.outbound.webhook import CATCHER_SECRET, Webhook, WebhookSettings
from schemas.receipts import noun_of
from schemas.services import TASKS
from schemas.settings import Settings


class TaskSettings(WebhookSettings, env_prefix="PATHLINE_TASK_"):
    """The call centre."""

    url: str = Field("", description="Where tasks are posted; empty: the mailbox.")
    secret: str = Field("", description="Signs them, whsec_...; the call centre signs outcomes with it, too.")


def connect(settings: Settings, channel: str) -> Webhook:
    """The call centre of the settings, by default the mailbox. Raises ValueError for a URL without a secret."""
    own = TaskSettings.of(channel)
    if not own.url:
        own = own.model_copy(update={"url": f"{settings.catcher}/webhook/{channel}", "secret": CATCHER_SECRET})
    return Webhook(own, channel, noun=noun_of(TASKS if channel == TASKS else "call"), kind="task")
