"""`pathline segments sql` prints a query that finds the members; the others tell what the line published."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result
from msgspec.structs import replace
from typer.testing import CliRunner

from pathline.cli import app
from pathline.commands.segments_members import not_applied
from schemas.definitions import parse
from schemas.identifiers import person_id
from schemas.records import Change, Definitions, Update
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.membership import sizes
from sinks.clickhouse.paths.weekly import Span
from tests.sinks.made import DAY, HOUR, T0, event, fill, update
from tests.sinks.test_views import merged

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


def changed(name: str, what: str, at: int, who: str, cause: str = "event") -> Update:
    made = Change(segment=name, change=what, cause=cause, reason=f"because {what}", at=at)
    return update(event("Bought", at, who=f"user_id:{who}"), [made])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> int:
    """The clock of the line stands here."""
    now = T0 + 10 * DAY
    monkeypatch.setenv("PATHLINE_CLOCK", "scaled")
    for name, value in (("START", now - 1), ("UNTIL", now), ("STARTED", 1)):
        monkeypatch.setenv(f"PATHLINE_CLOCK_{name}", str(value))
    return now


@pytest.mark.usefixtures("clock")
class TestPublished:
    """u1 is in the segment from day 0 on, u2 from day 0 to day 9 and a half, u3 from day 9 and a half on."""

    @pytest.fixture(autouse=True)
    def lived(self, warehouse: Warehouse) -> None:
        turn = T0 + 9 * DAY + 12 * HOUR
        fill(
            warehouse,
            [
                changed("fresh", "entered", T0, "u1"),
                changed("fresh", "entered", T0 + HOUR, "u2"),
                changed("fresh", "left", turn, "u2", "timer"),
                changed("fresh", "entered", turn, "u3"),
                changed("~hidden", "entered", turn, "u3"),
            ],
        )

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        result = call(*arguments, "--format", "json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert isinstance(found, list)
        return found

    def test_the_list_tells_how_many_there_are_and_what_the_last_day_changed(self, folder: Path) -> None:
        assert self.rows("list", "--project", str(folder)) == [
            {"segment": "fresh", "people": 2, "entered": 1, "left": 1, "state": "no line runs", "detail": ""},
            {"segment": "odd", "people": 0, "entered": 0, "left": 0, "state": "no line runs", "detail": ""},
        ]

    def test_what_a_folder_says_otherwise_than_the_line_is_not_applied(self) -> None:
        here = parse(FILES)
        assert not_applied(here, here) == []
        assert not_applied(here, None) == ["fresh", "odd"]
        changed = FILES | {"segments/fresh.yaml": "when: {did: Bought, within: 3d}\n"}
        assert not_applied(parse(changed), here) == ["fresh"]

    def test_without_a_project_here_it_is_the_one_that_was_published_last(
        self, home: Path, warehouse: Warehouse
    ) -> None:
        (home / "project.yaml").unlink()
        fill(warehouse, [Definitions(version="v", published_at=T0, files=FILES)], first=100)
        assert [row["segment"] for row in self.rows("list")] == ["fresh", "odd"]

    @pytest.mark.parametrize(
        ("at", "there"),
        [
            ("2026-02-28T23:59:59.999Z", []),
            ("2026-03-01", ["u1"]),
            ("2026-03-10T11:59:59.999Z", ["u1", "u2"]),
            ("2026-03-10T12:00", ["u1", "u3"]),
        ],
    )
    def test_members_are_those_of_the_instant(self, home: Path, at: str, there: list[str]) -> None:
        assert [row["identifiers"] for row in self.rows("members", "fresh", "--at", at)] == [
            [f"user_id:{name}"] for name in there
        ]

    def test_of_an_instant_to_come_it_is_said_that_the_members_are_those_of_now(self, home: Path) -> None:
        told = call("members", "fresh", "--at", "2026-03-20", "--format", "json")
        assert json.loads(told.stdout) == self.rows("members", "fresh")
        assert "2026-03-20 is still to come" in told.stderr
        assert "to come" not in call("members", "fresh", "--at", "2026-03-10").stderr

    def test_members_as_csv(self, home: Path) -> None:
        result = call("members", "fresh", "--format", "csv", "--limit", "1")
        assert list(csv.DictReader(io.StringIO(result.stdout))) == [
            {
                "person_id": person_id("user_id:u1"),
                "identifiers": "user_id:u1",
                "since": "2026-03-01T00:00:00.000Z",
                "cause": "event",
                "reason": "because entered",
            }
        ]
        assert "did you mean fresh?" in call("members", "fresch").output

    def test_after_a_merge_members_are_the_persons_of_today_with_all_they_are_known_by(
        self, home: Path, warehouse: Warehouse
    ) -> None:
        fill(warehouse, merged("user_id:u2", "user_id:u1", T0 + DAY), first=50)
        [first] = self.rows("members", "fresh", "--at", "2026-03-02T12:00")
        assert (first["person_id"], first["identifiers"]) == (person_id("user_id:u1"), ["user_id:u1", "user_id:u2"])

    def test_show_tells_the_definition_in_words_and_the_size_day_by_day(self, folder: Path) -> None:
        result = call("show", "fresh", "--project", str(folder), "--format", "json")
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        history = told.pop("history")
        assert told == {
            "segment": "fresh", "when": "did Bought within 2d", "people": 2, "entered_last_day": 1, "left_last_day": 1,
        }  # fmt: skip
        assert len(history) == 30
        days = {row.pop("until")[:10]: row for row in history}
        assert days["2026-03-01"] == {"people": 0, "entered": 0, "left": 0}
        assert days["2026-03-02"] == {"people": 2, "entered": 2, "left": 0}
        assert days["2026-03-10"] == {"people": 2, "entered": 0, "left": 0}
        assert "did Bought within 2d" in call("show", "fresh", "--project", str(folder)).stdout

    def test_show_draws_a_page(self, folder: Path) -> None:
        page = call("show", "fresh", "--project", str(folder), "--format", "html", "--by", "week").stdout
        assert "fresh, 2026-03-09 00:00: 2 people" in page
        empty = call("show", "odd", "--project", str(folder), "--format", "html").stdout
        assert "Nobody has been in it yet." in empty

    def test_sizes_of_periods_that_the_end_cuts_off(self, warehouse: Warehouse) -> None:
        found = sizes(warehouse, Span(T0 + 1, T0 + 9 * DAY), 4 * DAY)
        assert [(one.at, one.people, one.entered, one.left) for one in found["fresh"]] == [
            (T0 + 1 + 4 * DAY, 2, 1, 0),
            (T0 + 1 + 8 * DAY, 2, 0, 0),
            (T0 + 9 * DAY, 2, 0, 0),
        ]
