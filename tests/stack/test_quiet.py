"""A line is at rest when every process says so, and not when one of them can't tell yet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pathline.local.home import Line, ProcessState
from pathline.local.quiet import load


class Process(BaseHTTPRequestHandler):
    """A process that has done three records; before it has its partitions it tells of no lag."""

    ready = True

    def do_GET(self) -> None:
        self.send_response(200 if self.ready or self.path == "/metrics" else 503)
        self.end_headers()
        if self.path == "/metrics":
            lag = 'pathline_lag_records{topic="events",partition="0"} 2\n' if self.ready else ""
            self.wfile.write(f"pathline_sink_records_total 3\n{lag}".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def line() -> Iterator[Line]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Process)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    process = ProcessState("sink", pid=None, state="ready", web_port=server.server_port)
    yield Line(home="", broker="", collector="", write_key="", warehouse="", mailbox="", processes=[process])
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_waits_is_told_by_the_processes(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "ready", True)
    assert (load(line).done, load(line).waiting) == (3, 2)


def test_a_process_that_joins_its_group_is_not_at_rest(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "ready", False)
    assert load(line).waiting is None
