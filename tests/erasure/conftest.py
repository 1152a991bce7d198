"""One embedded engine for all tests here: a process can have only one open."""

from tests.sinks.conftest import engine, warehouse

__all__ = ["engine", "warehouse"]
