"""What the mail catcher of a line has caught."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from pathline.local.stack import Stack


def mails(stack: Stack) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{stack.line.mailbox}/messages", timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found
