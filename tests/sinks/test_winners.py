"""Which arm wins: counted in the warehouse, of those who had the whole time of the goal."""

from __future__ import annotations

from pathlib import Path

import msgspec
from typer.testing import CliRunner

from pathline.cli import app
from pathline.journeys.winning import winners, written
from schemas.definitions import Project, parse
from schemas.reasons import ARM, WINNER
from schemas.records import Decision
from sinks.clickhouse.engine import Warehouse
from tests.journeys.test_winners import JOURNEY
from tests.sinks.made import DAY, HOUR, T0, decision, event, fill, update


def project(winners: str = "{}") -> Project:
    return parse({"journeys/j.yaml": JOURNEY.replace("100", "3"), "winners.yaml": winners})


def given(who: str, arm: str, at: int = T0, reason: str = ARM) -> Decision:
    return msgspec.structs.replace(decision(at, "j", reason, who=f"user_id:{who}"), detail=arm, step="subject")


def test_the_arm_of_which_most_convert_wins_once_each_has_enough_people_who_had_the_time(warehouse: Warehouse) -> None:
    people = [given(f"{arm}{number}", arm) for arm in "ab" for number in range(2)]
    late = [given("a3", "a", T0 + HOUR), given("b3", "b", T0 + 2 * HOUR)]
    told = [given(f"w{number}", "a", reason=WINNER) for number in range(9)]
    bought = [update(event("B", T0 + HOUR, who=f"user_id:{who}")) for who in ("b1", "a0", "b0")]
    fill(warehouse, [*people, *late, *told, *bought])
    assert winners(warehouse, project(), T0 + DAY + 2 * HOUR) == {}
    assert winners(warehouse, project(), T0 + DAY + 2 * HOUR + 1) == {"j/subject": "b"}
    assert winners(warehouse, project("j/subject: a"), T0 + DAY + 3 * HOUR) == {"j/subject": "a"}


def test_while_two_arms_are_as_good_none_has_won(warehouse: Warehouse) -> None:
    people = [given(f"{arm}{number}", arm) for arm in "ab" for number in range(3)]
    fill(warehouse, people)
    assert winners(warehouse, project(), T0 + 2 * DAY) == {}
    fill(warehouse, [*people, *(update(event("B", T0 + HOUR, who=f"user_id:{who}")) for who in ("a1", "b1"))])
    assert winners(warehouse, project(), T0 + 2 * DAY) == {}


def test_what_is_found_can_be_published() -> None:
    assert project(written({"j/subject": "b", "k/1.a.2": "a"})).winners == {"j/subject": "b", "k/1.a.2": "a"}
    assert project(written({})).winners == {}


def test_the_command_says_when_none_has_won(home: Path, warehouse: Warehouse, tmp_path: Path) -> None:
    folder, file = tmp_path / "shop", tmp_path / "winners.yaml"
    for name, text in project().files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "project.yaml").write_text("name: shop\n")
    asked = ("journeys", "winners", "--project", str(folder), "--output", str(file))
    said = CliRunner().invoke(app, asked)
    assert (said.exit_code, said.output.splitlines()[-1], file.exists()) == (0, "no arm has won yet", False)
    (folder / "winners.yaml").write_text("j/subject: b\n")
    said = CliRunner().invoke(app, asked)
    assert (said.exit_code, file.read_text()) == (0, "j/subject: b\n")


def test_nobody_has_won_before_anybody_came(warehouse: Warehouse) -> None:
    assert winners(warehouse, project(), T0) == {}
    fill(warehouse, [given("a0", "a")])
    assert winners(warehouse, project(), T0 + 2 * DAY) == {}
