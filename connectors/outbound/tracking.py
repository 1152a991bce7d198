"""Links and pictures in messages that tell when they are clicked and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape

_LINK = re.compile(
    r"""<a\b(?P<before>[^>]*?\bhref\s*=\s*)(?P<quote>["'])(?P<url>.*?)(?P=quote)(?P<after>[^>]*)>""", re.I | re.S
)
_LEFT_ALONE = re.compile(r"""\bdata-track\s*=\s*["']?(off|false|no)\b""", re.I)
_IN_TEXT = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]}]")
_END = re.compile(r"</body\s*>", re.I)


def through(page: str, address_of: Callable[[str], str]) -> str:
    """An HTML page whose links lead through the addresses given for theirs. Links that are no web pages (mailto:, #top)
    and those with `data-track="off"` stay as they are."""

    def led(found: re.Match[str]) -> str:
        url = unescape(found["url"]).strip()
        if not leads_out(url) or _LEFT_ALONE.search(found["before"]) or _LEFT_ALONE.search(found["after"]):
            return found[0]
        return f"<a{found['before']}{found['quote']}{escape(address_of(url))}{found['quote']}{found['after']}>"

    return _LINK.sub(led, page)


def through_text(text: str, address_of: Callable[[str], str]) -> str:
    """The same for the web addresses in a text."""
    return _IN_TEXT.sub(lambda found: address_of(found[0]), text)


def leads_out(url: str) -> bool:
    """Whether an address is that of a web page."""
    return url.lower().startswith(("http://", "https://"))


def with_picture(page: str, address: str) -> str:
    """An HTML page with a picture that nobody sees at its end."""
    picture = f'<img src="{escape(address)}" width="1" height="1" alt="" style="display:none">'
    ends = list(_END.finditer(page))
    return page + picture if not ends else page[: ends[-1].start()] + picture + page[ends[-1].start() :]
