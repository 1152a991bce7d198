"""`pathline journeys`, `why` and `next` as people and programs call them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from pathline.cli import app
from pathline.journeys.explaining import explain
from pathline.journeys.upcoming import upcoming
from schemas.journey_states import PAUSED
from schemas.records import Definitions
from schemas.requests import ENTRY_REQUESTED
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.person import find
from sinks.clickhouse.views import published
from tests.journeys.lab import at
from tests.sinks.made import event, fill, update
from tests.sinks.test_journeys import PEOPLE, lived

ADDED = {"price": 5}

SPLIT = """
goal: {event: Order Completed, within: 1d}
steps:
  - id: subject
    split: {a: 50, b: 50}
    winner: {after: 5}
    a: [{wait: 1d}]
    b: [{wait: 2d}]
"""


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def asked(*arguments: str) -> Any:
    result = call(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def line(home: Path, warehouse: Warehouse) -> Path:
    """What a line with the journeys of `lived` has written, and events of people who never entered."""
    lab = lived()
    lab.journey("dear", "enter: {event: Product Added, where: event.properties.price > 100}\nsteps: [{exit: x}]\n")
    lab.journey("vips", "enter: {segment: vip}\nsteps: [{wait: 1d}]\n")
    lab.journey("callback", "enter: {api: true, where: event.properties.ticket > 10}\n" + SPLIT)
    lab.journey("weekly", "enter: {schedule: FREQ=WEEKLY, of: vip}\nsteps: [{exit: x}]\n")
    lab.file("winners.yaml", "callback/subject: b\n")
    happened = [
        update(event("Product Added", at(hours=n), who=f"user_id:u{n}", properties=ADDED)) for n in range(PEOPLE)
    ]
    happened.append(update(event("Page Viewed", at(), who="user_id:guest")))
    happened += [
        update(event(ENTRY_REQUESTED, at(hours=1), who=who, properties={"journey": journey, "ticket": 7}))
        for who, journey in (("user_id:u1", "callback"), ("user_id:u2", "another"))
    ]
    fill(
        warehouse,
        [Definitions(version="v", published_at=at(), files=lab.files), *lab.decided(), *lab.sends(), *happened],
    )
    return home


@pytest.mark.usefixtures("line")
class TestJourneys:
    def test_list_has_all_journeys_in_force_with_their_figures(self) -> None:
        rows = {row["journey"]: row for row in asked("journeys", "list")}
        assert set(rows) == {"cart", "other", "dear", "vips", "callback", "weekly"}
        assert (rows["cart"]["entered"], rows["cart"]["inside"], rows["cart"]["exited"]) == (40, 34, 6)
        assert rows["vips"] | {"journey": "", "state": ""} == dict.fromkeys(rows["vips"], 0) | {
            "journey": "",
            "state": "",
        }

    def test_show_tells_the_journey_in_words_and_where_people_are(self) -> None:
        told = asked("journeys", "show", "cart")
        assert told["enter"] == ["Product Added, at most every 30d"]
        assert (told["exit"], told["goal"]) == (["Order Cancelled"], "Order Completed within 30d")
        assert [step["does"] for step in told["steps"]] == [
            "wait 1h",
            "branch",
            "city = Kyiv: send hello by email",
            "wait until 09:00",
            "send hello by sms, then email",
            "wait 10d",
        ]
        assert [step["here"] for step in told["steps"]] == [0, 0, 0, 0, 0, 34]

    def test_show_tells_which_arm_has_won(self) -> None:
        told = asked("journeys", "show", "callback")["steps"][0]["does"]
        assert told == "split a 50 %, b 50 %, the best after 5 people in each: b has won"

    def test_stats_have_a_row_for_each_step(self) -> None:
        rows = {row["step"]: row for row in asked("journeys", "stats", "cart")}
        assert list(rows) == ["pause", "city", "first", "later", "last", "end"]
        assert rows["pause"]["came"] == PEOPLE
        assert rows["pause"]["left"] + rows["pause"]["ended"] == PEOPLE
        assert rows["first"]["skipped"] == {"no consent": rows["first"]["came"] - rows["first"]["sent"]}
        early = asked("journeys", "stats", "cart", "--to", "2026-03-03")
        assert early[0]["came"] == 12

    def test_a_name_that_is_none_is_told_with_what_was_meant(self) -> None:
        result = call("journeys", "stats", "crat")
        assert result.exit_code == 1
        assert "did you mean cart?" in result.output

    def test_the_picture_has_every_step_and_how_many_went_each_way(self, tmp_path: Path) -> None:
        told = call("journeys", "draw", "cart", "-o", str(tmp_path / "cart.svg"))
        assert told.exit_code == 0, told.output
        picture = (tmp_path / "cart.svg").read_text("utf-8")
        ElementTree.fromstring(picture)
        words = re.sub(r"<[^>]+>", " ", picture)
        words = " ".join(words.split())
        for part in ("40 entered", "wait 1h 6 ended", "city = Kyiv 17", "otherwise 17", "wait 10d 34 here", "11 sent",
                     "Enters: Product Added, at most every 30d"):  # fmt: skip
            assert part in words
        assert "://" not in picture.replace("http://www.w3.org/2000/svg", "")
        page = call("journeys", "draw", "cart", "--format", "html").stdout
        assert page.startswith("<!doctype html>")
        assert call("journeys", "draw", "cart", "-o", "cart.pdf").exit_code == 2


def test_a_project_is_drawn_without_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path / "home"))
    example = Path(__file__).parent.parent.parent / "definitions"
    told = call("journeys", "draw", "win_back", "--project", str(example))
    assert told.exit_code == 0, told.output
    assert "win_back" in told.stdout
    assert " came here" not in told.stdout
    assert call("journeys", "draw", "win_back").exit_code == 1


@pytest.mark.usefixtures("line")
class TestWhy:
    def test_the_story_of_who_was_inside(self) -> None:
        told = asked("why", "user_id:u1", "cart")
        assert told["verdict"] == [
            "inside since 2026-03-02T13:00:00.000Z, at step end (wait 10d) until 2026-03-13T09:00:00.000Z"
        ]
        assert [(d["step"], d["reason"]) for d in told["decisions"]] == [
            ("", "entered"),
            ("pause", "waiting"),
            ("city", "branch"),
            ("first", "sent"),
            ("later", "waiting"),
            ("last", "unreachable"),
            ("last", "sent"),
            ("end", "waiting"),
        ]

    def test_how_it_ended_and_what_let_somebody_not_in_again(self) -> None:
        told = asked("why", "user_id:u10", "cart")
        assert told["verdict"] == [
            "inside from 2026-03-02T22:00:00.000Z, exited 2026-03-02T22:30:00.000Z: event Order Cancelled"
        ]
        again = [d for d in asked("why", "user_id:u5", "cart")["decisions"] if d["reason"] == "not entered"]
        assert [(d["instance"], d["detail"]) for d in again] == [(0, "already inside")]

    def test_who_never_entered_hears_what_was_missing(self) -> None:
        assert asked("why", "user_id:guest", "cart")["verdict"] == [
            "was never inside",
            "the journey is in force since 2026-03-02T12:00:00.000Z",
            "enters by Product Added: never happened",
        ]
        dear = asked("why", "user_id:u1", "dear")["verdict"][-1]
        assert dear.endswith("happened once, last 2026-03-02T13:00:00.000Z, never so that event.properties.price > 100")
        assert asked("why", "user_id:u1", "vips")["verdict"][-1] == "enters when somebody entered vip: was never in it"

    def test_a_schedule_is_told_with_whether_the_person_is_in_its_segment(self) -> None:
        said = asked("why", "user_id:u1", "weekly")["verdict"][-1]
        assert said == "enters by FREQ=WEEKLY of vip: was never in it"

    def test_a_request_that_let_nobody_in_is_told(self) -> None:
        assert asked("journeys", "show", "callback")["enter"] == [
            "a request of a program where event.properties.ticket > 10"
        ]
        way = "enters by a request of a program where event.properties.ticket > 10: "
        assert [asked("why", f"user_id:u{number}", "callback")["verdict"][-1] for number in (1, 2)] == [
            way + "happened once, last 2026-03-02T13:00:00.000Z, never so that event.properties.ticket > 10",
            way + "never happened",
        ]

    def test_unknown_people_and_journeys(self) -> None:
        assert "nobody is known by user_id:u99" in call("why", "user_id:u99", "cart").output
        assert "did you mean cart?" in call("why", "user_id:u1", "carts").output

    def test_the_table_says_where_the_person_stands_first(self) -> None:
        shown = call("why", "user_id:u1", "cart").stdout
        assert shown.splitlines()[0] == "user_id:u1 in cart"
        assert "inside since" in shown.splitlines()[1]


@pytest.mark.usefixtures("line")
def test_next_tells_what_falls_due_and_what_comes_then() -> None:
    [found] = asked("next", "user_id:u1")
    assert (found["due"], found["journey"], found["step"]) == ("2026-03-13T09:00:00.000Z", "cart", "end")
    assert (found["waits"], found["then"]) == ("wait 10d", "the end")
    assert asked("next", "user_id:u10") == []
    assert call("next", "user_id:u10").stdout.strip() == "user_id:u10 waits in no journey."


@pytest.mark.usefixtures("line")
def test_why_says_that_a_journey_is_paused(warehouse: Warehouse) -> None:
    project, person = published(warehouse), find(warehouse, "user_id:u1")
    assert project is not None
    assert person is not None
    told = explain(warehouse, project, project.journeys["cart"], person, PAUSED)
    assert told.verdict[1:] == ["the journey is paused: what falls due waits for `pathline journeys resume`"]


@pytest.mark.usefixtures("line")
def test_next_says_that_a_journey_is_paused(warehouse: Warehouse) -> None:
    project, person = published(warehouse), find(warehouse, "user_id:u1")
    assert project is not None
    assert person is not None
    assert [found.state for found in upcoming(warehouse, project, person, {"cart": PAUSED})] == [PAUSED]
    assert asked("next", "user_id:u1")[0]["state"] == ""
