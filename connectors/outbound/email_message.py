"""A send command as a MIME message."""

from __future__ import annotations

from datetime import UTC, datetime
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime, parseaddr
from typing import Any

import orjson

from connectors.links import Choice, Click, Opening, address
from connectors.outbound.settings import SmtpSettings
from connectors.outbound.tracking import through, with_picture
from schemas.records import SendCommand

SEND_ID_HEADER = "X-Pathline-Send-Id"
#: templates write this where the unsubscribe link belongs
UNSUBSCRIBE_PLACE = "%unsubscribe_url%"


class _Ways(UnstructuredHeader, BaseHeader):
    """Addresses in angle brackets (RFC 2369). The standard library would break long ones up into encoded words, which
    may not stand here (RFC 2047, 5): mailbox providers then show no way to unsubscribe."""

    def fold(self, *, policy: Policy) -> str:
        """A line for each address, as it is; beyond ASCII there is no such form."""
        if not self.isascii():
            return super().fold(policy=policy)
        ways = str(self).split(", ")
        return f"{self.name}: {f',{policy.linesep} '.join(ways)}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Ways)
_POLICY = SMTP.clone(header_factory=_HEADERS)


def email_message(command: SendCommand, settings: SmtpSettings, secret: bytes, public_url: str) -> EmailMessage:
    """The message of a command: text and HTML, a Message-ID made of the send id, and for marketing the List-Unsubscribe
    headers of RFC 2369 and RFC 8058. Raises ValueError when the content can't be a message."""
    parts = _parts(command)
    text, html = parts.get("text", ""), _tracked(parts.get("html", ""), command, settings, secret, public_url)
    if not text.strip() and not html.strip():
        raise ValueError("the template gave neither text nor html")
    link = address(public_url, secret, Choice(command.send_id, command.identifier, command.channel, command.purpose))
    sender = parts.get("from") or settings.sender
    name, mailbox = parseaddr(sender)
    if "@" not in mailbox:
        raise ValueError(f"sender {sender!r} is no e-mail address")
    message = EmailMessage(_POLICY)
    message["From"] = Address(name, addr_spec=mailbox)
    message["To"] = Address(addr_spec=command.to)
    message["Subject"] = " ".join(parts.get("subject", "").split())
    message["Date"] = format_datetime(datetime.fromtimestamp(command.at / 1000, UTC))
    message["Message-ID"] = f"<{command.send_id}@{mailbox.rpartition('@')[2]}>"
    message[SEND_ID_HEADER] = command.send_id
    message["X-Pathline-Journey"] = " ".join(command.journey.split())
    for header, value in echo(settings, command.send_id).items():
        message[header] = value
    if parts.get("reply_to"):
        message["Reply-To"] = " ".join(parts["reply_to"].split())
    if command.category == "marketing":
        _add_list_unsubscribe(message, link, settings.unsubscribe_mailto, command.send_id)
    if text.strip():
        message.set_content(text.replace(UNSUBSCRIBE_PLACE, link), cte="quoted-printable")
        if html.strip():
            message.add_alternative(html.replace(UNSUBSCRIBE_PLACE, link), subtype="html", cte="quoted-printable")
    else:
        message.set_content(html.replace(UNSUBSCRIBE_PLACE, link), subtype="html", cte="quoted-printable")
    return message


def echo(settings: SmtpSettings, send_id: str) -> dict[str, str]:
    """Headers by which a provider's relay gives the send id back with its receipts."""
    told = {"send_id": send_id}
    if settings.provider == "sendgrid":
        return {"X-SMTPAPI": orjson.dumps({"unique_args": told}).decode()}
    if settings.provider == "mailgun":
        return {"X-Mailgun-Variables": orjson.dumps(told).decode()}
    if settings.provider == "ses":
        named = {"X-SES-CONFIGURATION-SET": settings.configuration_set} if settings.configuration_set else {}
        return {**named, "X-SES-MESSAGE-TAGS": f"send_id={send_id}"}
    return {}


def _parts(command: SendCommand) -> dict[str, str]:
    try:
        parts: Any = orjson.loads(command.content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"content is not JSON: {error}") from None
    if not isinstance(parts, dict):
        raise ValueError("content is not an object of rendered parts")
    return {name: text for name, text in parts.items() if isinstance(text, str)}


def _tracked(html: str, command: SendCommand, settings: SmtpSettings, secret: bytes, public_url: str) -> str:
    """The page with links that tell of clicks and a picture that tells of openings."""
    if not public_url or not html.strip():
        return html
    about = (command.send_id, command.identifier, command.channel)
    if settings.track_clicks:
        html = through(html, lambda url: address(public_url, secret, Click(*about, "Email Link Clicked", url)))
    if settings.track_opens:
        html = with_picture(html, address(public_url, secret, Opening(*about, "Email Opened")))
    return html


def _add_list_unsubscribe(message: EmailMessage, link: str, mailto: str, send_id: str) -> None:
    ways = [f"<{link}>"] if link else []
    if mailto:
        ways.append(f"<mailto:{mailto}?subject=unsubscribe%20{send_id}>")
    if ways:
        message["List-Unsubscribe"] = ", ".join(ways)
    if link:
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
