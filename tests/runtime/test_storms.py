"""A storm of bad records stops its worker, and starting it again opens no gate: on a real Kafka, with a process."""

from __future__ import annotations

import re
from pathlib import Path

from tests.runtime.workers import Counting, until

RUN = 50


def test_a_worker_that_is_started_again_passes_over_no_more_of_a_storm(kafka: str, tmp_path: Path) -> None:
    # transactions are small: each by itself would never reach the limit
    limits = {"pathline_dead_letter_run": RUN, "pathline_batch_records": 8}
    with Counting(kafka, tmp_path, "stormy", partitions=1, **limits) as line:
        line.publish("key", b"fine")
        for _ in range(6 * RUN):
            line.publish("key", b"poison")
        line.flush()
        worker = line.worker()
        until(lambda: worker.exit_code() is not None, "the worker stops")
        passed = len(line.dead_letters())
        assert RUN - 8 <= passed <= RUN
        for _ in range(2):
            worker.start()
            until(lambda: worker.exit_code() is not None, "it stops again")
            assert worker.exit_code() == 65
        assert len(line.dead_letters()) <= RUN
        assert f"stormy stops: more than {RUN} records in a row can't be used in stormy.in[0]" in line.logs()
        assert "pathline dead-letters list --app stormy --topic stormy.in" in line.logs()


def test_a_storm_over_all_partitions_stops_its_worker_as_soon_as_one_in_a_single_partition(
    kafka: str, tmp_path: Path
) -> None:
    limits = {"pathline_dead_letter_run": RUN, "pathline_batch_records": 8}
    with Counting(kafka, tmp_path, "spread", partitions=4, **limits) as line:
        # none of the partitions has as many as would stop it alone
        for number in range(2 * RUN):
            line.publish(f"key-{number}", b"poison")
        line.flush()
        worker = line.worker()
        for _ in range(2):
            until(lambda: worker.exit_code() == 65, "the worker stops")
            assert RUN - 8 <= len(line.dead_letters()) <= RUN
            worker.start()
        until(lambda: worker.exit_code() == 65, "it stops again")
        assert re.search(
            rf"more than {RUN} records in a row, over [234] partitions, can't be used in spread.in\[", line.logs()
        )


def test_higher_limits_let_a_storm_become_dead_letters(kafka: str, tmp_path: Path) -> None:
    with Counting(kafka, tmp_path, "calmed", partitions=1, pathline_dead_letter_run=RUN) as line:
        for _ in range(2 * RUN):
            line.publish("key", b"poison")
        line.publish("key", b"fine")
        line.flush()
        worker = line.worker()
        until(lambda: worker.exit_code() == 65, "the worker stops")
        worker.environment["PATHLINE_DEAD_LETTER_RUN"] = str(3 * RUN)
        worker.start()
        until(lambda: [record.value for record in line.read("out")] == [b"1"], "what is good behind it is counted")
        assert len(line.dead_letters()) == 2 * RUN
