"""The development mailbox on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

from connectors.outbound.catcher import listen
from connectors.outbound.caught import Caught, Mailbox


@dataclass
class Smtp:
    """Started and stopped by hand; keeps its port."""

    mailbox: Mailbox
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(listen(self.mailbox, "127.0.0.1", self.port), self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        self._server = server

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        # a loop that still runs can't be started again
        self._thread.join()

    def caught(self) -> list[Caught]:
        return [self.mailbox.show(id) for id in self.mailbox.ids()]
