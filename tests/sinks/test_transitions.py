"""Transitions: touches and the steps between them, against going through everything one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from schemas.definitions.expressions import compile as cel
from schemas.identifiers import person_id
from schemas.receipts import ENDINGS, SUBJECTS
from schemas.records import Event, LedgerEntry, SendCommand
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths import receipts
from sinks.clickhouse.paths.filters import BadQuestion, Filters
from sinks.clickhouse.paths.reading import Names, read
from sinks.clickhouse.paths.touches import Nodes, TouchRules, nodes
from sinks.clickhouse.paths.transitions import Transition, transitions
from tests.examples import few
from tests.sinks import slow
from tests.sinks.made import DAY, HOUR, MINUTE, T0, event, fill, send, update

PEOPLE = [f"user_id:u{n}" for n in range(3)]
WEB = TouchRules(frozenset({"web"}))


def edges(warehouse: Warehouse, rules: TouchRules = WEB, filters: Filters | None = None) -> dict[tuple[str, str], int]:
    return {(t.origin, t.target): t.count for t in transitions(warehouse, Nodes(rules=rules), filters or Filters())}


@st.composite
def happenings(draw: st.DrawFn) -> tuple[list[Event], list[SendCommand]]:
    """Events and sends of three people within two weeks; times coincide often."""
    times = st.integers(0, 20).map(lambda n: T0 + n * 17 * HOUR) | st.integers(0, 200).map(
        lambda n: T0 + n * MINUTE * 15
    )
    sends = [
        send(f"00000000-0000-0000-0000-{n:012}", at, who=who, to=f"{who[8:]}@example.com")
        for n, (at, who) in enumerate(draw(st.lists(st.tuples(times, st.sampled_from(PEOPLE)), max_size=6)))
    ]
    names = draw(st.lists(st.tuples(times, st.sampled_from(PEOPLE), st.sampled_from(KINDS)), max_size=40))
    named = [None, None, "somebody-elses", *(command.send_id for command in sends)]
    events = []
    for number, (at, who, kind) in enumerate(names):
        is_receipt = kind[0] in slow.SHOWS
        send_id = draw(st.sampled_from(named)) if is_receipt else None
        properties: dict[str, Any] = {}
        if is_receipt and draw(st.booleans()):
            properties = draw(st.sampled_from([{"machine": True}, {"email": "elsewhere@example.com"}]))
        events.append(
            event(kind[0], at, id=f"m{number}", who=who, channel=kind[1], properties=properties, send_id=send_id)
        )
    return events, sends


KINDS = [
    ("Page Viewed", "web"),
    ("Screen Viewed", "app"),
    ("Order Completed", "store"),
    ("Called", "call_centre"),
    ("Note", ""),
    *((name, channel) for name in slow.SHOWS for channel in ("email", "") if channel or name != "Unsubscribed"),
]


@given(made=happenings(), depth=st.integers(0, 3), gap=st.sampled_from([MINUTE, 30 * MINUTE, DAY]), by=st.booleans())
@few(8, but=[HealthCheck.function_scoped_fixture])
def test_transitions_are_those_found_one_by_one(
    engine: Warehouse, made: tuple[list[Event], list[SendCommand]], depth: int, gap: int, by: bool
) -> None:
    events, sends = made
    for table in ("events_raw", "sends_raw", "ledger"):
        engine.command(f"TRUNCATE TABLE pathline.{table}")
    fill(engine, [*map(update, events), *sends])
    rules = TouchRules(frozenset({"web", "app"}), gap, depth)
    if by:
        expected = slow.transitions(slow.touches(events, sends, rules).values())
        assert transitions(engine, Nodes(rules=rules), Filters()) == expected
    else:
        paths: dict[str, list[slow.Touch]] = {}
        for e in sorted(events, key=lambda e: (e.occurred_at, e.event_id)):
            paths.setdefault(e.identifiers[0], []).append(slow.Touch(e.occurred_at, e.event_id, e.name))
        assert transitions(engine, Nodes("event"), Filters()) == slow.transitions(paths.values())


def test_a_path_from_its_start_to_its_end(warehouse: Warehouse) -> None:
    fill(
        warehouse,
        [
            update(event("Page Viewed", T0)),
            update(event("Product Viewed", T0 + MINUTE)),
            update(event("Order Completed", T0 + HOUR, channel="store")),
            update(event("Order Completed", T0 + DAY, channel="store")),
        ],
    )
    assert transitions(warehouse, Nodes(rules=WEB), Filters()) == [
        Transition("(start)", "web", 1, 1, None),
        Transition("store", "(end)", 1, 1, None),
        Transition("store", "store", 1, 1, 23 * 3600.0),
        Transition("web", "store", 1, 1, 3600.0),
    ]


def test_a_visit_ends_after_exactly_the_gap(warehouse: Warehouse) -> None:
    fill(warehouse, [update(event("A", T0 + n)) for n in (0, 30 * MINUTE - 1, 60 * MINUTE - 1)])
    assert edges(warehouse) == {("(start)", "web"): 1, ("web", "(end)"): 1, ("web", "web"): 1}
    assert edges(warehouse, TouchRules(frozenset({"web"}), gap=30 * MINUTE + 1)).get(("web", "web")) is None


def test_a_send_counts_once_from_the_depth_asked_for(warehouse: Warehouse) -> None:
    receipts = [("Email Delivered", 1), ("Email Opened", 2), ("Email Opened", 3)]
    fill(
        warehouse,
        [
            send("s1", T0),
            *(update(event(name, T0 + n * HOUR, channel="email", send_id="s1")) for name, n in receipts),
            update(event("Order Completed", T0 + DAY, channel="store")),
        ],
    )
    paths = {depth: edges(warehouse, TouchRules(depth=depth)) for depth in range(4)}
    assert [paths[depth].get(("email", "store"), 0) for depth in range(4)] == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("second", "touches"),
    [
        ({"at": T0 + 3 * HOUR}, 1),
        ({"at": T0 + 3 * HOUR, "send_id": "s2"}, 1),
        ({"at": T0 + 3 * HOUR, "send_id": "s1"}, 2),
        ({"at": T0 + 3 * HOUR, "properties": {"email": "u1@example.com"}}, 1),
        ({"at": T0 + 3 * HOUR, "properties": {"email": "U1@Example.com"}}, 1),
        ({"at": T0 + 3 * HOUR, "properties": {"email": "other@example.com"}}, 2),
        ({"at": T0 + HOUR + 72 * HOUR - 1}, 1),
        ({"at": T0 + HOUR + 72 * HOUR}, 2),
        ({"at": T0 + HOUR - 1}, 2),
        ({"at": T0 + 3 * HOUR, "channel": ""}, 1),
        ({"at": T0 + 3 * HOUR, "who": "user_id:u2"}, 2),
    ],
)
def test_a_receipt_without_a_send_id_is_about_the_newest_send_there(
    warehouse: Warehouse, second: dict[str, Any], touches: int
) -> None:
    """s1 is from 0 h, s2 from 1 h; the first click, at 2 h, names s2."""
    first = event("Email Link Clicked", T0 + 2 * HOUR, channel="email", send_id="s2")
    other = event(**{"name": "Email Link Clicked", "channel": "email", **second})
    fill(warehouse, [send("s1", T0), send("s2", T0 + HOUR), update(first), update(other)])
    found = transitions(warehouse, Nodes(), Filters())
    assert sum(row.count for row in found if row.origin == "email") == touches


def test_what_dispatch_withheld_was_not_sent(warehouse: Warehouse) -> None:
    held = LedgerEntry(send_id="s1", person_id=person_id("user_id:u1"), channel="email", state="withheld", at=T0)
    fill(warehouse, [send("s1", T0), send("s2", T0 + HOUR), held])
    assert edges(warehouse, TouchRules(depth=0)) == {("(start)", "email"): 1, ("email", "(end)"): 1}


def test_an_expression_filters_events_and_sends(warehouse: Warehouse) -> None:
    fill(
        warehouse,
        [
            update(event("Order Completed", T0, channel="store", properties={"total": 5})),
            update(event("Order Completed", T0 + HOUR, channel="store", properties={"total": 50})),
            send("s1", T0 + DAY),
        ],
    )
    dear = Filters(where=cel("event.properties.total > 20"))
    assert edges(warehouse, WEB, dear) == {("(start)", "store"): 1, ("store", "(end)"): 1}
    welcome = Filters(since=T0, until=T0 + 2 * DAY, where=cel("event.properties.journey == 'welcome'"))
    assert edges(warehouse, TouchRules(depth=0), welcome) == {("(start)", "email"): 1, ("email", "(end)"): 1}


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("event.properties.deep.er == 'a'", 1),
        ("has(event.properties.deep.er) && event.properties.deep.er != 'a'", 2),
        ("event.properties.tags.exists(t, t == 'x')", 1),
        ("event.send_id == 's9'", 1),
        ("event.send_id != 's9'", 4),
        ("event.name == 'Page \"quoted\"' && event.properties['it\\'s'] == 1", 1),
        ("event.timestamp < '2026-03-01T01:30:00Z'", 2),
        ("size(event.properties) == 0", 1),
        ("event.traits.city == 'Kyiv'", 0),
    ],
)
def test_an_expression_reads_any_part_of_an_event(warehouse: Warehouse, expression: str, count: int) -> None:
    made: list[dict[str, Any]] = [{"deep": {"er": "a"}}, {"deep": {"er": 2}}, {"deep": {"er": None}, "tags": ["x"]}, {}]
    fill(
        warehouse,
        [
            *(update(event("A", T0 + n * HOUR, channel="app", properties=some)) for n, some in enumerate(made)),
            update(event('Page "quoted"', T0 + DAY, channel="app", send_id="s9", properties={"it's": 1})),
        ],
    )
    found = transitions(warehouse, Nodes("event"), Filters(where=cel(expression)))
    assert sum(row.count for row in found if row.target != "(end)") == count


def test_nodes_are_campaigns_sources_or_properties(warehouse: Warehouse) -> None:
    tagged = event("Page Viewed", T0 + HOUR, properties={"path": "/p/7", "campaign": "spring"})
    fill(
        warehouse,
        [
            send("s1", T0),
            update(event("Email Link Clicked", T0 + MINUTE, channel="email", send_id="s1")),
            update(tagged),
            update(event("Page Viewed", T0 + 2 * HOUR, properties={"path": "/p/12"})),
            update(event("Called", T0 + DAY, channel="call_centre", properties={"path": None})),
        ],
    )

    def line(asked: Nodes) -> list[str]:
        names = Names(asked.named)
        [rows] = read(warehouse, nodes(warehouse, asked, Filters()), ("node",), names)
        return [list(names.known)[node] for node in rows.columns["node"]]

    assert line(Nodes("campaign", WEB)) == ["welcome", "spring", "(none)", "(none)"]
    assert line(Nodes("source", WEB)) == ["email", "direct", "direct", "call_centre"]
    named = TouchRules(WEB.sessions, source="if(position(properties, 'spring') > 0, 'letter', 'direct')")
    assert line(Nodes("source", named)) == ["email", "letter", "direct", "call_centre"]
    assert line(Nodes("property:path")) == ["/p/7", "/p/12"]
    assert line(Nodes("property:path", clean=(("[0-9]$", "n"), ("1n", "many")))) == ["/p/n", "/p/many"]
    assert line(Nodes("property:path", clean=(("^/p/7$", ""),))) == ["/p/12"]
    assert line(Nodes("event", exclude=frozenset({"Page Viewed"}))) == ["Email Link Clicked", "Called"]


def test_a_long_list_of_passing_events_is_no_problem(warehouse: Warehouse) -> None:
    fill(warehouse, [update(event("A", T0 + n, who=f"user_id:u{n % 9}", channel="app")) for n in range(20_000)])
    assert edges(warehouse, WEB, Filters(where=cel("event.channel == 'app'")))[("app", "app")] == 19_991


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Nodes("mood"), "property:NAME"),
        (Nodes("property:"), "property:NAME"),
        # what Python's regular expressions can and these can't
        (Nodes("event", clean=(("(?=P)", "x"),)), "--clean"),
        (Nodes("event", clean=(("Page", "\\9"),)), "--clean"),
    ],
)
def test_other_nodes_are_refused(warehouse: Warehouse, asked: Nodes, told: str) -> None:
    fill(warehouse, [update(event("Page Viewed", T0))])
    with pytest.raises(BadQuestion, match=told):
        transitions(warehouse, asked, Filters())


@pytest.mark.parametrize(
    "name",
    [
        *("Email Opened", "Email Link Clicked", "Email  Read", "SMS Sent", "Unsubscribed", "Email Unsubscribed"),
        *("Emails Opened", "Email", "Email\nOpened", "Email x\ny Opened", "Web Opened", "My Email Opened"),
        *("Email Opened now", "Email Marked as Spam", "Email opened"),
    ],
)
def test_receipts_in_sql_are_those_of_the_line(warehouse: Warehouse, name: str) -> None:
    words = name.startswith(tuple(SUBJECTS)) and name.split(" ")[-1] in ENDINGS
    [row] = warehouse.rows(
        f"SELECT {receipts.IS_RECEIPT} AS told FROM (SELECT {{name:String}} AS name)", {"name": name}
    )
    assert bool(row["told"]) == (words or name == "Unsubscribed")
