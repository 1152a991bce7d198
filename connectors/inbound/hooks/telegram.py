"""Updates of a Telegram bot: what people write to it, press, and that they block it.

The proof is the secret_token given to setWebhook. docs: core.telegram.org/bots/api (Update, setWebhook)
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import Field

from connectors.callbacks import called_back
from connectors.inbound.hooks.base import Call, Heard, Hook, json_of, mapping, milliseconds, same, text
from connectors.receipts import Incoming
from connectors.settings import ConnectorSettings

_HEADER = "x-telegram-bot-api-secret-token"
_GONE = frozenset({"kicked", "left"})
_STOP = frozenset({"/stop", "/unsubscribe"})


class TelegramHookSettings(ConnectorSettings, env_prefix="PATHLINE_TELEGRAM_"):
    """The updates of the bot."""

    webhook_secret: str = Field("", description="The secret_token given to setWebhook.")


def connect(channel: str) -> Hook | None:
    """The hook; None when it is not set up."""
    own = TelegramHookSettings.of(channel)
    return TelegramHook(own.webhook_secret, channel) if own.webhook_secret else None


class TelegramHook:
    """What comes back from the chats of a bot."""

    def __init__(self, secret: str, channel: str = "telegram") -> None:
        self._secret = secret
        self._channel = channel

    async def hear(self, call: Call) -> Heard:
        same(call.headers.get(_HEADER, ""), self._secret)
        update = mapping(json_of(call.body))
        key = f"update:{text(update.get('update_id'))}"
        if pressed := mapping(update.get("callback_query")):
            # the answer to the call stops the clock that the button shows
            done = orjson.dumps({"method": "answerCallbackQuery", "callback_query_id": text(pressed.get("id"))})
            return Heard(_pressed(pressed, key), done, "application/json")
        if member := mapping(update.get("my_chat_member")):
            return Heard(self._member(member, key))
        return Heard(self._message(mapping(update.get("message")), key))

    def _message(self, message: dict[str, Any], key: str) -> list[Incoming]:
        chat, sender = mapping(message.get("chat")), mapping(message.get("from"))
        written = text(message.get("text")) or text(message.get("caption"))
        contact = mapping(message.get("contact"))
        if not chat or (chat.get("type") or "private") != "private":
            return []
        about = {"chat": text(chat.get("id")), "at": milliseconds(message.get("date"))}
        if written.split(" ")[0] == "/start":
            start = written.partition(" ")[2].strip()
            # who starts a bot asks for its messages
            return [_told(key, "Telegram Started", about, _who(sender, start=start), consent={self._channel: True})]
        replied = _told(key, "Telegram Replied", about, _who(sender, text=written))
        if written.strip().lower() in _STOP:
            return [replied, _told(f"{key}:stop", "Unsubscribed", about, {})]
        if contact and contact.get("user_id") == sender.get("id"):
            # the button for it sends one's own number, and Telegram says so
            number = "+" + text(contact.get("phone_number")).lstrip("+")
            return [_told(key, "Telegram Replied", about, _who(sender), identifiers=(("phone", number),))]
        return [replied]

    def _member(self, member: dict[str, Any], key: str) -> list[Incoming]:
        chat = mapping(member.get("chat"))
        if chat.get("type") != "private":
            return []
        status = text(mapping(member.get("new_chat_member")).get("status"))
        about = {"chat": text(chat.get("id")), "at": milliseconds(member.get("date"))}
        if status in _GONE:
            return [_told(key, "Telegram Bounced", about, {"bounce_type": "hard", "reason": "blocked by the user"})]
        return [_told(key, "Telegram Started", about, _who(mapping(member.get("from"))), consent={self._channel: True})]


def _pressed(pressed: dict[str, Any], key: str) -> list[Incoming]:
    send_id, data = called_back(text(pressed.get("data")))
    message = mapping(pressed.get("message"))
    chat = text(mapping(message.get("chat")).get("id")) or text(mapping(pressed.get("from")).get("id"))
    return [
        Incoming(
            key=key,
            name="Telegram Link Clicked",
            address=chat,
            send_id=send_id,
            properties={"data": data, **_who(mapping(pressed.get("from")))},
        )
    ]


def _told(
    key: str,
    name: str,
    about: dict[str, Any],
    properties: dict[str, Any],
    consent: dict[str, bool] | None = None,
    identifiers: tuple[tuple[str, str], ...] = (),
) -> Incoming:
    return Incoming(
        key=key,
        name=name,
        address=about["chat"],
        at=about["at"],
        properties=properties,
        consent=consent or {},
        identifiers=identifiers,
    )


def _who(sender: dict[str, Any], **more: str) -> dict[str, Any]:
    """What is known of who wrote, and of what."""
    named = {"username": sender.get("username"), "language": sender.get("language_code"), **more}
    return {name: value for name, value in named.items() if value}
