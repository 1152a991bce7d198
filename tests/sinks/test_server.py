"""What holds on the embedded engine holds on a ClickHouse server; runs where a container engine answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import docker
import pytest
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from sinks.clickhouse.engine import Warehouse, WarehouseError, open_server
from tests.sinks import test_migrations, test_pressure, test_retention, test_rows, test_squash, test_transitions
from tests.warehouse import emptied

IMAGE = "clickhouse/clickhouse-server:25.8"
START_SECONDS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Warehouse]:
    try:
        docker.from_env().ping()
    except DockerException as error:
        pytest.skip(f"no container engine answers, so there is no ClickHouse server: {error}")
    container = DockerContainer(IMAGE).with_exposed_ports(8123).with_env("CLICKHOUSE_PASSWORD", "secret")
    with container as started:
        address = f"{started.get_container_host_ip()}:{started.get_exposed_port(8123)}"
        opened = _opened(f"http://default:secret@{address}/")
        yield opened
        opened.close()


@pytest.mark.parametrize(
    "holds",
    [
        test_rows.test_a_repeated_batch_leaves_no_second_copy,
        test_rows.test_reads_see_a_merge_although_rows_keep_the_person_of_their_time,
        test_rows.test_a_send_goes_with_the_address_it_was_sent_to,
        test_rows.test_members_are_those_whose_last_change_was_to_enter,
        test_rows.test_the_newest_profile_counts_and_an_absorbed_person_is_gone,
        test_migrations.test_every_table_knows_tokens_also_those_that_views_write_to,
        test_migrations.test_every_table_has_the_columns_that_are_written,
        test_retention.test_what_is_too_old_goes_and_a_longer_time_holds_again,
        test_pressure.test_parts_count_by_month,
        test_squash.test_rows_have_their_persons_without_overrides,
        test_squash.test_what_comes_later_counts_as_before,
        test_squash.test_a_kill_between_any_two_statements_changes_nothing,
        test_transitions.test_a_send_counts_once_from_the_depth_asked_for,
        test_transitions.test_a_visit_ends_after_exactly_the_gap,
    ],
    ids=lambda holds: holds.__name__.removeprefix("test_"),
)
def test_on_a_server(server: Warehouse, holds: Callable[[Warehouse], None]) -> None:
    holds(emptied(server))


def _opened(dsn: str) -> Warehouse:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return open_server(dsn)
        except WarehouseError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.5)
