"""`pathline paths` and `pathline person` as people and programs call them."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pathline.cli import app
from schemas.definitions import parse
from schemas.identifiers import person_id, slot_of
from schemas.records import Assignment, Change, Move, Period, Refusal, SlotVersion, Update
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.files import load_text
from sinks.clickhouse.views import adopt
from tests.sinks.made import DAY, HOUR, MINUTE, T0, decision, event, fill, send, update

ANN, COOKIE = "email:ann@example.com", "anonymous_id:cookie"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def asked(*arguments: str) -> Any:
    result = call(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def shop(home: Path, warehouse: Warehouse) -> None:
    fill(
        warehouse,
        [
            update(event("Page Viewed", T0)),
            update(event("Page Viewed", T0 + MINUTE)),
            update(event("Order Completed", T0 + HOUR, channel="store", properties={"total": 30})),
            update(event("Page Viewed", T0 + DAY, who="user_id:u2")),
        ],
    )


@pytest.mark.usefixtures("shop")
class TestPaths:
    def test_transitions_have_the_documented_fields(self) -> None:
        assert asked("paths", "transitions", "--by", "channel") == [
            {"from": "(start)", "to": "web", "count": 2, "people": 2, "median_seconds": None},
            {"from": "store", "to": "(end)", "count": 1, "people": 1, "median_seconds": None},
            {"from": "web", "to": "(end)", "count": 1, "people": 1, "median_seconds": None},
            {"from": "web", "to": "store", "count": 1, "people": 1, "median_seconds": 3600.0},
        ]
        by_event = asked("paths", "transitions", "--by", "event", "--to", "2026-03-02")
        assert {(row["from"], row["to"]) for row in by_event} == {
            ("(start)", "Page Viewed"),
            ("Page Viewed", "Page Viewed"),
            ("Page Viewed", "Order Completed"),
            ("Order Completed", "(end)"),
        }

    def test_a_funnel_has_the_documented_fields(self) -> None:
        steps = ("--steps", "Page Viewed", "--steps", "Order Completed")
        assert asked("paths", "funnel", *steps, "--within", "7d") == [
            {"step": 1, "name": "Page Viewed", "people": 2, "from_first": 1.0, "from_previous": 1.0}
            | {"median_seconds": None},
            {"step": 2, "name": "Order Completed", "people": 1, "from_first": 0.5, "from_previous": 0.5}
            | {"median_seconds": 3600.0},
        ]
        assert [row["channel"] for row in asked("paths", "funnel", *steps, "--by", "channel")] == ["web", "web"]
        assert [row["people"] for row in asked("paths", "funnel", *steps, "--from", "2026-03-02T00:00:00Z")] == [1, 0]

    def test_flows_have_the_documented_fields(self) -> None:
        assert asked("paths", "flows", "--start", "Page Viewed", "--depth", "1", "--by", "event") == [
            {"step": 1, "from": "Page Viewed", "to": "(end)", "count": 1, "people": 1, "median_seconds": None},
            {"step": 1, "from": "Page Viewed", "to": "Page Viewed", "count": 1, "people": 1, "median_seconds": 60.0},
        ]
        behind = asked("paths", "flows", "--by", "event", "--people", "1:(start)->Page Viewed")
        assert [row["count"] for row in behind] == [1, 1]
        assert {row["person_id"] for row in behind} == {person_id("user_id:u1"), person_id("user_id:u2")}

    def test_attribution_has_the_documented_fields(self) -> None:
        found = asked("paths", "attribution", "--conversion", "Order Completed", "--model", "last")
        assert found == [{"channel": "web", "conversions": 1.0, "revenue": 30.0, "cost": 0.0, "roas": None}]
        models = asked("paths", "attribution", "--model", "all", "--by", "property:total")
        assert {tuple(row) for row in models} == {
            ("model", "property", "conversions", "revenue", "cost", "roas"),
        }
        assert len({row["model"] for row in models}) == 8

    def test_a_funnel_tells_times_and_drops(self) -> None:
        steps = ("paths", "funnel", "--steps", "Page Viewed", "--steps", "Order Completed", "--show")
        assert asked(*steps, "times") == [{"from_seconds": 3600, "to_seconds": 21600, "people": 1, "share": 1.0}]
        assert asked(*steps, "drops") == [
            {"step": 1, "name": "Page Viewed", "instead": "(end)", "people": 1, "share": 1.0}
        ]

    @pytest.mark.parametrize(
        "asked_for",
        [
            ("transitions",),
            ("flows", "--start", "Page Viewed", "--by", "event"),
            ("flows", "--end", "Nothing"),
            ("funnel", "--steps", "Page Viewed", "--steps", "Order Completed", "--by", "channel"),
            ("attribution",),
        ],
    )
    def test_pages_have_a_picture_and_need_no_network(self, asked_for: tuple[str, ...]) -> None:
        result = call("paths", *asked_for, "--format", "html")
        assert result.exit_code == 0, result.output
        assert ("<svg" in result.stdout) == ("Nothing" not in asked_for)
        assert not re.search(r"https?:|src=|@import|<script", result.stdout)

    def test_every_format_shows_the_same(self) -> None:
        steps = ("paths", "funnel", "--steps", "Page Viewed", "--steps", "Order Completed", "--format")
        table = call(*steps, "table").stdout
        assert "Order Completed" in table
        assert "50.0%" in table
        rows = list(csv.DictReader(io.StringIO(call(*steps, "csv").stdout)))
        assert [(row["name"], row["people"], row["median_seconds"]) for row in rows] == [
            ("Page Viewed", "2", ""),
            ("Order Completed", "1", "3600.0"),
        ]
        page = call(*steps, "html").stdout
        assert page.startswith("<!doctype html>")
        assert "http" not in page

    def test_an_expression_filters(self) -> None:
        rows = asked("paths", "transitions", "--where", "event.properties.total > 20")
        assert [(row["from"], row["to"]) for row in rows] == [("(start)", "store"), ("store", "(end)")]

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("transitions", "--by", "mood"), "property:NAME"),
            (("transitions", "--touch", "felt"), "delivered"),
            (("transitions", "--session-gap", "soon"), "30s, 5m, 6h"),
            (("transitions", "--from", "yesterday"), "ISO 8601"),
            (("transitions", "--from", "2026-03-02", "--to", "2026-03-01"), "ends before it begins"),
            (("transitions", "--where", "event.properties.total >"), "--where"),
            (("transitions", "--where", "entry.name == 'A'"), "about event"),
            (("transitions", "--format", "xml"), "table, json, csv, html"),
            (("transitions", "--clean", "a"), "PATTERN=>NAME"),
            (("transitions", "--clean", "(=>b"), "--clean"),
            (("transitions", "--clean", "(?=a)=>b"), "--clean"),
            (("flows", "--people", "web to store"), "STEP:FROM->TO"),
            (("attribution", "--model", "best"), "shapley"),
            (("funnel", "--steps", "A"), "at least twice"),
            (("funnel", "--steps", "A", "--steps", ""), "a name is empty"),
            (("attribution", "--conversion", ""), "a name is empty"),
            (("channels", "--conversion", " "), "a name is empty"),
            (("experiment", "welcome", "--conversion", ""), "a name is empty"),
            (("funnel", "--steps", "A", "--steps", "B", "--by", "mood"), "channel"),
            (("funnel", "--steps", "A", "--steps", "B", "--breakdown", "step:3"), "step:2"),
        ],
    )
    def test_mistakes_are_told_in_a_line(self, arguments: tuple[str, ...], told: str) -> None:
        result = call("paths", *arguments)
        assert result.exit_code in (1, 2)
        assert told in " ".join(result.output.replace("│", " ").split())
        assert "Traceback" not in result.output


def test_amounts_without_a_rate_are_told_beside_the_answer(home: Path, warehouse: Warehouse) -> None:
    fill(warehouse, [update(event("Order Completed", T0, properties={"total": 9, "currency": "CHF"}))])
    load_text(warehouse, "day,channel,amount,currency\n2026-03-01,ads,7,SEK\n", "c.csv")
    told = {"revenue without 9.00 CHF: no rate is known", "costs without 7.00 SEK: no rate is known"}
    for asked_for in ("attribution", "channels"):
        result = call("paths", asked_for, "--format", "json")
        assert json.loads(result.stdout)
        assert all(text in result.stderr for text in told)
        assert all(text in call("paths", asked_for, "--format", "html").stdout for text in told)
    assert "revenue without 9.00 CHF" in call("paths", "ltv").stderr


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("funnel", "--steps", "Page Viewed", "--steps", "Order Complete"), ["'Order Complete'"]),
        (("funnel", "--steps", "Page Viewed", "--steps", "Order Completed", "--exclude", "Refund"), ["'Refund'"]),
        (("flows", "--start", "page viewed", "--by", "event"), ["'page viewed'"]),
        (("flows", "--start", "wbe", "--end", "Order Completed"), ["'wbe'"]),
        (("flows", "--start", "web"), []),
        (("flows", "--start", "Page Viewed"), []),
        (("flows", "--start", "shop", "--clean", "web=>shop"), []),
        (("flows", "--start", "page viewed", "--people", "1:web->store"), ["'page viewed'"]),
        (("flows", "--start", "31", "--by", "property:total"), ["'31'"]),
        (("flows", "--start", "30", "--by", "property:total"), []),
        (("transitions", "--exclude", "sotre"), ["'sotre'"]),
        (("transitions", "--exclude", "store"), []),
        # an event excludes nothing from paths of channels
        (("transitions", "--exclude", "Page Viewed"), ["'Page Viewed'"]),
        (("attribution", "--conversion", "Order Complete", "--exclude", "wb"), ["'Order Complete'", "'wb'"]),
        (("attribution",), []),
        (("channels", "--conversion", "Order Complete"), ["'Order Complete'"]),
        (("ltv", "--start", "Order Complete", "--conversion", "Order Completed"), ["'Order Complete'"]),
        (("retention", "--start", "Page Viewed", "--return", "Order Complete"), ["'Order Complete'"]),
        (("dropoff", "--exclude", "sotre"), ["'sotre'"]),
        # of what happened at another time it is not said that it never did
        (("funnel", "--steps", "Page Viewed", "--steps", "Order Completed", "--to", "2026-01-01"), []),
    ],
)
def test_a_name_that_nothing_has_is_told_beside_the_answer(arguments: tuple[str, ...], told: list[str]) -> None:
    result = call("paths", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    notes = result.stderr.splitlines()
    assert len(notes) == len(told), result.stderr
    assert all(name in note for name, note in zip(told, notes, strict=True))


@pytest.mark.usefixtures("shop")
def test_what_was_probably_meant_is_told() -> None:
    noted = call("paths", "attribution", "--conversion", "order complete").stderr
    assert noted == "nothing is called 'order complete': did you mean Order Completed?\n"
    assert "did you mean store?" in call("paths", "transitions", "--exclude", "sotre").stderr
    assert "did you mean Order Completed?" in call("paths", "flows", "--end", "Order Complete").stderr
    page = call("paths", "attribution", "--conversion", "order complete", "--format", "html")
    assert "did you mean Order Completed?" in page.stdout
    assert page.stderr == ""


def test_a_channel_nobody_told_a_cost_of_has_no_return(home: Path, warehouse: Warehouse) -> None:
    happened = [
        event("Email Link Clicked", T0, channel="email", send_id="of another system"),
        event("Order Completed", T0 + HOUR, channel="store", properties={"total": 30}),
    ]
    fill(warehouse, list(map(update, happened)))
    [channel] = asked("paths", "channels")
    [credit] = asked("paths", "attribution")
    assert (channel["sent"], channel["revenue"], channel["margin"]) == (1, 30, 30)
    # programs add costs up
    assert (channel["cost"], channel["roas"]) == (credit["cost"], credit["roas"]) == (0, None)
    for question in ("channels", "attribution"):
        assert call("paths", question, "--format", "csv").stdout.splitlines()[1].count("0.0,") >= 1
        assert "0.00" not in call("paths", question).stdout.replace("30.00", "")
        assert ">0.00<" not in call("paths", question, "--format", "html").stdout
    # somebody said that it was free
    load_text(warehouse, "day,channel,amount\n2026-03-01,email,0\n", "free.csv")
    assert "  0.00" in call("paths", "channels").stdout


@pytest.mark.usefixtures("shop")
def test_a_segment_that_is_not_there_is_told(warehouse: Warehouse) -> None:
    entered = Change(segment="vip", change="entered", cause="event", at=T0 + HOUR)
    fill(warehouse, [update(event("Page Viewed", T0 + HOUR), [entered])])
    result = call("paths", "transitions", "--segment", "vp", "--format", "json")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert "there is no segment 'vp': did you mean vip?" in result.stderr
    asleep = parse({"segments/asleep.yaml": "name: asleep\nwhen: {not: {did: Page Viewed}}\n"})
    adopt(warehouse, asleep, T0)
    result = call("paths", "transitions", "--segment", "asleep", "--format", "json")
    assert (json.loads(result.stdout), result.exit_code) == ([], 0)
    assert "nobody was ever in segment asleep" in result.stderr
    assert call("paths", "transitions", "--segment", "vip").stderr == ""


@pytest.mark.usefixtures("shop")
def test_what_clickhouse_refuses_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.clickhouse.paths.retention._SQL", "SELECT throwIf(1, 'too much')")
    result = call("paths", "retention")
    assert result.exit_code == 1
    assert "the warehouse could not answer: too much" in result.output
    assert len(result.output.splitlines()) == 1


def test_nothing_found_is_an_empty_list(home: Path) -> None:
    assert asked("paths", "transitions") == []
    assert "Nothing found" in call("paths", "transitions").output


def test_without_a_warehouse_it_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    result = call("paths", "transitions")
    assert result.exit_code == 1
    assert "pathline up" in result.output


@pytest.fixture
def ann(home: Path, warehouse: Warehouse) -> None:
    """Ann browsed anonymously, then logged in: what her cookie did is hers now."""
    entered = Change(segment="vip", change="entered", cause="event", at=T0 + HOUR)
    granted = {"address": "", "channel": "email", "purpose": "", "granted": True, "at": T0, "source": "web"}
    profile = {
        "traits": {"city": "Kyiv"},
        "segments": ["vip"],
        "consents": [{**granted, "proof": "box on the form"}],
        "addresses": {"email": ["ann@example.com"], "anonymous_id": ["cookie"]},
    }
    period = Period(since=0, person_id=person_id(ANN), slot=slot_of(COOKIE), version=2)
    moved = Move(to=person_id(ANN), slots=[SlotVersion(slot=slot_of(COOKIE), version=2)], reason="merge", at=T0 + HOUR)
    fill(
        warehouse,
        [
            update(
                event("Page Viewed", T0, who=COOKIE, properties=VIEWED),
                profile={"addresses": {"anonymous_id": ["cookie"]}},
            ),
            update(event("Identify", T0 + HOUR, who=ANN), [entered], profile),
            Assignment(identifier=COOKIE, version=2, periods=[period]),
            Update(kind="move", person_id=person_id(COOKIE), at=T0 + HOUR, move=moved, profile=b'{"addresses":{}}'),
            decision(T0 + HOUR, "welcome", "entered", who=ANN),
            decision(T0 + 2 * HOUR, "welcome", "sent", who=ANN),
            send("s1", T0 + 2 * HOUR, who=ANN, to="ann@example.com"),
            Refusal(a=ANN, b="anonymous_id:kiosk", reason="hub: 50", at=T0, source="test"),
            Refusal(a=ANN, b="anonymous_id:tablet", reason="limit", at=T0, source="test"),
            Refusal(a=ANN, b="anonymous_id:tablet", reason="", at=T0, source="test", refused=False),
        ],
    )


VIEWED = {"url": "/a", "price": 5, "tags": ["x", "y"]}


@pytest.mark.usefixtures("ann")
class TestPerson:
    @pytest.mark.parametrize("who", [ANN, "email: Ann@Example.com ", COOKIE, person_id(ANN), person_id(COOKIE)])
    def test_is_found_by_any_identifier_and_any_id_it_had(self, who: str) -> None:
        found = asked("person", who)
        assert found["person_id"] == person_id(ANN)
        assert found["earlier_ids"] == [person_id(COOKIE)]

    def test_tells_the_whole_story(self) -> None:
        found = asked("person", ANN)
        assert found["identifiers"] == [ANN, COOKIE]
        assert found["traits"] == {"city": "Kyiv"}
        assert found["consents"][0]["granted"] is True
        assert found["segments"] == ["vip"]
        assert found["memberships"] == [{"segment": "vip", "since": "2026-03-01T01:00:00.000Z"}]
        [journey] = found["journeys"]
        assert (journey["journey"], journey["state"], journey["sends"]) == ("welcome", "running", 1)
        assert [(link["b"], link["reason"]) for link in found["refused_links"]] == [("anonymous_id:kiosk", "hub: 50")]
        assert [(entry["kind"], entry["what"]) for entry in found["timeline"]] == [
            ("event", "Page Viewed"),
            ("event", "Identify"),
            ("segment", "entered vip"),
            ("decision", "welcome: entered"),
            ("decision", "welcome: sent"),
            ("send", "hello to ann@example.com"),
        ]
        assert len(asked("person", ANN, "--limit", "2")["timeline"]) == 2

    def test_is_readable(self) -> None:
        text = call("person", ANN).stdout
        assert "Kyiv" in text
        assert "email: granted (box on the form)" in text
        assert "welcome running" in text

    @pytest.mark.parametrize(
        "command", [["person", ANN], ["paths", "person", ANN], ["paths", "person", ANN, "--format", "html"]]
    )
    def test_properties_are_told_without_the_signs_of_json(self, command: list[str]) -> None:
        assert "url /a, price 5, tags (2)" in re.sub(r"\s+", " ", call(*command).stdout)

    def test_an_unknown_one_is_told(self) -> None:
        result = call("person", "email:nobody@example.com")
        assert result.exit_code == 1
        assert "nobody is known by email:nobody@example.com" in result.output
        assert "such as user_id:nobody" in call("person", "nobody").output
