"""Which connectors there are: a new one is a file with its channel and one entry here.

A channel of the project uses the connector that channels.yaml names, else the one that is usual for a channel of its
name. Other packages register theirs as entry points of the group `pathline.connectors`, each a `Connector`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from schemas.definitions.model import INBOX, INBOXES, Project
from schemas.definitions.model import Channel as Written
from schemas.definitions.steps import sends, services
from schemas.services import CALLS, TASKS

if TYPE_CHECKING:
    from connectors.outbound.channel import Channel
    from schemas.settings import Settings

GROUP = "pathline.connectors"


@dataclass(frozen=True, slots=True)
class Connector:
    """A way to deliver.

    `make` is `package.module:function`: (Settings, channel name) -> `Channel`, imported by the process that needs it.
    `command` is the `pathline` command that serves a channel, with the channel and `--lane` behind it. `channels` are
    the names whose channels use it when channels.yaml names none. `provider` are settings (environment variables) any
    of which says where the provider is; while none is set the development mailbox plays it. Without any it needs none.
    """

    name: str
    about: str
    make: str
    channels: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    command: str = "dispatch"

    @property
    def played(self) -> bool:
        """Whether the development mailbox has to play the provider, by the settings of this process."""
        return bool(self.provider) and not any(os.environ.get(name) for name in self.provider)


CONNECTORS = (
    Connector(
        "smtp",
        "e-mail by an SMTP server",
        "connectors.outbound.email:connect",
        channels=("email",),
        provider=("PATHLINE_SMTP",),
    ),
    Connector(INBOX, "an inbox that people read themselves", "connectors.outbound.inbox:connect", channels=INBOXES),
    Connector(
        "smpp",
        "SMS by a message centre, over SMPP 3.4",
        "connectors.outbound.sms:connect",
        channels=("sms",),
        provider=("PATHLINE_SMPP_URL",),
    ),
    Connector(
        "telegram",
        "messages of a Telegram bot",
        "connectors.outbound.telegram:connect",
        channels=("telegram",),
        provider=("PATHLINE_TELEGRAM_TOKEN",),
    ),
    Connector(
        "webpush",
        "notifications in browsers, by Web Push",
        "connectors.outbound.webpush:connect",
        channels=("web_push",),
        provider=("PATHLINE_WEBPUSH_SUBJECT",),
    ),
    Connector(
        "webhook",
        "signed webhooks to a service of one's own",
        "connectors.outbound.webhook:connect",
        channels=("webhook",),
        provider=("PATHLINE_WEBHOOK_URL",),
    ),
    Connector(
        "task",
        "tasks of a call centre",
        "connectors.outbound.task:connect",
        channels=("call", TASKS),
        provider=("PATHLINE_TASK_URL",),
    ),
    Connector(
        CALLS,
        "webhooks that journeys call",
        "connectors.outbound.calls:connect",
        channels=(CALLS,),
        provider=("PATHLINE_STEP_CALL_SECRET",),
    ),
)


@cache
def connectors() -> dict[str, Connector]:
    """All connectors by name, those of other packages too."""
    others = tuple(entry.load() for entry in entry_points(group=GROUP))
    return {connector.name: connector for connector in (*CONNECTORS, *others)}


def connector_of(channel: Written) -> str:
    """Name of a channel's connector; "" when it has none. It may name one that is not here."""
    return channel.connector or usual(channel.name)


def usual(channel: str) -> str:
    """The connector of a channel of this name when channels.yaml names none; "" when there is none."""
    return next((connector.name for connector in connectors().values() if channel in connector.channels), "")


def served(project: Project) -> dict[str, Connector]:
    """The channels that a line of this project sends over, with their connectors: those that name one, and those that
    a journey uses and that have a usual one. Services that journeys ask something of are among them."""
    wanted = {*_used(project), *(name for name, channel in project.channels.items() if channel.connector)}
    sending = (project.channels[name] for name in sorted(wanted) if project.channels[name].kind != "session")
    found = {channel.name: connectors().get(connector_of(channel)) for channel in sending}
    found |= {service: connectors()[usual(service)] for service in services(project)}
    return {name: connector for name, connector in found.items() if connector is not None}


def unserved(project: Project) -> list[str]:
    """What is to be said about channels that a journey uses and nobody here sends over."""
    missing = sorted(_used(project) - served(project).keys())
    lacks = ((name, project.channels[name].connector) for name in missing)
    return [
        f"channel {name} has {f'an unknown connector {written}' if written else 'no connector'}:"
        f" in a running line its messages wait in outbound.{name}"
        for name, written in lacks
    ]


def _used(project: Project) -> set[str]:
    """The channels that some journey may send over."""
    sending = [name for name, channel in project.channels.items() if channel.kind == "send"]
    return {name for send in sends(project) for name in send.channels or sending if name in project.channels}


def make(connector: str, settings: Settings, channel: str) -> Channel:
    """The channel, ready to send. Raises ValueError for a connector that is not here, and for unusable settings."""
    known = connectors().get(connector)
    if known is None:
        lacks = f"there is no connector {connector!r}" if connector else f"channel {channel!r} has no usual connector"
        raise ValueError(f"{lacks}: --connector {'|'.join(sorted(connectors()))}")
    module, _, function = known.make.partition(":")
    made: Channel = getattr(import_module(module), function)(settings, channel)
    return made
