"""A ClickHouse to write to and read from: the engine in this process (chDB) or a server, behind the same few calls."""

from __future__ import annotations

import fcntl
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError, ProgrammingError

from sinks.clickhouse.migrate import migrate

# what the endpoint of a line takes and the client thinks it does not; it would say so at every query
clickhouse_connect.common.set_setting("invalid_setting_action", "send")
logging.getLogger("clickhouse_connect.driver.client").setLevel(logging.ERROR)
#: of answers in Arrow: packing costs more than a way within the machine
_AS_IT_IS = {"output_format_arrow_compression_method": "none", "output_format_arrow_low_cardinality_as_dictionary": 1}
_SAID = re.compile(r"DB::Exception: (.*?)(?:: [Ww]hile executing|: In scope |\. Stack trace| \(version| \(for url|$)")
#: ClickHouse error codes that time heals: limits on memory, parts, queries and the network
_TRANSIENT = frozenset({159, 202, 209, 210, 241, 252, 319, 425, 473})


class WarehouseError(Exception):
    """The warehouse can't be used; the message says what to do."""


class Warehouse:
    """One connection. Safe to use from several threads, which then wait for one another."""

    def __init__(self, client: Any, path: Path | None = None) -> None:
        self._client = client
        self.path = path

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Result rows by column name. `{name:Type}` in the SQL are parameters."""
        return list(self._client.query(sql, parameters=parameters or {}).named_results())

    def arrow(self, sql: str, parameters: dict[str, Any] | None = None) -> pa.Table:
        """Result as an Arrow table, for large ones; columns of few texts have them as a dictionary."""
        return self._client.query_arrow(sql, parameters=parameters or {}, settings=_AS_IT_IS, use_strings=True)

    def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        """Run a statement for its effect."""
        self._client.command(sql, parameters=parameters or {})

    def insert(self, table: str, data: pa.Table, token: str) -> None:
        """Insert rows into `pathline.<table>`; another insert under the same token leaves no second copy.

        The token must stand for exactly these rows: ClickHouse drops what comes under a known token without looking.
        """
        self._client.insert_arrow(
            table,
            data,
            database="pathline",
            settings={
                # the defaults of these changed twice in 2026
                "async_insert": 0,
                "insert_deduplicate": 1,
                "deduplicate_blocks_in_dependent_materialized_views": 1,
                "insert_deduplication_token": token,
                # history arrives with many months in one batch
                "max_partitions_per_insert_block": 0,
            },
        )

    def close(self) -> None:
        self._client.close()


def open_embedded(folder: Path, prepare: bool = True) -> Warehouse:
    """Open the warehouse files in a folder; `prepare` brings them to this version's schema.

    Only one process can have them open. Raises WarehouseError when another one has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if _locked(folder):
        raise WarehouseError(f"the warehouse in {folder} is open in another process")
    warehouse = Warehouse(_embedded_client(folder), folder)
    if prepare:
        _prepare(warehouse)
    return warehouse


def another(path: Path) -> Warehouse:
    """A further connection to the embedded engine whose files this process has open already."""
    return Warehouse(_embedded_client(path), path)


def open_server(dsn: str, prepare: bool = True) -> Warehouse:
    """Connect to a ClickHouse server, `http(s)://user:password@host:port/`; credentials may stand in the query instead.

    `prepare` brings it to this version's schema. Raises WarehouseError when it can't be reached or refuses.
    """
    parts = urlsplit(dsn)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    user = unquote(parts.username or "") or query.get("user", "default")
    password = unquote(parts.password or "") or query.get("password", "")
    secure = parts.scheme in ("https", "clickhouses")
    try:
        client = clickhouse_connect.get_client(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or (8443 if secure else 8123),
            username=user,
            password=password,
            secure=secure,
            autogenerate_session_id=False,
            form_encode_query_params=True,
            send_receive_timeout=600,
        )
    except ClickHouseError as error:
        raise WarehouseError(f"ClickHouse at {parts.hostname}:{parts.port} can't be used: {error}") from error
    warehouse = Warehouse(client)
    if prepare:
        _prepare(warehouse, credentials=f"USER {_quoted(user)} PASSWORD {_quoted(password)}")
    return warehouse


def _prepare(warehouse: Warehouse, credentials: str = "") -> None:
    # views need queries, and those need a warehouse
    from sinks.clickhouse.views import define

    migrate(warehouse, credentials)
    define(warehouse)


def said(error: Exception) -> str:
    """What ClickHouse said, without where in a query it was."""
    found = _SAID.search(str(error))
    return found[1].strip() if found else str(error)


def transient(error: Exception) -> bool:
    """Whether the same insert may succeed later."""
    code = getattr(error, "code", None)
    return isinstance(error, OperationalError) or (isinstance(error, ClickHouseError) and code in _TRANSIENT)


def _embedded_client(folder: Path) -> Any:
    try:
        return clickhouse_connect.get_client(interface="chdb", path=str(folder))
    except ProgrammingError as error:
        raise WarehouseError(f"the warehouse in {folder} can't be opened: {error}") from error


def _locked(folder: Path) -> bool:
    # asked first: the engine itself writes to stderr and then only says that it could not start
    try:
        with (folder / "status").open("rb") as status:
            fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
