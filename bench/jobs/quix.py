"""The counting job in Quix Streams, exactly once, all else at its defaults (it commits every 5 s), or with a commit
interval in seconds. Needs `quixstreams` (bench/peers.txt).
"""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application
from quixstreams.state import State


def main(brokers: str, app: str, into: str, out: str, home: str, partitions: str, interval: str = "5") -> None:
    application = Application(
        broker_address=brokers,
        consumer_group=app,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        state_dir=home,
        commit_interval=float(interval),
        loglevel="WARNING",
    )
    source = application.topic(into, value_deserializer="bytes")
    target = application.topic(out, value_serializer="bytes")

    def count(event: Any, state: State) -> Any:
        state.set("seen", state.get("seen", 0) + 1)
        return event

    application.dataframe(source).apply(count, stateful=True).to_topic(target)
    application.run()


if __name__ == "__main__":
    main(*sys.argv[1:8])
