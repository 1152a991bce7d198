"""Questions to the warehouse of a running line, whose sink may just be starting again.

Only the sink may have the files open: opening them here for as long as this waits would keep it from starting.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pathline.local import current
from schemas.settings import Settings
from sinks.clickhouse.connect import connect
from sinks.clickhouse.engine import Warehouse, WarehouseError, open_server, transient

T = TypeVar("T")

_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks each question over a connection of its own, for up to `patience` seconds."""

    settings: Settings
    patience: float

    def ask(self, question: Callable[[Warehouse], T]) -> T:
        """The answer. Raises WarehouseError, and whatever is wrong with the question."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                warehouse = self._open()
                try:
                    return question(warehouse)
                finally:
                    warehouse.close()
            except Exception as error:
                away = isinstance(error, WarehouseError) or transient(error)
                if not away or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _open(self) -> Warehouse:
        line = current.running_line()
        if self.settings.warehouse or line is None:
            return connect(self.settings)
        return open_server(line.warehouse, prepare=False)
