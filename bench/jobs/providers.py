"""Providers that take everything at once and keep nothing, for `bench.dispatch`: prints their ports as JSON."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from connectors.outbound.smsc import MessageCentre


class Takes:
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return "250 2.0.0 OK"


async def telegram(_: web.Request) -> web.Response:
    return web.json_response({"ok": True, "result": {"message_id": 1}})


async def created(_: web.Request) -> web.Response:
    return web.Response(status=201)


async def main() -> None:
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(Takes(), enable_SMTPUTF8=True), "127.0.0.1", 0)
    smpp = await MessageCentre(lambda *_: "").listen("127.0.0.1", 0)
    app = web.Application()
    app.add_routes([web.post("/bot{token}/{method}", telegram), web.post("/{rest:.*}", created)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ports = {"smtp": smtp, "smpp": smpp}
    found = {name: server.sockets[0].getsockname()[1] for name, server in ports.items()}
    print(json.dumps({**found, "http": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
