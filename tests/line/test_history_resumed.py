"""Loads into the warehouse that were interrupted: nothing missing, nothing double, counts exact."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.inbound.files import open_source
from pathline.history import load as history
from pathline.history.links import LinkFile, links_of
from pathline.history.load import Outcome
from pathline.history.position import PositionFile
from schemas.definitions import parse
from schemas.records import Link
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.load import History
from sinks.clickhouse.owners import reload
from tests.line.project import IDENTITY, Lab
from tests.warehouse import emptied

PROJECT = parse({"project.yaml": "name: shop", "identity.yaml": IDENTITY})


def lines(number: int) -> list[str]:
    """Every tenth can't be used, every seventh repeats the one before; months apart, cookies that log in later."""
    made = []
    for n in range(number):
        one: dict[str, Any] = {"type": "track", "event": "E", "messageId": f"m{n - (n % 7 == 6)}"}
        one |= {"timestamp": f"2026-{n % 9 + 1:02}-01T00:00:00Z", "anonymousId": f"c{n // 2 % 40}"}
        if n % 50 > 40:
            one["userId"] = f"u{n // 2 % 40 % 12}"
        made.append("{broken" if n % 10 == 9 else json.dumps(one))
    return made


def keys(of: list[str]) -> set[tuple[str, str]]:
    """What makes the usable ones of them the same event or another one."""
    messages = [json.loads(line) for line in of if line != "{broken"]
    return {
        (one["messageId"], f"user_id:{one['userId']}" if "userId" in one else f"anonymous_id:{one['anonymousId']}")
        for one in messages
    }


class Killed(BaseException):
    pass


def died(real: Callable[..., Any], at: int, before: bool) -> Callable[..., Any]:
    """`real`, but the process dies at the call with this number, just before it or just after it."""
    calls = 0

    def call(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and before:
            raise Killed
        result = real(*arguments)
        if calls == at:
            raise Killed
        return result

    return call


def half_inserted(self: History, placed: Any) -> Any:
    """A batch over several months is no whole: some of them may be there after a kill."""
    INSERT(self, placed[: len(placed) // 2])
    raise Killed


INSERT = History.insert
POINTS = {
    "rows": (History, "insert"),
    "identity": (History, "insert_identity"),
    "links": (LinkFile, "add"),
    "position": (PositionFile, "write"),
}


def run(home: Path, path: Path, warehouse: Warehouse) -> Outcome:
    return history._Load(home, PROJECT, open_source(str(path)), warehouse, lambda _: None).run()


def left(warehouse: Warehouse, home: Path) -> tuple[Any, ...]:
    reload(warehouse)
    events = warehouse.rows(
        "SELECT message_id AS m, toString(person_id) AS p, offset FROM pathline.events ORDER BY ALL"
    )
    moves = warehouse.rows("SELECT from_person, to_person, slot, version FROM pathline.moves ORDER BY ALL")
    return events, moves, {(link.a, link.b, link.seen_at) for link in links_of(home).read()}


def test_a_load_that_dies_anywhere_goes_on_where_it_was(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CHUNK", 60)
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(lines(240)))
    whole = run(tmp_path / "whole", path, warehouse)
    assert (whole.accepted + whole.duplicate + whole.rejected, whole.rejected) == (240, 24)
    assert whole.duplicate > 0
    assert whole.kept is not None
    expected = left(warehouse, tmp_path / "whole")

    for number, point in enumerate([*POINTS, "half"]):
        for before in (True, False):
            emptied(warehouse)
            home = tmp_path / f"{point}-{before}"
            with monkeypatch.context() as dying:
                if point == "half":
                    dying.setattr(History, "insert", half_inserted)
                else:
                    owner, name = POINTS[point]
                    dying.setattr(owner, name, died(getattr(owner, name), 2 + number % 2, before))
                with pytest.raises(Killed):
                    run(home, path, warehouse)
            resumed = run(home, path, warehouse)
            assert left(warehouse, home) == expected, (point, before)
            counts = (resumed.accepted, resumed.duplicate, resumed.rejected, resumed.reasons)
            assert counts == (whole.accepted, whole.duplicate, whole.rejected, whole.reasons), (point, before)
            assert resumed.kept is not None
            assert resumed.kept.read_bytes() == whole.kept.read_bytes()
            again = run(home, path, warehouse)
            assert (again.accepted, again.duplicate, again.before) == (0, whole.accepted + whole.duplicate, 0)


def test_another_file_under_the_same_name_is_loaded_from_its_beginning(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CHUNK", 20)
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(lines(60)))
    with monkeypatch.context() as dying:
        dying.setattr(History, "insert", died(History.insert, 2, True))
        with pytest.raises(Killed):
            run(tmp_path, path, warehouse)
    path.write_text("\n".join(reversed(lines(60))))
    loaded = run(tmp_path, path, warehouse)
    assert loaded.before == 0
    rows = warehouse.rows("SELECT message_id AS m, identifiers[1] AS who FROM pathline.events")
    assert sorted((row["m"], row["who"]) for row in rows) == sorted(keys(lines(60)))


def test_links_behind_a_line_that_was_cut_off_by_a_kill_are_whole(tmp_path: Path) -> None:
    kept, link = LinkFile(tmp_path), Link(a="user_id:1", b="email:a@b.co", seen_at=1, source="s")
    kept.add([link])
    with (tmp_path / "links.jsonl").open("ab") as file:
        file.write(b'{"a":"user')
    kept.add([link])
    assert kept.read() == [link, link]


_HALTING = """
import signal, sys
# a shell starts what runs in the background deaf to ^C
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathline.history import beside, load as history
from pathline.cli import app
history.CHUNK = 50
# most of it is read beside
beside.LONG = 100
write, written = history._Load._write, []
def halting(self, chunk):
    write(self, chunk)
    written.append(chunk)
    if len(written) == 3:
        print("halted", file=sys.stderr, flush=True)
        # until the signal was sent
        sys.stdin.read()
history._Load._write = halting
sys.argv[0] = "pathline"
app()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_run_again_tells_the_counts_of_the_whole_file(
    tmp_path: Path, lab: Lab, ending: signal.Signals
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(lines(400)))
    command = ["load", str(path), "--into", "warehouse", "--project", str(lab.folder)]
    environment = os.environ | {"PATHLINE_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(
        [sys.executable, "-c", _HALTING, *command], env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stderr is not None
    for line in process.stderr:
        if line == b"halted\n":
            process.send_signal(ending)
            process.stdin.close()
    process.stderr.close()
    assert process.wait() == (-signal.SIGKILL if ending is signal.SIGKILL else 130)
    done = subprocess.run(
        [sys.executable, "-m", "pathline", *command], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    counts, before, reason, kept = done.stdout.splitlines()
    accepted = len(keys(lines(400)))
    assert counts == f"{accepted} accepted, {360 - accepted} duplicate, 40 rejected"
    assert before.endswith("of them before the load was interrupted")
    assert reason.split()[0] == "40"
    assert len(Path(kept.removeprefix("What was rejected is kept: ")).read_text().splitlines()) == 40
