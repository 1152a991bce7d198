"""Buttons that tell what was pressed: dispatch writes what they tell, the collector reads it."""

from __future__ import annotations

import base64
from uuid import UUID

#: Telegram takes no more
LONGEST_DATA = 64


def callback(send_id: str, data: str) -> str:
    """What a pressed button tells, with the send it belongs to. Raises ValueError above 64 bytes."""
    try:
        short = base64.urlsafe_b64encode(UUID(send_id).bytes).rstrip(b"=").decode()
    except ValueError:
        short = ""
    told = f"{short}:{data}"
    if len(told.encode()) > LONGEST_DATA:
        raise ValueError(f"data of a button: at most {LONGEST_DATA - 23} bytes are allowed")
    return told


def called_back(told: str) -> tuple[str, str]:
    """(send id, data) of a pressed button; the send id is empty when it is none of ours."""
    short, _, data = told.partition(":")
    try:
        return str(UUID(bytes=base64.urlsafe_b64decode(short + "=="))), data
    except ValueError:
        return "", told
