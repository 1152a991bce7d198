"""A mailbox for development: it plays the providers that are not configured, keeps everything and shows it on a page.

Each message is one file in a folder, written before the sender hears that it was taken. E-mail: recipients whose local
part begins with `bounce` and everybody at `.invalid` are refused for good, those that begin with `defer` for now, so
that both ways can be tried. What the other providers refuse stands with each of them.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from connectors.outbound.catcher_page import page
from connectors.outbound.caught import Caught, Mailbox
from connectors.outbound.played import played
from connectors.outbound.smsc import MessageCentre

log = structlog.get_logger()

DEAD = "550 5.1.1 no such mailbox here"
LATER = "450 4.2.1 try again later"


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
    app = FastAPI(title="Pathline mailbox", summary="Messages caught for development.")

    @app.get("/", summary="The list: a page for browsers, JSON for programs")
    async def start(request: Request, channel: str = "") -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(await run_in_threadpool(lambda: page(_all(mailbox), channel)))
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
        caught = await message(id)
        media = "message/rfc822" if caught.channel == "email" else "application/json"
        return Response(mailbox.raw(id), media_type=media)

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

    app.include_router(played(mailbox))

    @app.get("/health")
    @app.get("/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


def run(folder: Path, smtp_port: int, web_port: int, smpp_port: int, host: str = "127.0.0.1") -> None:
    """Serve SMTP, SMPP and HTTP until SIGTERM or SIGINT; messages are kept in `folder`."""
    mailbox = Mailbox(folder)
    app = make_app(mailbox)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        servers = [await listen(mailbox, host, smtp_port), await centre(mailbox).listen(host, smpp_port)]
        yield
        for server in servers:
            server.close()

    app.router.lifespan_context = lifespan
    log.info(
        "mailbox",
        smtp=f"{host}:{smtp_port}",
        smpp=f"{host}:{smpp_port}",
        page=f"http://{host}:{web_port}",
        folder=str(folder),
    )
    uvicorn.Server(uvicorn.Config(app, host, web_port, log_level="warning", access_log=False)).run()


async def listen(mailbox: Mailbox, host: str, port: int) -> asyncio.Server:
    """The SMTP server alone; port 0 takes a free one."""
    receiver = Receiver(mailbox)
    return await asyncio.get_running_loop().create_server(
        lambda: SMTP(receiver, enable_SMTPUTF8=True, hostname="mailbox.pathline.example", ident="Pathline mailbox"),
        host,
        port,
    )


def centre(mailbox: Mailbox) -> MessageCentre:
    """The message centre that puts SMS into a mailbox."""

    def keep(sender: str, to: str, text: str, segments: int) -> str:
        return mailbox.keep_message("sms", to, text, sender=sender, parts={"segments": segments})

    return MessageCentre(keep)


def _all(mailbox: Mailbox) -> list[Caught]:
    return [mailbox.show(id) for id in mailbox.ids()]


def _listed(mailbox: Mailbox) -> Response:
    return JSONResponse([caught.model_dump() for caught in _all(mailbox)])
