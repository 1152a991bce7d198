"""History loaded without a line: `pathline load FILE --into warehouse`, then paths and persons from the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pathline.history.links import links_of
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


def test_an_event_that_no_row_can_hold_is_told(home: Path, lab: Lab) -> None:
    told = load(home, lab, [track("Order Completed", at()), track("Order Completed", "2999-01-01T00:00:00Z")])
    assert told.splitlines()[0] == "1 accepted, 0 duplicate, 1 rejected"
    assert "outside the years 1900 to 2299" in told
