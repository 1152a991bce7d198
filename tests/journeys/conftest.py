"""A fresh lab for each test."""

from __future__ import annotations

import pytest

from tests.journeys.lab import Lab


@pytest.fixture
def lab() -> Lab:
    return Lab()
