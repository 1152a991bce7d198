"""Messages from templates: the parts a channel needs, rendered for one person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from typing import Any

import orjson

from schemas.definitions.liquid import TemplateError, evaluated, rendered, values
from schemas.definitions.mjml import is_mjml, page_of
from schemas.definitions.model import Template

__all__ = ["TemplateError", "button_part", "is_html", "is_sms", "parts_for", "render", "render_text", "render_value"]

#: What mail clients show of a subject.
LONGEST_SUBJECT = 78
_TAG = re.compile(r"<[a-zA-Z!/][^>]*>")
_ONE_LINE = frozenset({"subject", "title", "preheader", "url", "image", "icon", "from", "reply_to"})
#: what a message of these channels has no place for: it may be undefined there
_NOT_SHOWN = dict.fromkeys(
    ("sms", "telegram", "viber", "whatsapp"), frozenset({"subject", "preheader", "from", "reply_to"})
)
_BUTTON = re.compile(r"buttons\.([0-9]+)\.(text|url)")
_BLOCKS = frozenset({"p", "div", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "section", "blockquote"})
#: tags that nothing is in, so that they need no end
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_SILENT = frozenset({"style", "script", "head", "title"})


def button_part(number: int, name: str) -> str:
    """The name under which a template has the text or the url of its number-th button."""
    return f"buttons.{number}.{name}"


def is_html(channel: str) -> bool:
    """Whether a channel's body is HTML: `email` and channels named `email_...`."""
    return channel == "email" or channel.startswith("email_")


def is_sms(channel: str) -> bool:
    """Whether a channel's text is sent as SMS: `sms` and channels named `sms_...`."""
    return channel == "sms" or channel.startswith("sms_")


def parts_for(template: Template, channel: str, language: str = "") -> dict[str, str]:
    """The sources for a channel and a language: the template's own parts, overridden by those for the language, then
    those for the channel, then those for both (`sms: {uk: ...}`). `uk-UA` takes what stands under `uk` too."""
    parts = dict(template.parts)
    languages = [language.split("-")[0], language] if "-" in language else [language]
    for prefix in ("", channel):
        keys = [channel] if prefix else []
        keys += [f"{prefix}.{name}" if prefix else name for name in languages if name]
        for key in keys:
            other = template.variants.get(key, {})
            if any(map(_BUTTON.fullmatch, other)):
                # buttons are replaced together
                parts = {name: source for name, source in parts.items() if not _BUTTON.fullmatch(name)}
            parts.update(other)
    return parts


def render(
    template: Template, channel: str, language: str, names: Mapping[str, Any], timezone: str = ""
) -> dict[str, str]:
    """The parts of a message: always `text`; for e-mail `subject` (by default the first line of the text) and, if there
    is a body, `html` (of MJML the page it stands for); `buttons` as JSON, a list of {text, url}; others as written.

    `now` in the names is milliseconds; it is shown in `timezone`, else the person's trait of that name. Raises
    TemplateError when anything shown is undefined or a needed part comes out empty, so that never a half-empty message
    goes out.
    """
    sources = parts_for(template, channel, language)
    known = values(names, timezone)
    lines = _ONE_LINE - _NOT_SHOWN.get(channel.partition("_")[0], frozenset())
    message = {name: _line(name, source, known) for name, source in sources.items() if name in lines}
    buttons = _buttons(sources, known)
    if buttons:
        message["buttons"] = orjson.dumps(buttons).decode()
    body, text = sources.get("body"), sources.get("text")
    if body is not None and (is_html(channel) or _TAG.search(body)):
        page = _named("body", body, known, html=True)
        if is_mjml(body):
            page = page_of(page)
        elif not _TAG.search(body):
            paragraphs = re.split(r"\n{2,}", page.strip())
            page = "\n".join("<p>" + paragraph.replace("\n", "<br>\n") + "</p>" for paragraph in paragraphs)
        if is_html(channel):
            message["html"] = _preheader(message.pop("preheader", "")) + page
        message["text"] = _named("text", text, known) if text is not None else plain_text(page)
    else:
        message["text"] = _named("text", text if text is not None else body or "", known)
    if is_html(channel) and "subject" not in sources:
        message["subject"] = message["text"].strip().split("\n")[0][:LONGEST_SUBJECT]
    for needed in ("subject", "text") if is_html(channel) else ("text",):
        if not message.get(needed, "").strip():
            raise TemplateError(f"{needed} is empty")
    return message


def _buttons(sources: Mapping[str, str], known: Mapping[str, Any]) -> list[dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for name, source in sources.items():
        if part := _BUTTON.fullmatch(name):
            found.setdefault(int(part[1]), {})[part[2]] = _line(f"button {int(part[1]) + 1}", source, known)
    for number, button in found.items():
        if not all(button.values()):
            raise TemplateError(f"button {number + 1} is empty")
    return [button for _, button in sorted(found.items())]


def render_text(source: str, names: Mapping[str, Any], timezone: str = "") -> str:
    """One Liquid source as text on its own (an intent, a trait). Raises TemplateError on an undefined variable."""
    return rendered(source, values(names, timezone)).strip()


def render_value(source: str, names: Mapping[str, Any], timezone: str = "") -> Any:
    """The value of a Liquid source that is one output and no more, None if it is not of JSON or the source is no such.
    Raises TemplateError on an undefined variable."""
    return evaluated(source.strip(), values(names, timezone))


def plain_text(page: str) -> str:
    """The words of an HTML page: blocks on lines of their own, links followed by their address."""
    reader = _Words()
    reader.feed(page)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.words).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _line(name: str, source: str, known: Mapping[str, Any]) -> str:
    # on one line: a line break in a subject would begin another header
    return " ".join(_named(name, source, known).split())


def _named(name: str, source: str, known: Mapping[str, Any], html: bool = False) -> str:
    try:
        return rendered(source, known, html)
    except TemplateError as error:
        raise TemplateError(f"{name}: {error}") from error


def _preheader(text: str) -> str:
    # mail clients show the first words of a page beside the subject
    hidden = '<div style="display:none;max-height:0;overflow:hidden">'
    return f"{hidden}{escape(text)}</div>\n" if text else ""


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    return "display:none" in (dict(attrs).get("style") or "").replace(" ", "").lower()


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._silent = 0
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._silent or tag in _SILENT or _is_hidden(attrs):
            # nothing in it is read: it ends where as many tags have ended as began
            self._silent += tag not in _VOID
        elif tag == "br":
            self.words.append("\n")
        elif tag == "li":
            self.words.append("\n- ")
        elif tag in _BLOCKS:
            self.words.append("\n\n" if tag == "p" else "\n")
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.words)))
        elif tag == "img":
            self.words.append(dict(attrs).get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            self._silent -= tag not in _VOID
        elif tag == "a" and self._links:
            address, since = self._links.pop()
            if address and address not in "".join(self.words[since:]):
                self.words.append(f" ({address})")
        elif tag in _BLOCKS:
            self.words.append("\n\n" if tag == "p" else "\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(re.sub(r"\s+", " ", data))
