"""A warehouse whose files nobody has open: with no line running, commands open them themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

LOAD = """
import sys
from pathlib import Path
from schemas.identifiers import person_id, slot_of
from sinks.clickhouse.engine import open_embedded
from sinks.clickhouse.load import History, Placed
from tests.sinks.made import HOUR, T0, event

warehouse = open_embedded(Path(sys.argv[1]) / "warehouse")
who = "user_id:u1"
events = [event("Page Viewed", T0, type="page"), event("Order Completed", T0 + HOUR, channel="store")]
History(warehouse, "test").insert([Placed(e, person_id(who), slot_of(who)) for e in events])
if len(sys.argv) > 2:
    print("open", flush=True)
    sys.stdin.read()
warehouse.close()
"""


def pathline(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pathline", *arguments],
        env=os.environ | {"PATHLINE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_paths_and_person_open_the_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LOAD, str(tmp_path)], check=True, timeout=300)
    # what a killed line left behind does not mislead
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "line.json").write_text('{"warehouse": "http://127.0.0.1:9/?user=x&password=y"}')
    done = pathline(tmp_path, "paths", "transitions", "--by", "event", "--format", "json")
    assert [(row["from"], row["to"], row["median_seconds"]) for row in json.loads(done.stdout)] == [
        ("(start)", "Page Viewed", None),
        ("Order Completed", "(end)", None),
        ("Page Viewed", "Order Completed", 3600.0),
    ]
    found = json.loads(pathline(tmp_path, "person", "user_id:u1", "--format", "json").stdout)
    assert found["identifiers"] == ["user_id:u1"]
    assert [entry["what"] for entry in found["timeline"]] == ["Page Viewed", "Order Completed"]


def test_files_that_another_process_has_open_are_told(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", LOAD, str(tmp_path), "hold"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    done = pathline(tmp_path, "paths", "transitions")
    holder.communicate("")
    assert done.returncode == 1
    assert "open in another process" in done.stderr
    assert "Traceback" not in done.stderr
