"""`pathline sink`: the writer into ClickHouse."""

from __future__ import annotations

from typing import Annotated

import typer


def sink(
    port: Annotated[int, typer.Option(help="Port of the embedded engine's HTTP interface; 0 takes a free one.")] = 0,
) -> None:
    """Write what the line publishes into ClickHouse.

    With PATHLINE_WAREHOUSE it writes to that server; otherwise the engine runs in this process and answers ClickHouse
    clients at the port.
    """
    from confluent_kafka import KafkaException

    from processors.runtime.exits import Exit, leave, no_room
    from schemas.kafka import cause_of
    from schemas.limits import TooMany
    from schemas.settings import Settings
    from sinks.clickhouse.app import run

    try:
        run(Settings(), port)
    except TooMany as many:
        leave(Exit.DEAD_LETTERS, str(many))
    except KafkaException as error:
        leave(Exit.LOST, f"sink: {cause_of(error).str()}")
    except Exception as error:
        if no_room(error):
            leave(Exit.DISK, f"the disk is full, make room: {error}")
        raise
