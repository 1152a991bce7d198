"""Clicks on links of messages, and openings, as receipts."""

from __future__ import annotations

import re
from base64 import b64decode
from uuid import NAMESPACE_URL, uuid5

import orjson

from connectors.inbound.segment import event_id
from connectors.links import Click, Opening
from schemas.identifiers import split
from schemas.records import Event

SOURCE = "collector:links"
#: a picture of one transparent point
PICTURE = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_NAMESPACE = uuid5(NAMESPACE_URL, "pathline:links")
#: programs that look at links and pictures before, or instead of, a person
_MACHINES = re.compile(
    r"bot\b|bot/|spider|crawler|scanner|preview|barracuda|mimecast|proofpoint|safelinks|urldefense|trendmicro", re.I
)
#: what Apple's mail privacy proxy calls itself: it fetches all pictures whether a mail is read or not
_PREFETCHING = "Mozilla/5.0"


def by_machine(method: str, agent: str) -> bool:
    """Whether a request was made by a program on its own: it only asks whether the link works (HEAD), tells no name, or
    is known to look at mails before people do."""
    return method == "HEAD" or agent.strip() in ("", _PREFETCHING) or _MACHINES.search(agent) is not None


def receipt(link: Click | Opening, at: int, machine: bool) -> Event:
    """The event at line time `at` (milliseconds UTC)."""
    url = link.url if isinstance(link, Click) else ""
    message_id = str(uuid5(_NAMESPACE, f"{link.send_id}:{link.receipt}:{url}:{at}"))
    properties: dict[str, object] = {"send_id": link.send_id, "channel": link.channel}
    properties["address"] = split(link.identifier)[1]
    if url:
        properties["url"] = url
    if machine:
        properties["machine"] = True
    return Event(
        message_id=message_id,
        event_id=event_id(SOURCE, message_id),
        type="track",
        name=link.receipt,
        channel=link.channel,
        identifiers=[link.identifier],
        occurred_at=at,
        received_at=at,
        source=SOURCE,
        send_id=link.send_id or None,
        properties=orjson.dumps(properties),
        traits=b"{}",
        context=b"{}",
    )
