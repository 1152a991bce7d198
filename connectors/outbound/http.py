"""Providers that are spoken to over HTTP: one client a process, and what its failures say about a message."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from connectors.outbound.channel import Outcome
from schemas.records import SendCommand

#: the request was not sent, or not whole
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
#: a provider is not left alone for longer than this, whatever it says; wall seconds
LONGEST_PAUSE = 3_600.0


class Client:
    """Posts to a provider. A client belongs to the event loop it was made on."""

    def __init__(self, seconds: float, connections: int = 50) -> None:
        self._seconds = seconds
        self._connections = connections
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> httpx.Response | Outcome:
        """The answer, or what became of the message when there is none: `away` when it was certainly not sent,
        `ambiguous` when it may have been."""
        try:
            return await self._here().post(url, content=content, headers=dict(headers))
        except _NOT_SENT as error:
            return Outcome("away", f"{httpx.URL(url).host} can't be reached: {_said(error)}")
        except httpx.HTTPError as error:
            return Outcome("ambiguous", f"no answer of {httpx.URL(url).host}: {_said(error)}")

    def _here(self) -> httpx.AsyncClient:
        if self._client is None or self._loop is not asyncio.get_running_loop():
            self._loop = asyncio.get_running_loop()
            limits = httpx.Limits(max_connections=self._connections, max_keepalive_connections=self._connections)
            # a redirect would take a message, and its signature, to somebody else
            self._client = httpx.AsyncClient(timeout=self._seconds, limits=limits, follow_redirects=False)
        return self._client


def retry_after(answer: httpx.Response) -> float:
    """Seconds of a Retry-After header, be it a number or a date (RFC 9110, 10.2.3); 0 without one."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), LONGEST_PAUSE)


def parts_of(command: SendCommand) -> dict[str, Any]:
    """The rendered parts of a message, `buttons` as a list. Raises ValueError when the content can't be a message."""
    try:
        parts = orjson.loads(command.content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"content is not JSON: {error}") from None
    if not isinstance(parts, dict):
        raise ValueError("content is not an object of rendered parts")
    buttons = parts.get("buttons")
    if isinstance(buttons, str):
        try:
            buttons = orjson.loads(buttons)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"buttons are not JSON: {error}") from None
    if buttons is not None:
        if not isinstance(buttons, list) or not all(isinstance(button, dict) for button in buttons):
            raise ValueError("buttons are a list of {text, url}")
        parts["buttons"] = buttons
    return parts


def text_of(parts: Mapping[str, Any]) -> str:
    """The text of a message. Raises ValueError when there is none."""
    text = parts.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("the template gave no text")
    return text.replace("\r\n", "\n").strip()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
