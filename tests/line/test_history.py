"""History loaded without a line: `pathline load FILE --into warehouse`, then paths and persons from the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.inbound.files.base import Item
from pathline.history.links import links_of
from pathline.history.reading import event_of
from pathline.history.resolver import Resolver
from schemas import definitions
from tests.line.project import Lab, at, identify, track


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def pathline(home: Path, *arguments: object) -> str:
    """Run a command in a process of its own: the embedded warehouse can be opened once per process."""
    command = [sys.executable, "-m", "pathline", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATHLINE_HOME": str(home)})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def load(home: Path, lab: Lab, messages: list[dict[str, Any]]) -> str:
    recorded = lab.folder.parent / "history.jsonl"
    recorded.write_text("".join(json.dumps(message) + "\n" for message in messages), "utf-8")
    return pathline(home, "load", recorded, "--into", "warehouse", "--project", lab.folder)


def edges(home: Path, lab: Lab) -> dict[tuple[str, str], tuple[int, float | None]]:
    rows = json.loads(
        pathline(home, "paths", "transitions", "--by", "channel", "--format", "json", "--project", lab.folder)
    )
    return {(row["from"], row["to"]): (row["count"], row["median_seconds"]) for row in rows}


def test_a_file_loaded_twice_counts_once_and_a_login_in_a_later_file_joins_the_paths(home: Path, lab: Lab) -> None:
    before = [
        track("Product Viewed", at(), None, anonymousId="cookie", context={"channel": "push"}),
        track("Order Completed", at(hours=2), "u1", context={"channel": "sms"}),
        track("Nobody", at(hours=2), "null", context={"channel": "sms"}),
    ]
    assert load(home, lab, before).splitlines()[0] == "2 accepted, 0 duplicate, 1 rejected"
    assert load(home, lab, before).splitlines()[0] == "0 accepted, 2 duplicate, 1 rejected"
    assert edges(home, lab) == {
        ("(start)", "push"): (1, None),
        ("push", "(end)"): (1, None),
        ("(start)", "sms"): (1, None),
        ("sms", "(end)"): (1, None),
    }
    load(home, lab, [identify(at(hours=3), "u1", anonymousId="cookie")])
    assert edges(home, lab) == {
        ("(start)", "push"): (1, None),
        ("push", "sms"): (1, 7200.0),
        ("sms", "(end)"): (1, None),
    }
    story = json.loads(pathline(home, "person", "anonymous_id:cookie", "--format", "json"))
    assert [entry["what"] for entry in story["timeline"]] == ["Product Viewed", "Order Completed", "Identify"]
    assert [(link.a, link.b) for link in links_of(home).read()] == [("user_id:u1", "anonymous_id:cookie")]


def test_an_event_that_no_row_can_hold_is_told_and_kept(home: Path, lab: Lab) -> None:
    sound, late = track("Order Completed", at()), track("Order Completed", "2999-01-01T00:00:00Z")
    told = load(home, lab, [sound, late]).splitlines()
    assert told[0] == "1 accepted, 0 duplicate, 1 rejected"
    assert "outside the years 1900 to 2299" in told[1]
    kept = Path(told[2].removeprefix("What was rejected is kept: "))
    assert kept.read_text("utf-8") == json.dumps(late) + "\n"
    assert load(home, lab, [sound]).splitlines() == ["0 accepted, 1 duplicate, 0 rejected"]
    assert kept.read_bytes() == b""


def test_an_event_that_no_identifier_is_left_of_is_rejected_with_its_reason(lab: Lab) -> None:
    # the edge let it in under other rules
    items = [Item.of(track("Order Completed", at(), user)) for user in ("u1", "u2")]
    rules = definitions.load(lab.folder).identity
    events = [event_of(item, rules, "test", 0) for item in items]
    lab.files({"identity.yaml": "identifiers: {user_id: {}}\nblocked: [u2]"})
    resolver = Resolver(definitions.load(lab.folder), [], 0)
    assert [resolver.place(event)[1] for event in events] == [[], ["no usable identifier"]]
