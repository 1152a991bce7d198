"""What the development mailbox keeps: each message one file in a folder, numbered in the order in which they came.

E-mail is the .eml that was received, messages of other channels are JSON.
"""

from __future__ import annotations

import email
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import format_datetime, getaddresses
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import orjson
from pydantic import BaseModel

EML, JSON = ".eml", ".json"


class Caught(BaseModel):
    """One message that came in. `parts` is what a channel other than e-mail was given."""

    id: str
    channel: str = "email"
    sender: str = ""
    to: list[str]
    subject: str = ""
    date: str = ""
    send_id: str = ""
    headers: dict[str, str] = {}
    text: str = ""
    html: str = ""
    parts: dict[str, Any] = {}


class Mailbox:
    """Messages in a folder; safe for threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = Lock()
        self._last = max((int(path.stem) for path in self._files() if path.stem.isdigit()), default=0)

    def keep(self, data: bytes) -> str:
        """Store an e-mail; its id."""
        return self._write(data, EML)

    def keep_message(
        self, channel: str, to: str, text: str, *, sender: str = "", send_id: str = "", parts: Mapping[str, Any] = {}
    ) -> str:
        """Store a message of another channel; its id."""
        message = {
            "channel": channel,
            "sender": sender,
            "to": [to],
            "subject": str(parts.get("title") or ""),
            "date": format_datetime(datetime.now(UTC)),
            "send_id": send_id,
            "text": text,
            "parts": dict(parts),
        }
        return self._write(orjson.dumps(message), JSON)

    def ids(self) -> list[str]:
        """All ids, oldest first."""
        return sorted(path.stem for path in self._files())

    def raw(self, id: str) -> bytes:
        """The message as it came. Raises KeyError."""
        for path in self._files():
            if path.stem == id:
                return path.read_bytes()
        raise KeyError(id)

    def show(self, id: str) -> Caught:
        """The message, taken apart. Raises KeyError."""
        return _parsed(self._folder, id)

    def clear(self) -> None:
        """Throw everything away."""
        for path in self._files():
            path.unlink()
        _parsed.cache_clear()

    def _files(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.suffix in (EML, JSON)]

    def _write(self, data: bytes, suffix: str) -> str:
        with self._lock:
            self._last += 1
            name = f"{self._last:08d}"
        draft = self._folder / f"{name}.part"
        draft.write_bytes(data)
        os.replace(draft, self._folder / f"{name}{suffix}")
        return name


@lru_cache(maxsize=20_000)
def _parsed(folder: Path, id: str) -> Caught:
    try:
        return Caught(id=id, **orjson.loads((folder / f"{id}{JSON}").read_bytes()))
    except FileNotFoundError:
        pass
    # a list of thousands is asked for at once, and email's modern policy takes 25 times as long as the old one
    try:
        message = email.message_from_bytes((folder / f"{id}{EML}").read_bytes(), policy=compat32)
    except FileNotFoundError:
        raise KeyError(id) from None
    headers = {name: _decoded(value) for name, value in message.items()}
    return Caught(
        id=id,
        sender=headers.get("From", ""),
        to=[address for _, address in getaddresses([_decoded(value) for value in message.get_all("To", [])])],
        subject=headers.get("Subject", ""),
        date=headers.get("Date", ""),
        send_id=headers.get("X-Pathline-Send-Id", ""),
        headers=headers,
        text=_body(message, "text/plain"),
        html=_body(message, "text/html"),
    )


def _decoded(value: str) -> str:
    """A header as people read it: unfolded, encoded words decoded."""
    unfolded = " ".join(str(value).split())
    try:
        return str(make_header(decode_header(unfolded)))
    except (LookupError, ValueError):
        return unfolded


def _body(message: Message, kind: str) -> str:
    """The first part of this type that is no attachment."""
    for part in message.walk():
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
            data = part.get_payload(decode=True)
            assert isinstance(data, bytes)
            try:
                text = data.decode(part.get_content_charset("utf-8"), "replace")
            except LookupError:
                text = data.decode("utf-8", "replace")
            return text.replace("\r\n", "\n")
    return ""
