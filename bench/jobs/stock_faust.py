"""The counting job in Faust as it comes, with a RocksDB table; at least once, as its exactly-once mode is broken."""

from __future__ import annotations

import os
import sys

import faust


def main(brokers: str, app_id: str, into: str, out: str, home: str, partitions: str) -> None:
    app = faust.App(
        app_id,
        broker=f"kafka://{brokers}",
        store="rocksdb://",
        datadir=home,
        topic_partitions=int(partitions),
        topic_replication_factor=1,
        table_standby_replicas=0,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        worker_redirect_stdouts=False,
    )
    source = app.topic(into, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    target = app.topic(out, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    seen = app.Table("seen", default=int, partitions=int(partitions), key_type=str, value_type=int)

    @app.agent(source)
    async def count(events: faust.StreamT[bytes]) -> None:
        async for event in events.events():
            seen[event.key.decode()] += 1
            await target.send(key=event.key, value=event.value)

    app.finalize()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    faust.Worker(app, loglevel="WARN").execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:7])
