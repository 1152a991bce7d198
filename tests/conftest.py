"""What tests of several parts share: one real broker for a whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import settings

from pathline.local.kafka import KafkaBroker

pytest_plugins = ["tests.leftovers", "tests.warehouse"]

# where nothing else is said, a client would give up after 5 s; a busy machine may need longer
for _waiting in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _waiting, 120.0)

# no time limits: a machine may be busy, and the first example pays for what is loaded. The same examples each
# time, so that a failure is of the change at hand; `--hypothesis-profile explore` tries others.
settings.register_profile("pathline", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("pathline")

#: whose tests share one line
SHARING = "tests/line/running"
#: what takes longest, handed out first: no worker is to begin one when the others are done
LONGEST = (
    SHARING,
    "tests/faults/runtime/test_campaign.py",
    "tests/stack/test_up.py",
    "tests/operating/test_waiting.py",
    "tests/sinks/test_sink.py",
    "tests/badinput/test_line.py",
    "tests/faults/runtime/test_naive.py",
    "tests/operating/test_line.py",
    "tests/identity/test_kill.py",
    "tests/identity/test_steering_line.py",
    "tests/segments/test_sql.py",
    "tests/segments/test_turnover_kill.py",
    "tests/badinput/test_changelog.py",
    "tests/stack/test_dead_letters.py",
    "tests/journeys/test_kill.py",
    "tests/sinks/test_endpoint.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(scope(item.location[0]), len(LONGEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Processes that share the tests (`make test`) take them file by file, a folder that shares a line as a whole."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(str(super()._split_scope(nodeid)))

    return Scheduling(config, log)


def scope(file: str) -> str:
    """What goes to one process: a file, or the folder that shares a line."""
    return SHARING if file.startswith(SHARING) else file


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real Kafka, started at the first use.

    Its topics are shared by all tests of the run: take names of your own, or start a `KafkaBroker` of your own for a
    whole line.
    """
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    yield broker.start()
    broker.stop()
