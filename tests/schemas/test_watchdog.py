"""A call that never comes back ends its process; one that does is left alone."""

from __future__ import annotations

import subprocess
import sys
import time

from schemas.watchdog import Watchdog

HANGING = """
import os, threading
from schemas.watchdog import Watchdog
with Watchdog(lambda why: (print(why, flush=True), os._exit(75))).watching("the call", 0.2):
    threading.Event().wait()
"""


def test_a_call_that_hangs_ends_the_process_and_is_named() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 75
    assert ended.stdout == "the call did not come back within 0 s\n"


def test_a_call_that_comes_back_is_left_alone_however_long_the_process_lives_on() -> None:
    barks: list[str] = []
    watchdog = Watchdog(barks.append)
    for _ in range(3):
        with watchdog.watching("the call", 0.3):
            pass
    time.sleep(1.2)
    assert not barks
