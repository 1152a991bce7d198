"""Providers that are spoken to over HTTP, as the development mailbox plays them.

Telegram: chats that end in 0001 have blocked the bot, in those that end in 0003 it is too fast once. Webhooks and what
else goes straight into the mailbox: addresses that contain `bounce` are gone.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from connectors.outbound.caught import Mailbox
from schemas.audiences import CATEGORY

_BLOCKED, _BUSY, _GONE = "0001", "0003", "bounce"


def played(mailbox: Mailbox) -> APIRouter:
    """The endpoints of the providers."""
    router = APIRouter(include_in_schema=False)
    numbers, slowed = count(1), set[str]()

    @router.post("/telegram/bot{token}/{method}")
    async def telegram(token: str, method: str, request: Request) -> Response:
        asked = await _json(request)
        if asked is None or method not in ("sendMessage", "sendPhoto"):
            return _telegram(404, "Not Found")
        chat = str(asked.get("chat_id", ""))
        if chat.endswith(_BLOCKED):
            return _telegram(403, "Forbidden: bot was blocked by the user")
        if chat.endswith(_BUSY) and chat not in slowed:
            slowed.add(chat)
            return _telegram(429, "Too Many Requests: retry after 1", {"retry_after": 1})
        markup = asked.get("reply_markup") or {}
        buttons = [button for row in markup.get("inline_keyboard", []) for button in row]
        text = str(asked.get("text") or asked.get("caption") or "")
        mailbox.keep_message("telegram", chat, text, parts={**asked, "buttons": buttons})
        return JSONResponse({"ok": True, "result": {"message_id": next(numbers), "chat": {"id": chat}, "text": text}})

    @router.post("/webhook/{channel}")
    async def webhook(channel: str, request: Request) -> Response:
        told = await _json(request)
        data = told.get("data") if told else None
        if not isinstance(data, dict):
            return JSONResponse({"error": "a message is expected"}, 400)
        content = data.get("content")
        content = content if isinstance(content, dict) else {}
        if told is not None and told.get("type") == CATEGORY:
            # no message, but a person who tries a project wants to see who joined what
            said = f"{data.get('action')} audience {data.get('audience')}"
            return _kept(mailbox, channel, {**data, "to": data.get("person_id"), "text": said})
        return _kept(mailbox, channel, {**data, "parts": content, "text": content.get("text", "")})

    @router.post("/caught/{channel}")
    async def caught(channel: str, request: Request) -> Response:
        message = await _json(request)
        if message is None:
            return JSONResponse({"error": "a message is expected"}, 400)
        return _kept(mailbox, channel, message)

    return router


async def _json(request: Request) -> dict[str, Any] | None:
    try:
        found = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _telegram(status: int, description: str, parameters: dict[str, Any] | None = None) -> Response:
    told: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    return JSONResponse({**told, "parameters": parameters} if parameters else told, status)


def _kept(mailbox: Mailbox, channel: str, message: dict[str, Any]) -> Response:
    to = str(message.get("to", ""))
    if _GONE in to:
        return JSONResponse({"error": "no such address"}, 410)
    parts = message.get("parts") if isinstance(message.get("parts"), dict) else {}
    send_id = str(message.get("send_id", ""))
    id_ = mailbox.keep_message(channel, to, str(message.get("text", "")), send_id=send_id, parts=parts or {})
    return JSONResponse({"id": id_}, 201)
