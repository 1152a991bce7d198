"""The page and the one-click answer behind the unsubscribe links of messages (RFC 8058)."""

from __future__ import annotations

import html
from uuid import NAMESPACE_URL, uuid5

import orjson

from connectors.inbound.segment import event_id
from connectors.links import Choice
from schemas.identifiers import split
from schemas.records import Event

SOURCE = "collector:unsubscribe"
_NAMESPACE = uuid5(NAMESPACE_URL, "pathline:unsubscribe")

_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Unsubscribe</title><style>body{{font:16px/1.5 sans-serif;max-width:30em;margin:4em auto;padding:0 1em}}</style>
<h1>{title}</h1>{body}"""


def asking(choice: Choice) -> str:
    """A page with a button: mail scanners open links, so opening one must not unsubscribe anybody."""
    body = f'<p>{_what(choice)}</p><form method="post"><button>Unsubscribe</button></form>'
    return _PAGE.format(title="Unsubscribe?", body=body)


def done(choice: Choice) -> str:
    """The page after it."""
    return _PAGE.format(title="Unsubscribed", body=f"<p>{_what(choice)} will not be sent any more.</p>")


def broken() -> str:
    """The page of a link that was not written by this line."""
    return _PAGE.format(title="This link does not work", body="<p>It may have been cut off on its way.</p>")


def event(choice: Choice, at: int) -> Event:
    """The choice as an event at line time `at` (milliseconds UTC)."""
    message_id = str(uuid5(_NAMESPACE, f"{choice.send_id}:{choice.purpose}:{at}"))
    address = split(choice.identifier)[1]
    properties = {"send_id": choice.send_id, "channel": choice.channel, "address": address}
    if choice.purpose:
        properties["purpose"] = choice.purpose
    return Event(
        message_id=message_id,
        event_id=event_id(SOURCE, message_id),
        type="track",
        name="Unsubscribed",
        channel=choice.channel,
        identifiers=[choice.identifier],
        occurred_at=at,
        received_at=at,
        source=SOURCE,
        send_id=choice.send_id or None,
        properties=orjson.dumps(properties),
        traits=b"{}",
        context=b"{}",
    )


def _what(choice: Choice) -> str:
    kind = f"{choice.purpose} messages" if choice.purpose else "Messages"
    return html.escape(f"{kind} by {choice.channel} to {split(choice.identifier)[1]}")
