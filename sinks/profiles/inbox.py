"""`/v1/inbox`: a person's own app reads the messages that wait there and says what was done with them.

What it says becomes receipts, ordinary events of the line: they count for journeys and segments, stand in the timeline,
and a message that was seen is not taken back any more.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec
import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from schemas.definitions.expressions import iso
from schemas.receipts import INBOX_NOUN
from schemas.records import Event, SendCommand
from sinks.profiles import kept
from sinks.profiles.access import Reader, Refused
from sinks.profiles.asking import meant
from sinks.profiles.described import Inbox, Issued, Reported, Reports, TokenFor, answers
from sinks.profiles.entering import publish
from sinks.profiles.keys import PERSON_ID
from sinks.profiles.messages import Message
from sinks.profiles.parts import AUTH, RETRY_SECONDS, Parts
from sinks.profiles.people import Nobody

Done = Literal["seen", "clicked", "dismissed"]
#: what was done with a message -> the receipt
_RECEIPTS: dict[Done, str] = {"seen": "Opened", "clicked": "Link Clicked", "dismissed": "Dismissed"}
_NAMESPACE = uuid5(NAMESPACE_URL, "pathline:inbox")
_MESSAGES = 20
_MOST_MESSAGES = 100


def router(parts: Parts) -> APIRouter:
    """The calls."""
    calls = APIRouter(prefix="/v1", tags=["inbox"])

    @calls.post(
        "/inbox/tokens",
        summary="A token for a person's own app",
        status_code=201,
        response_model=Issued,
        responses=answers(400, 401, 403, 429, 503),
        openapi_extra={"security": AUTH},
    )
    async def issue(request: Request, asked: TokenFor) -> Response:
        """For the server of a shop, which knows who is logged in. The token opens the inbox of that person and nothing
        else; it ends with the key that asked for it."""
        caller = parts.gate.caller(request)
        if not caller.key.inbox:
            raise Refused(403, "inbox", f"the key {caller.key.name!r} may not open inboxes")
        type, identifier = meant(parts, asked.who)
        if type == PERSON_ID:
            raise Refused(400, "identifier", "an identifier expected, not a person id: who is logged in")
        text, token = parts.gate.tokens.issue(identifier, caller.key.id, asked.seconds)
        until = datetime.fromtimestamp(token.until, UTC).isoformat().replace("+00:00", "Z")
        return JSONResponse(Issued(token=text, expires_at=until).model_dump(), 201)

    @calls.get(
        "/inbox",
        summary="Messages to read, the newest first",
        response_model=Inbox,
        responses=answers(400, 401, 403, 410, 429, 503),
        openapi_extra={"security": AUTH},
    )
    async def read(
        request: Request,
        limit: Annotated[int, Query(ge=0, le=_MOST_MESSAGES, description="0: only how many are unseen.")] = _MESSAGES,
        after: Annotated[str, Query(max_length=200, description="`next` of the answer before.")] = "",
        unseen: Annotated[bool, Query(description="Only those not seen yet.")] = False,
    ) -> Response:
        """With the token of a person. Messages that were dismissed, taken back by their journey, or have left by
        themselves are not there."""
        there = _messages(parts, parts.gate.reader(request))
        shown = [message for message in there if not (unseen and message.seen)]
        if after:
            place = _place(after)
            shown = [message for message in shown if message.place < place]
        page = shown[:limit]
        answer = {
            "as_of": iso(parts.as_of()),
            "unseen": sum(not message.seen for message in there),
            "messages": [_told(message) for message in page],
            "next": _cursor(page[-1]) if page and len(shown) > limit else None,
        }
        return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})

    @calls.post(
        "/inbox/{done}",
        summary="Say what was done with messages",
        status_code=202,
        response_model=Reported,
        responses=answers(400, 401, 403, 404, 410, 429, 503),
        openapi_extra={"security": AUTH},
    )
    async def report(request: Request, done: Done, reports: Reports) -> Response:
        """`seen`: the person looked at them; `clicked`: followed a link (`url`); `dismissed`: wants to see them no
        more. Said again it is the same."""
        reader = parts.gate.reader(request)
        there = {message.command.send_id: message for message in _messages(parts, reader)}
        if strange := [id for id in reports.ids if id not in there]:
            raise Refused(404, "unknown", f"no such message in this inbox: {', '.join(strange)}")
        commands = [there[id].command for id in dict.fromkeys(reports.ids)]
        now = parts.clock.now()
        await publish(parts, *(_receipt(command, done, reports.url, now) for command in commands))
        # what comes back by the line a moment later is known here at once, so that the next answer shows it
        parts.note({kept.flag_key(command.send_id, done): now.to_bytes(8) for command in commands})
        return JSONResponse(Reported(accepted=len(commands)).model_dump(), 202)

    return calls


def _messages(parts: Parts, reader: Reader) -> list[Message]:
    """The inbox of whoever has the token. Raises Refused."""
    if not parts.complete():
        raise Refused(503, "restoring", "not all was read yet", RETRY_SECONDS)
    person = parts.people.by_identifier(reader.identifier)
    if isinstance(person, Nobody):
        if person.why == "erased":
            raise Refused(410, "erased", "who this was is forgotten")
        return []
    return person.inbox(parts.clock.now())


def _told(message: Message) -> dict[str, object]:
    command = message.command
    return {
        "id": command.send_id,
        "channel": command.channel,
        "at": iso(command.at),
        "expires_at": iso(message.leaves),
        "seen": message.seen,
        "clicked": "clicked" in message.done,
        "content": orjson.loads(command.content),
    }


def _cursor(message: Message) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(message.place)).rstrip(b"=").decode()


def _place(cursor: str) -> tuple[int, str]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=tuple[int, str])
    except (ValueError, msgspec.DecodeError):
        raise Refused(400, "after", "after: `next` of an answer before expected") from None


def _receipt(command: SendCommand, done: Done, url: str | None, at: int) -> Event:
    """What was done with a message, as a receipt; the same for the same report."""
    properties = {
        "send_id": command.send_id,
        "channel": command.channel,
        "address": command.to,
        "journey": command.journey,
        "step": command.step,
        "template": command.template,
    } | ({"url": url} if url else {})
    message_id = f"{command.send_id}:{done}{f':{url}' if url else ''}"
    return Event(
        message_id=message_id,
        event_id=str(uuid5(_NAMESPACE, message_id)),
        type="track",
        name=f"{INBOX_NOUN} {_RECEIPTS[done]}",
        channel=command.channel,
        identifiers=[command.identifier],
        occurred_at=at,
        received_at=at,
        source=f"inbox:{command.channel}",
        send_id=command.send_id,
        properties=orjson.dumps(properties),
        traits=b"{}",
        context=b"{}",
    )
