"""Whether the process that answers for people still knows somebody who was forgotten."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterable
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.parse import quote

from pathline.local.home import Line

_PAUSE_SECONDS = 0.2


def known(line: Line, who: Iterable[str], patience: float) -> int:
    """How many of these identifiers and person ids are still answered with a person, after up to `patience` seconds in
    which that process reads what it was told. Raises OSError when it does not answer."""
    left, deadline = list(who), time.monotonic() + patience
    while True:
        left = [each for each in left if _answered(line, each)]
        if not left or time.monotonic() > deadline:
            return len(left)
        time.sleep(_PAUSE_SECONDS)


def _answered(line: Line, who: str) -> bool:
    asked = urllib.request.Request(
        f"{line.profiles}/v1/people/{quote(who)}?fields=person_id",
        headers={"Authorization": f"Bearer {line.profiles_key}"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(asked, timeout=10) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except HTTPError as error:
        if error.code in (HTTPStatus.GONE, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
            return False
        raise
