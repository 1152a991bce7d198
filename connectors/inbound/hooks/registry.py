"""Which webhooks there are: a new one is a file with its `connect` and one entry here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module

from connectors.inbound.hooks.base import Hook


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that calls. `channel` is what it tells of unless the call says another one."""

    name: str
    channel: str
    about: str


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("sendgrid", "email", "SendGrid: receipts of e-mail"),
        Provider("mailgun", "email", "Mailgun: receipts of e-mail"),
        Provider("ses", "email", "Amazon SES through SNS: receipts of e-mail"),
        Provider("telegram", "telegram", "Telegram: updates of a bot"),
        Provider("standard", "webhook", "your own service: receipts as Standard Webhooks"),
    )
}


@cache
def hook_of(provider: str, channel: str) -> Hook | None:
    """The hook of a provider for a channel; None when it is not set up. Raises ValueError for unusable settings."""
    module = import_module(f"connectors.inbound.hooks.{provider}")
    made: Hook | None = module.connect(channel)
    return made
