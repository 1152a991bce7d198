"""What a home remembers, and who may hold it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pathline.local import children, ports
from pathline.local.home import Home, Line


def test_a_restart_gets_the_same_ports_and_keys(tmp_path: Path) -> None:
    first = Home(tmp_path)
    assert first.take()
    chosen, keys = first.ports({"kafka": 0, "collector": 0}), first.keys()
    first.release()
    again = Home(tmp_path)
    assert again.take()
    assert again.ports({"kafka": 0, "collector": 0}) == chosen
    assert again.keys() == keys
    assert len(set(chosen.values())) == 2


def test_a_remembered_port_that_is_taken_gives_way_and_one_asked_for_is_an_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.take()
    taken = home.ports({"collector": 0})["collector"]
    import socket

    with socket.create_server(("127.0.0.1", taken)):
        assert home.ports({"collector": 0})["collector"] != taken
        with pytest.raises(ValueError, match=f"port {taken} for collector is taken"):
            home.ports({"collector": taken})
    assert not ports.answers(taken)


def test_a_home_has_one_supervisor_and_is_free_again_after_a_kill(tmp_path: Path) -> None:
    code = "import sys,time; from pathlib import Path; from pathline.local.home import Home\n"
    code += "h=Home(Path(sys.argv[1])); assert h.take(); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    home = Home(tmp_path)
    assert home.held()
    assert not home.take()
    holder.kill()
    holder.wait()
    assert not home.held()
    assert home.take()


def test_keys_are_readable_by_the_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.take()
    home.keys()
    home.write_line(Line(str(tmp_path), "", "", "", "", ""))
    assert {oct(path.stat().st_mode & 0o777) for path in home.run.glob("*.json")} == {"0o600"}


def test_processes_of_a_home_are_found_and_ended_and_others_left_alone(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    # started by a shell that ends, so that they are nobody's children any more
    started = subprocess.run(
        ["sh", "-c", f"'{sleep[0]}' -c '{sleep[2]}' >/dev/null 2>&1 & echo $!"],
        env=children.environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    mine = int(started.stdout)
    other = subprocess.Popen(sleep, env=os.environ | {"PATHLINE_HOME": str(tmp_path)})
    found = children.orphans(tmp_path)
    assert [process.pid for process in found] == [mine]
    children.end(found)
    assert not psutil.pid_exists(mine)
    assert other.poll() is None
    other.kill()
    other.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_children_die_with_a_parent_that_is_killed() -> None:
    code = (
        "import subprocess,sys,time,signal\nfrom pathline.local.children import die_with_parent\n"
        "p=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)'],"
        "preexec_fn=die_with_parent(signal.SIGKILL))\nprint(p.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 120
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
