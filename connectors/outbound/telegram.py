"""Messages of a Telegram bot (Bot API, core.telegram.org/bots/api).

The API knows no idempotency key and its updates name no send, so a message in doubt goes by policy. What people do with
a message comes to the collector (`connectors.inbound.hooks.telegram`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import orjson
from pydantic import Field

from connectors.callbacks import callback
from connectors.links import Click, address
from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.http import Client, parts_of, text_of
from connectors.settings import ConnectorSettings
from schemas.records import SendCommand
from schemas.secret import secret_of
from schemas.settings import Settings

API = "https://api.telegram.org"
LONGEST_TEXT, LONGEST_CAPTION = 4096, 1024
#: what the bot of the mailbox is called
CATCHER_TOKEN = "1:mailbox"
#: it becomes part of a path, so nothing else may
_TOKEN = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")
#: beginnings of descriptions that mean that this chat takes nothing from us any more
_DEAD_CHAT = ("chat not found", "user not found", "peer_id_invalid", "chat_id is empty", "user is deactivated")


class TelegramSettings(ConnectorSettings, env_prefix="PATHLINE_TELEGRAM_"):
    """The bot."""

    token: str = Field("", description="Token of the bot, from @BotFather; empty: the mailbox.")
    api: str = Field(API, description="Base of the Bot API, for a server of one's own.")
    parse_mode: str = Field(
        "", pattern="^(HTML|MarkdownV2)?$", description="How texts are marked up; empty: not at all."
    )
    previews: bool = Field(True, description="Whether links are shown with a preview.")
    timeout: float = Field(10.0, gt=0, description="Seconds an answer may take.")


def connect(settings: Settings, channel: str) -> Telegram:
    """The bot of the settings, by default one of the mailbox. Raises ValueError for what is no token."""
    own = TelegramSettings.of(channel)
    if not own.token:
        own = own.model_copy(update={"token": CATCHER_TOKEN, "api": f"{settings.catcher}/telegram"})
    elif not _TOKEN.fullmatch(own.token):
        raise ValueError("PATHLINE_TELEGRAM_TOKEN: a token as @BotFather gives it, 123456:ABC-DEF..., expected")
    secret = cache(lambda: secret_of(settings))
    return Telegram(own, channel, secret, settings.public_url)


class Telegram:
    """A channel of Telegram messages."""

    noun = "Telegram"
    # "avoid sending more than one message per second" to a chat, "30 messages per second" in all (Bots FAQ)
    traits = Traits(rate=(30, 1_000), rate_per_recipient=(1, 1_000))

    def __init__(
        self,
        settings: TelegramSettings,
        name: str = "telegram",
        secret: Callable[[], bytes] = lambda: b"",
        public_url: str = "",
    ) -> None:
        self.name = name
        self._settings = settings
        self._secret = secret
        self._public_url = public_url
        self._client = Client(settings.timeout)

    async def hand_over(self, command: SendCommand) -> Outcome:
        """Give one message to the API; see `Channel`."""
        try:
            method, request = self._request(command)
        except ValueError as error:
            return Outcome("failed", str(error))
        url = f"{self._settings.api.rstrip('/')}/bot{self._settings.token}/{method}"
        answer = await self._client.post(url, orjson.dumps(request), {"Content-Type": "application/json"})
        return answer if isinstance(answer, Outcome) else _outcome(answer, command)

    def _request(self, command: SendCommand) -> tuple[str, dict[str, Any]]:
        """Method and parameters. Raises ValueError when the content can't be a message."""
        parts = parts_of(command)
        text, image = text_of(parts), parts.get("image")
        if parts.get("title"):
            text = f"{parts['title']}\n\n{text}"
        request: dict[str, Any] = {"chat_id": command.to}
        if self._settings.parse_mode:
            request["parse_mode"] = self._settings.parse_mode
        if keyboard := self._keyboard(parts, command):
            request["reply_markup"] = {"inline_keyboard": keyboard}
        if image and len(text) <= LONGEST_CAPTION:
            return "sendPhoto", {**request, "photo": image, "caption": text}
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"{len(text)} characters; at most {LONGEST_TEXT} are allowed")
        if image:
            # above its text, as a caption would have stood below it
            preview: dict[str, Any] = {"url": image, "show_above_text": True, "prefer_large_media": True}
        else:
            preview = {"is_disabled": not self._settings.previews}
        return "sendMessage", {**request, "text": text, "link_preview_options": preview}

    def _keyboard(self, parts: dict[str, Any], command: SendCommand) -> list[list[dict[str, str]]]:
        """One button a row: to a page, by a link that tells of it, or one that tells us `data`. Raises ValueError for
        one that does neither."""
        rows = []
        for button in parts.get("buttons") or ():
            text, url, data = (str(button.get(name) or "").strip() for name in ("text", "url", "data"))
            if not text or not (url or data):
                raise ValueError("a button has a text, and a url or data")
            if url:
                click = Click(command.send_id, command.identifier, command.channel, "Telegram Link Clicked", url)
                row = {"text": text, "url": address(self._public_url, self._secret(), click) or url}
            else:
                row = {"text": text, "callback_data": callback(command.send_id, data)}
            rows.append([row])
        return rows


def _outcome(answer: httpx.Response, command: SendCommand) -> Outcome:
    """What an answer of the API says (Making requests, ResponseParameters)."""
    try:
        told = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    if told.get("ok") is True:
        result = told.get("result")
        id_ = result.get("message_id", "") if isinstance(result, dict) else ""
        return Outcome("accepted", provider_id=f"{command.to}:{id_}" if id_ != "" else "")
    description = str(told.get("description") or answer.reason_phrase)
    said = f"{answer.status_code} {description}"[:500]
    parameters = told.get("parameters")
    if answer.status_code == 429:
        return Outcome("away", said, retry_after=_pause(parameters))
    if answer.status_code == 403:
        # blocked by the user, kicked, deactivated, or never started
        return Outcome("refused", said, bounce="hard")
    if answer.status_code == 400:
        meant = description.lower().removeprefix("bad request:").strip()
        return Outcome("refused", said, bounce="hard") if meant.startswith(_DEAD_CHAT) else Outcome("failed", said)
    if answer.status_code in (401, 404):
        return Outcome("away", f"the bot's token is refused: {said}")
    if answer.status_code == 504:
        return Outcome("ambiguous", said)
    return Outcome("away", said) if answer.status_code >= 500 else Outcome("failed", said)


def _pause(parameters: object) -> float:
    """Seconds for which the API wants to be left alone."""
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 1.0
