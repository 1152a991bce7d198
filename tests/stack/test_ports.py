"""Ports for servers: each is found once, and can be listened on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter

from pathline.local import ports

MANY = 500
FIND = f"from pathline.local import ports; print(*(ports.free() for _ in range({MANY})))"


def test_processes_that_look_at_once_find_different_ports() -> None:
    looking = [subprocess.Popen([sys.executable, "-c", FIND], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found = Counter(port for process in looking for port in process.communicate()[0].split())
    assert len(found) == 4 * MANY


def test_a_server_can_listen_on_a_port_that_was_found() -> None:
    port = ports.free()
    assert ports.is_free(port)
    assert not ports.answers(port)
    with socket.create_server(("127.0.0.1", port)):
        assert ports.answers(port)
        assert not ports.is_free(port)
