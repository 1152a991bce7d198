"""Free ports on this machine."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

#: below those that systems give to clients (Linux from 32768, macOS and Windows from 49152), so that no client's
#: connection takes the port of a server that is down for a moment
FOR_SERVERS = range(20_000, 32_768)


def free() -> int:
    """A TCP port of the loopback address that nothing uses, and that no process gets here for the next half minute."""
    while True:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", secrets.choice(FOR_SERVERS)))
            # from here on: who says that it may have a port in use, as servers do, gets this one; a second probe does
            # not, as a connection that was closed here is remembered for a while
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.listen()
            with socket.create_connection(probe.getsockname()):
                probe.accept()[0].close()
            return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int, timeout: float = 0.5) -> bool:
    """Whether something accepts connections on this port of the loopback address within `timeout` seconds."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout):
            return True
    except OSError:
        return False
