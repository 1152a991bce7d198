"""A schema registry over HTTP: a real server on loopback that speaks Confluent's interface."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.codec import BadRecord, Codec
from schemas.records import Link, LinkEnvelope
from schemas.registry import Registry


class Served(ThreadingHTTPServer):
    """Schemas by id, from 101; `asked` are the requests it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.schemas: list[str] = []
        self.asked: list[str] = []
        self.broken = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Served

    def do_POST(self) -> None:
        schema = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
        if schema not in self.server.schemas:
            self.server.schemas.append(schema)
        self._answer(200, {"id": 101 + self.server.schemas.index(schema)})

    def do_GET(self) -> None:
        at = int(self.path.rsplit("/", 1)[1]) - 101
        if 0 <= at < len(self.server.schemas):
            self._answer(200, {"schema": self.server.schemas[at]})
        else:
            self._answer(404, {"error_code": 40403, "message": "Schema not found"})

    def _answer(self, status: int, body: dict[str, object]) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(500 if self.server.broken else status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Served]:
    served = Served()
    yield served
    served.shutdown()
    served.server_close()


RECORD = LinkEnvelope(kind="link", link=Link(a="a:1", b="b:2", seen_at=1, source="test"))


def test_a_record_written_by_one_process_is_read_by_another_through_the_registry(server: Served) -> None:
    data = Codec(Registry(server.url)).encode(RECORD)
    assert data[:5] == b"\x00" + (101).to_bytes(4, "big")
    assert Codec(Registry(server.url)).decode(LinkEnvelope, data) == RECORD


def test_each_id_is_asked_for_once_unknown_ones_too(server: Served) -> None:
    codec = Codec(Registry(server.url))
    data = codec.encode(RECORD)
    for _ in range(3):
        codec.encode(RECORD)
        codec.decode(LinkEnvelope, data)
        with pytest.raises(BadRecord, match="unknown schema id 999"):
            codec.decode(LinkEnvelope, b"\x00" + (999).to_bytes(4, "big") + data[5:])
    assert server.asked == [
        "POST /subjects/pathline.LinkEnvelope/versions",
        "GET /schemas/ids/101",
        "GET /schemas/ids/999",
    ]


def test_a_registry_that_does_not_answer_is_no_fault_of_the_data(server: Served) -> None:
    data = Codec(Registry(server.url)).encode(RECORD)
    server.broken = True
    with pytest.raises(OSError, match="schema registry"):
        Codec(Registry(server.url)).decode(LinkEnvelope, data)
