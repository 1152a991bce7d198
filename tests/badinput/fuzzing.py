"""The collector under fuzz: what schemathesis makes of its OpenAPI, and bodies that no schema describes."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pathline.local.home import Line

#: what the OpenAPI promises of every answer
PROMISES = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DEEP = b"[" * 50_000
SOUND = {"type": "track", "event": "Fuzzed", "userId": "fuzz"}


@dataclass
class Sent:
    """What went in and what was answered. `letters` counts what must be in the dead letters."""

    statuses: Counter[int] = field(default_factory=Counter)
    accepted: int = 0
    letters: int = 0

    def answered(self, status: int, body: bytes) -> None:
        """Note an answer of an event call; fails unless a refusal says what is wrong, message by message."""
        self.statuses[status] += 1
        told = json.loads(body)
        self.accepted += told["accepted"]
        self.letters += len(told["rejected"]) + (told.get("code") == "malformed")
        assert all(rejected["reason"] and rejected["index"] >= 0 for rejected in told["rejected"])
        assert status == 200 or (told["code"] and told["message"]), body


def by_schema(line: Line, sent: Sent, examples: int) -> None:
    """Requests that fit the OpenAPI, and requests that violate it, to every operation."""
    api = schemathesis.openapi.from_url(f"{line.collector}/openapi.json")
    for result in api.get_all_operations():
        operation = result.ok()
        # what takes no body can't be called wrongly
        for mode in GenerationMode if operation.body else [GenerationMode.POSITIVE]:
            cases = operation.as_strategy(generation_mode=mode)

            @quietly(examples)
            @given(cases)
            def call(case: Any) -> None:
                answer = case.call(auth=(line.write_key, ""), timeout=30)
                case.validate_response(answer, checks=PROMISES)
                if case.path.startswith("/v1/"):
                    sent.answered(answer.status_code, answer.content)

            call()


def bodies() -> st.SearchStrategy[bytes]:
    """Bytes near JSON: cut, nested too deep, numbers too large, text that is none."""
    sound = json.dumps(SOUND).encode()
    odd = st.sampled_from(
        [
            DEEP,
            b'{"batch":' + DEEP,
            b'{"batch":[{"a":' + DEEP + b"]}",
            b'{"context":' + b"[" * 2_000 + b"]" * 2_000 + b',"batch":[' + sound + b"]}",
            b'{"userId":"fuzz","event":"Fuzzed","properties":{"a":' + b"[" * 900 + b"]" * 900 + b"}}",
            b'{"userId":123456789012345678901234567890,"event":"Fuzzed"}',
            b'{"userId":1e999,"event":"Fuzzed"}',
            b'{"userId":"fuzz","event":"\\ud800"}',
            b'{"userId":"fuzz\\u0000","event":"Fuzzed"}',
            b'{"userId":"fuzz","event":"Fuzzed","timestamp":"0001-01-01T00:00:00+14:00","sentAt":"9999-12-31"}',
            b'\xef\xbb\xbf{"userId":"fuzz","event":"Fuzzed"}',
            b'{"batch":[1,null,"a",[],{},' + sound + b"]}",
            b'{"batch":[]}',
            b"",
        ]
    )
    return st.one_of(
        odd,
        st.binary(max_size=64),
        st.integers(0, len(sound)).map(lambda at: sound[:at]),
        st.tuples(st.integers(0, len(sound) - 1), st.integers(1, 255)).map(lambda flip: _flipped(sound, *flip)),
    )


def by_bytes(line: Line, sent: Sent, examples: int) -> None:
    """Bodies, encodings and credentials that are broken in themselves."""
    broken_zip = gzip.compress(json.dumps(SOUND).encode())[:-9]
    with httpx.Client(base_url=line.collector, auth=(line.write_key, ""), timeout=30) as client:

        def post(path: str, body: bytes, **headers: str) -> None:
            answer = client.post(f"/v1/{path}", content=body, headers=headers)
            assert answer.status_code < 500, (path, body, answer.text)
            sent.answered(answer.status_code, answer.content)

        @quietly(examples)
        @given(st.sampled_from(["track", "identify", "batch"]), bodies(), st.booleans())
        def call(path: str, body: bytes, zipped: bool) -> None:
            post(path, gzip.compress(body) if zipped else body, **({"Content-Encoding": "gzip"} if zipped else {}))

        call()
        post("track", broken_zip, **{"Content-Encoding": "gzip"})
        post("track", b"{}", **{"Content-Encoding": "br"})
        post("track", gzip.compress(b" " * 3_000_000), **{"Content-Encoding": "gzip"})
        for credentials in (b"Basic \xe9", b"Basic ====", b"Basic /w==", b"Bearer x", b""):
            answer = client.post("/v1/track", json=SOUND, headers={b"Authorization": credentials}, auth=None)
            assert answer.status_code == 401, answer.text
            sent.answered(answer.status_code, answer.content)


def profiles(line: Line, known: str, statuses: Counter[int], examples: int) -> None:
    """Questions for people that fit the OpenAPI, that violate it, and with keys that are none; and for one who is
    `known`."""
    api = schemathesis.openapi.from_url(f"{line.profiles}/openapi.json")
    person = api["/v1/people/{who}"]["GET"].Case(path_parameters={"who": known})
    answer = person.call(headers={"Authorization": f"Bearer {line.profiles_key}"}, timeout=30)
    person.validate_response(answer, checks=PROMISES)
    assert answer.status_code == 200, answer.text
    asked = httpx.post(
        f"{line.profiles}/v1/inbox/tokens",
        json={"who": known},
        headers={"Authorization": f"Bearer {line.profiles_key}"},
    )
    opened = asked.json()["token"]
    for result in api.get_all_operations():
        operation = result.ok()
        # what takes nothing can't be asked wrongly
        for mode in GenerationMode if operation.query or operation.body else [GenerationMode.POSITIVE]:
            cases = operation.as_strategy(generation_mode=mode)

            @quietly(examples)
            @given(cases, st.sampled_from([line.profiles_key, opened, "plk_0_0", ""]))
            def call(case: Any, key: str) -> None:
                answer = case.call(headers={"Authorization": f"Bearer {key}"}, timeout=30)
                case.validate_response(answer, checks=PROMISES)
                statuses[answer.status_code] += 1

            call()
    # into a journey that is there
    entering = f"{line.profiles}/v1/journeys/callback/enter"
    with httpx.Client(headers={"Authorization": f"Bearer {line.profiles_key}"}, timeout=30) as client:

        @quietly(examples)
        @given(bodies())
        def enter(body: bytes) -> None:
            answer = client.post(entering, content=body)
            assert answer.status_code in (202, 400, 413), (body, answer.text)
            statuses[answer.status_code] += 1

        enter()
    with httpx.Client(base_url=line.profiles, timeout=30) as client:
        headers = {"Authorization": f"Bearer {line.profiles_key}"}

        @quietly(examples)
        @given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
        def ask(type: str, value: str, fields: str) -> None:
            path = f"/v1/people/{quote(type, safe='', errors='ignore')}:{quote(value, safe='', errors='ignore')}"
            answer = client.get(path, headers=headers, params={"fields": fields.encode(errors="ignore").decode()})
            assert answer.status_code in (200, 400, 404, 410), (path, answer.text)
            statuses[answer.status_code] += 1

        ask()
        for credentials in (b"Basic \xe9", b"Basic ====", b"Basic /w==", b"Bearer \xff", b"Bearer", b""):
            answer = client.get("/v1/people/user_id:a", headers={b"Authorization": credentials})
            assert answer.status_code == 401, answer.text


def quietly(examples: int) -> Callable[[Any], Any]:
    """Hypothesis settings of a campaign on a running line: so many tries, the same at each run."""
    return settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
        deadline=None,
    )


def _flipped(body: bytes, at: int, by: int) -> bytes:
    return body[:at] + bytes([body[at] ^ by]) + body[at + 1 :]
