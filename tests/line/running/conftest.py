"""One whole line on a real Kafka for all tests of this folder: starting one takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.line.campaign import running_line
from tests.faults.line.running import RunningLine


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A line with the project of the campaign; each test leaves it at work and takes people of its own."""
    with running_line(tmp_path_factory.mktemp("line")) as line:
        yield line
