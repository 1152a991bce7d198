"""E-mail over SMTP.

One command of the protocol after the other, because it matters where it breaks: before the message was given away it
was certainly not taken, after that it may have been.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import policy
from functools import cache

import aiosmtplib
import structlog
from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from connectors.outbound.channel import Bounce, Outcome, Traits
from connectors.outbound.email_message import email_message
from connectors.outbound.settings import Server, SmtpSettings, server_of
from schemas.records import SendCommand
from schemas.secret import secret_of
from schemas.settings import Settings

log = structlog.get_logger()

#: wall seconds between the tries to reach a server that is away, before the message is put aside
RECONNECT = (0.1, 0.3, 0.6, 1.0, 2.0)
_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


#: where `pathline mailbox` listens when nothing else is said
MAIL_CATCHER = "smtp://127.0.0.1:2525"


def connect(settings: Settings, channel: str) -> Email:
    """E-mail by the SMTP server of the settings, by default the mail catcher. Raises ValueError for a wrong URL."""
    # the secret may be a file, which is made when it is needed
    secret = cache(lambda: secret_of(settings))
    return Email(server_of(settings.smtp or MAIL_CATCHER), SmtpSettings(), secret, settings.public_url, channel)


class Email:
    """A channel of e-mail; connections are kept and shared between messages."""

    noun = "Email"

    def __init__(
        self,
        server: Server,
        settings: SmtpSettings,
        secret: Callable[[], bytes],
        public_url: str = "",
        name: str = "email",
    ) -> None:
        self.name = name
        # receipts name the send: whether a message in doubt went out shows soon
        self.traits = Traits(doubt="echo" if settings.provider else "policy")
        self._server = server
        self._settings = settings
        self._secret = secret
        self._public_url = public_url
        self._idle: list[SMTP] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(settings.connections)

    async def hand_over(self, command: SendCommand) -> Outcome:
        """Give one message to the server; see `Channel`."""
        try:
            message = email_message(command, self._settings, self._secret(), self._public_url)
        except ValueError as error:
            return Outcome("failed", str(error))
        data = message.as_bytes(policy=policy.SMTP if command.to.isascii() else policy.SMTPUTF8)
        for pause in (*RECONNECT, None):
            outcome = await self._attempt(str(message["From"].addresses[0].addr_spec), command.to, data)
            if outcome is not None:
                return outcome
            if pause is not None:
                await asyncio.sleep(pause)
        return Outcome("away", f"no SMTP server at {self._server.host}:{self._server.port}")

    async def _attempt(self, sender: str, to: str, data: bytes) -> Outcome | None:
        """One try; None when the server could not be reached or hung up before it had the message."""
        try:
            async with self._connection() as client:
                return await self._converse(client, sender, to, data)
        except aiosmtplib.SMTPAuthenticationError as error:
            return Outcome("away", f"log-in refused: {_answer(error)}")
        except (SMTPException, OSError) as error:
            log.warning("SMTP server away", host=self._server.host, port=self._server.port, error=str(error))
            return None

    async def _converse(self, client: SMTP, sender: str, to: str, data: bytes) -> Outcome:
        """MAIL, RCPT, DATA. Raises SMTPException or OSError when the connection breaks before DATA."""
        utf8 = not to.isascii()
        if utf8 and not client.supports_extension("smtputf8"):
            return Outcome("refused", "the server takes no addresses beyond ASCII (SMTPUTF8)", bounce="soft")
        encoding = "utf-8" if utf8 else "ascii"
        try:
            await client.mail(sender, options=["SMTPUTF8"] if utf8 else [], encoding=encoding)
        except aiosmtplib.SMTPSenderRefused as error:
            await _reset(client)
            return Outcome("failed" if error.code >= 500 else "temporary", f"sender refused: {_answer(error)}")
        try:
            await client.rcpt(to, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            await _reset(client)
            if error.code < 500:
                return Outcome("temporary", _answer(error))
            return Outcome("refused", _answer(error), bounce=bounce_of(error.code, error.message))
        except ValueError as error:
            await _reset(client)
            return Outcome("refused", str(error), bounce="hard")
        try:
            response = await client.data(data)
        except SMTPResponseException as error:
            if error.code >= 500:
                return Outcome("refused", _answer(error), bounce="block")
            return Outcome("temporary", _answer(error))
        except (SMTPException, OSError) as error:
            client.close()
            return Outcome("ambiguous", f"the connection broke while the server had the message: {error}")
        return Outcome("accepted", f"{response.code} {response.message}"[:500])

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SMTP]:
        """A connected client. One that failed is thrown away, a good one is kept for the next message."""
        if self._loop is not asyncio.get_running_loop():
            self._loop = asyncio.get_running_loop()
            self._idle.clear()
            self._places = asyncio.Semaphore(self._settings.connections)
        async with self._places:
            client = self._idle_client() or await self._connect()
            try:
                yield client
            except BaseException:
                client.close()
                raise
            if client.is_connected:
                self._idle.append(client)

    def _idle_client(self) -> SMTP | None:
        while self._idle:
            client = self._idle.pop()
            if client.is_connected:
                return client
        return None

    async def _connect(self) -> SMTP:
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            timeout=self._settings.timeout,
        )
        await client.connect()
        return client


def bounce_of(code: int, answer: str) -> Bounce:
    """What a permanent refusal of a recipient says about the address.

    By the enhanced status code where there is one (RFC 3463): x.2.2 is a full mailbox, x.7.y policy; everything else,
    and a plain 5xx, means that the address is dead. A full mailbox without one is 552 (RFC 5321).
    """
    enhanced = _ENHANCED.search(answer)
    if enhanced is None:
        return "soft" if code == 552 else "hard"
    _, subject, detail = enhanced[1].split(".")
    if subject == "7":
        return "block"
    return "soft" if (subject, detail) == ("2", "2") or subject in ("3", "4") else "hard"


async def _reset(client: SMTP) -> None:
    """Clear the envelope for the next message."""
    try:
        await client.rset()
    except (SMTPException, OSError):
        client.close()


def _answer(error: SMTPResponseException) -> str:
    return f"{error.code} {error.message}"[:500]
