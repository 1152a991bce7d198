"""A mailbox for development: an SMTP server that keeps everything and a page that shows it.

Each message is one .eml file in a folder, written before the sender hears 250. Recipients whose local part begins with
`bounce` and everybody at `.invalid` are refused for good, those that begin with `defer` for now, so that both ways can
be tried.
"""

from __future__ import annotations

import asyncio
import email
import html
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses
from functools import lru_cache
from pathlib import Path

import structlog
import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel

log = structlog.get_logger()

DEAD = "550 5.1.1 no such mailbox here"
LATER = "450 4.2.1 try again later"


class Caught(BaseModel):
    """One message that came in."""

    id: str
    sender: str
    to: list[str]
    subject: str
    date: str
    send_id: str
    headers: dict[str, str]
    text: str
    html: str


class Mailbox:
    """Messages in a folder, numbered in the order in which they came."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._last = max((int(path.stem) for path in folder.glob("*.eml") if path.stem.isdigit()), default=0)

    def keep(self, data: bytes) -> str:
        """Store a message; its id."""
        self._last += 1
        name = f"{self._last:08d}"
        draft = self._folder / f"{name}.part"
        draft.write_bytes(data)
        os.replace(draft, self._folder / f"{name}.eml")
        return name

    def ids(self) -> list[str]:
        """All ids, oldest first."""
        return sorted(path.stem for path in self._folder.glob("*.eml"))

    def raw(self, id: str) -> bytes:
        """The message as it came. Raises KeyError."""
        if id not in self.ids():
            raise KeyError(id)
        return (self._folder / f"{id}.eml").read_bytes()

    def show(self, id: str) -> Caught:
        """The message, taken apart. Raises KeyError."""
        return _parsed(self._folder, id)

    def clear(self) -> None:
        """Throw everything away."""
        for path in self._folder.glob("*.eml"):
            path.unlink()
        _parsed.cache_clear()


@lru_cache(maxsize=20_000)
def _parsed(folder: Path, id: str) -> Caught:
    # a list of thousands is asked for at once, and email's modern policy takes 25 times as long as the old one
    try:
        message = email.message_from_bytes((folder / f"{id}.eml").read_bytes(), policy=compat32)
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


class Receiver:
    """What the SMTP server does with its commands (aiosmtpd handler)."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        local, _, domain = address.lower().rpartition("@")
        if local.startswith("bounce") or domain.endswith("invalid"):
            return DEAD
        if local.startswith("defer"):
            return LATER
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        kept = self._mailbox.keep(envelope.content)
        return f"250 2.0.0 OK kept as {kept}"


def make_app(mailbox: Mailbox) -> FastAPI:
    """The page and its JSON."""
    app = FastAPI(title="Pathline mailbox", summary="E-mail caught for development.")

    @app.get("/", summary="The list: a page for browsers, JSON for programs")
    async def start(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page(mailbox))
        return await run_in_threadpool(_listed, mailbox)

    @app.get("/messages", response_model=list[Caught], summary="All messages, oldest first")
    def messages() -> Response:  # in a thread: a long list must not keep senders waiting
        return _listed(mailbox)

    @app.get("/messages/{id}", response_model=Caught)
    async def message(id: str) -> Caught:
        try:
            return mailbox.show(id)
        except KeyError:
            raise HTTPException(404, f"no message {id}") from None

    @app.get("/messages/{id}/raw", response_class=PlainTextResponse, summary="The message as it came")
    async def raw(id: str) -> Response:
        try:
            return Response(mailbox.raw(id), media_type="message/rfc822")
        except KeyError:
            raise HTTPException(404, f"no message {id}") from None

    @app.get("/messages/{id}/html", response_class=HTMLResponse, summary="Its HTML part")
    async def shown(id: str) -> HTMLResponse:
        caught = await message(id)
        # a template under development must not run scripts in the page that shows it
        return HTMLResponse(
            caught.html or f"<pre>{html.escape(caught.text)}</pre>", headers={"Content-Security-Policy": "sandbox"}
        )

    @app.delete("/messages", status_code=204, summary="Throw everything away")
    async def clear() -> None:
        mailbox.clear()

    @app.get("/health")
    @app.get("/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


def run(folder: Path, smtp_port: int, web_port: int, host: str = "127.0.0.1") -> None:
    """Serve SMTP and HTTP until SIGTERM or SIGINT; messages are kept in `folder`."""
    mailbox = Mailbox(folder)
    app = make_app(mailbox)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        server = await listen(mailbox, host, smtp_port)
        yield
        server.close()

    app.router.lifespan_context = lifespan
    log.info("mailbox", smtp=f"{host}:{smtp_port}", page=f"http://{host}:{web_port}", folder=str(folder))
    uvicorn.Server(uvicorn.Config(app, host, web_port, log_level="warning", access_log=False)).run()


async def listen(mailbox: Mailbox, host: str, port: int) -> asyncio.Server:
    """The SMTP server alone; port 0 takes a free one."""
    receiver = Receiver(mailbox)
    return await asyncio.get_running_loop().create_server(
        lambda: SMTP(receiver, enable_SMTPUTF8=True, hostname="mailbox.pathline.example", ident="Pathline mailbox"),
        host,
        port,
    )


def _listed(mailbox: Mailbox) -> Response:
    return JSONResponse([mailbox.show(id).model_dump() for id in mailbox.ids()])


def _page(mailbox: Mailbox, newest: int = 500) -> str:
    ids = mailbox.ids()
    rows = "".join(_row(mailbox.show(id)) for id in reversed(ids[-newest:]))
    return (
        '<!doctype html><meta charset="utf-8"><title>Mailbox</title>'
        "<style>body{font:15px/1.4 sans-serif;margin:2em}td,th{padding:.3em .8em;text-align:left;"
        "border-bottom:1px solid #ddd}</style>"
        f"<h1>{len(ids)} messages</h1><table><tr><th>Date<th>To<th>Subject<th>{rows}</table>"
    )


def _row(caught: Caught) -> str:
    cells = "".join(f"<td>{html.escape(text)}" for text in (caught.date, ", ".join(caught.to), caught.subject))
    links = "".join(f' <a href="/messages/{caught.id}{path}">{name}</a>' for name, path in _LINKS)
    return f"<tr>{cells}<td>{links}"


_LINKS = (("view", "/html"), ("parts", ""), ("source", "/raw"))
