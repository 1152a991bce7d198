"""A test run leaves no process behind: one that would fails, and one that is interrupted ends them too."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest

from pathline.local import children

#: in the environment of every process that tests start: the run's process, a dot, and that of the worker, if any
MARK = "PATHLINE_TESTS"


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # one of several processes that share the tests
        os.environ[MARK] += str(os.getpid())
    else:
        os.environ[MARK] = f"{os.getpid()}."


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # the workers are not there any more; interrupted, they may have had no time to end what they started
        children.end(_started(f"{os.getpid()}."))


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """Fails a run whose tests did not end what they started, and ends it."""
    yield
    left = _started(os.environ[MARK])
    told = [f"{process.pid}: {' '.join(process.cmdline())}" for process in left if process.is_running()]
    children.end(left)
    assert not told, "\n".join(["left running:", *told])


def _started(mark: str) -> list[psutil.Process]:
    """Processes whose mark begins so."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK, "").startswith(mark):
                found.append(process)
        except psutil.Error:  # another user's, or gone meanwhile
            continue
    return found
