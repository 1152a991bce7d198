"""`pathline segments sql`: what it prints is a query that finds the members."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from click.testing import Result
from msgspec.structs import replace
from typer.testing import CliRunner

from pathline.cli import app
from schemas.identifiers import person_id
from sinks.clickhouse.engine import Warehouse
from tests.sinks.made import DAY, T0, event, fill, update

FILES = {
    "project.yaml": "name: shop\ntimezone: Europe/Kyiv\n",
    "identity.yaml": "identifiers:\n  user_id: {limit: 1}\n  email: {limit: 5}\n",
    "segments/fresh.yaml": "when: {did: Bought, within: 2d}\n",
    "segments/odd.yaml": "when: {did: Bought, where: 'bytes(event.properties.code) == b\"a\"'}\n",
}


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["segments", *arguments])


@pytest.fixture
def folder(home: Path) -> Path:
    for path, text in FILES.items():
        file = home / "shop" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return home / "shop"


class TestSql:
    def printed(self, folder: Path, *arguments: str) -> str:
        result = call("sql", "fresh", "--project", str(folder), *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    @pytest.mark.parametrize(
        ("at", "there"), [("2026-03-02T23:59:59.999Z", {"u1"}), ("2026-03-03", set()), ("2026-02-28T23:59:59", set())]
    )
    def test_the_query_finds_who_is_in_it_at_the_instant(
        self, folder: Path, warehouse: Warehouse, at: str, there: set[str]
    ) -> None:
        fill(warehouse, [update(event("Bought", T0)), update(event("Bought", T0 - 3 * DAY, who="user_id:u2"))])
        rows = warehouse.rows(self.printed(folder, "--at", at))
        assert {row["person_id"] for row in rows} == {UUID(person_id(f"user_id:{name}")) for name in there}

    def test_it_tells_how_people_are_known_when_asked(self, folder: Path, warehouse: Warehouse) -> None:
        fill(warehouse, [update(event("Bought", T0))])
        rows = warehouse.rows(self.printed(folder, "--at", "2026-03-01", "--identifiers"))
        assert [row["identifiers"] for row in rows] == [["user_id:u1"]]

    def test_what_arrived_later_counts_unless_it_is_left_out(self, folder: Path, warehouse: Warehouse) -> None:
        late = replace(event("Bought", T0), received_at=T0 + DAY)
        fill(warehouse, [update(late)])
        at = ("--at", "2026-03-01T12:00")
        assert len(warehouse.rows(self.printed(folder, *at))) == 1
        assert not warehouse.rows(self.printed(folder, *at, "--arrived"))
        assert len(warehouse.rows(self.printed(folder, "--at", "2026-03-02", "--arrived"))) == 1

    def test_what_sql_cannot_say_is_told_in_plain_words(self, folder: Path) -> None:
        result = call("sql", "odd", "--project", str(folder))
        assert result.exit_code == 1
        assert "segment odd can't be said in SQL: where: bytes(" in result.output
        assert "did you mean fresh?" in call("sql", "fresch", "--project", str(folder)).output
        assert "--at" in call("sql", "fresh", "--project", str(folder), "--at", "soon").output
