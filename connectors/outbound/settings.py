"""Settings of the providers, from the environment of the dispatch process."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from connectors.settings import address

#: scheme of the URL -> how TLS is used, default port
_SCHEMES = {"smtp": ("none", 25), "smtp+starttls": ("starttls", 587), "smtps": ("tls", 465)}


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP server; `tls` is none, starttls (required) or tls (from the start)."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: str = "none"


def server_of(url: str) -> Server:
    """The server of `smtp://`, `smtp+starttls://` or `smtps://[user:password@]host[:port]`. Raises ValueError."""
    form = f"{', '.join(f'{scheme}://' for scheme in _SCHEMES)}[user:password@]host[:port]"
    parts = address(url, _SCHEMES, "PATHLINE_SMTP", form)
    tls, port = _SCHEMES[parts.scheme]
    return Server(
        host=parts.hostname or "",
        port=parts.port or port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,
    )


class SmtpSettings(BaseSettings):
    """How e-mail is written and sent; the server itself is `smtp` in the settings of the line."""

    model_config = SettingsConfigDict(env_prefix="PATHLINE_SMTP_", extra="ignore", frozen=True)

    sender: str = Field("Pathline <no-reply@pathline.example>", description="From, unless the template has `from`.")
    unsubscribe_mailto: str = Field("", description="Address that takes unsubscribe requests by mail; empty: none.")
    track_clicks: bool = Field(True, description="Links in HTML lead through the collector, which tells of clicks.")
    track_opens: bool = Field(True, description="A picture in HTML tells when the message is shown.")
    provider: str = Field(
        "",
        pattern="^(sendgrid|mailgun|ses)?$",
        description="Whose relay it is: its receipts then name the send.",
    )
    configuration_set: str = Field("", description="Configuration set of SES.")
    timeout: float = Field(30.0, gt=0, description="Seconds an answer of the server may take.")
    connections: int = Field(10, ge=1, description="Most connections at a time.")
