from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions import Invalid, find_project, load, parse
from schemas.definitions.expressions import compile
from schemas.definitions.grammar.conditions import KINDS, OPERATORS
from schemas.definitions.grammar.journeys import STEPS
from schemas.definitions.model import (
    All,
    AnyOf,
    Arm,
    Branch,
    Cap,
    ChangeList,
    Collect,
    Condition,
    Did,
    Emit,
    Exit,
    Goal,
    HasConsent,
    Holds,
    InOrder,
    InSegment,
    Not,
    OnDate,
    Prefers,
    Quiet,
    Reachable,
    Repeat,
    Requested,
    Schedule,
    Send,
    Split,
    Start,
    Step,
    TraitIs,
    Trigger,
    UpdateTraits,
    Wait,
    WaitFor,
    Window,
)
from tests.definitions.files import SOUND, journey, problems, project, texts

HOUR, DAY = 3_600_000, 86_400_000


def condition(text: str) -> Condition:
    return project(segments__s=text).segments["s"].when


def steps(text: str) -> tuple[Step, ...]:
    return project(journeys__j=journey(text)).journeys["j"].steps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("when: {did: A}", Did(("A",))),
        ("when: {did: [A, B, A]}", Did(("A", "B"))),
        ("when: {did: A, count: {at_least: 2}}", Did(("A",), at_least=2)),
        ("when: {did: A, count: {at_most: 2}}", Did(("A",), at_least=0, at_most=2)),
        ("when: {did: A, count: {exactly: 2}}", Did(("A",), at_least=2, at_most=2)),
        ("when: {did: A, within: 180d}", Did(("A",), window=Window(0, 180 * DAY))),
        ("when: {did: A, between: [180d, 40d]}", Did(("A",), window=Window(40 * DAY, 180 * DAY))),
        ("when: {did: A, where: event.properties.x > 1}", Did(("A",), compile("event.properties.x > 1"))),
        (
            # midnight in Kyiv is 21:00 UTC in summer
            "when: {did: A, from: 2024-05-01, to: 2024-05-02T00:00:00Z}",
            Did(("A",), window=Window(since=1_714_510_800_000, until=1_714_608_000_000)),
        ),
        (
            "when: {did: A, each: properties.products, where: item.x > 1}",
            Did(("A",), compile("item.x > 1"), each="properties.products"),
        ),
        ("when: {prefers: email}", Prefers("email")),
        ("when: {did_in_order: [A, [B, C]]}", InOrder((Did(("A",)), Did(("B", "C"))))),
        (
            "when: {did_in_order: [A, {did: B, where: event.properties.x > 1}], within: 1d, same: properties.y}",
            InOrder((Did(("A",)), Did(("B",), compile("event.properties.x > 1"))), Window(0, DAY), "properties.y"),
        ),
        ("when: {not: {did: A}}", Not(Did(("A",)))),
        ("when: {any: [{in: vip}, {reachable: sms}]}", AnyOf((InSegment("vip"), Reachable("sms")))),
        ("when: {consent: email}", HasConsent("email")),
        ("when: {consent: {channel: email, purpose: news}}", HasConsent("email", "news")),
        ("when: {trait: city, equals: Kyiv}", TraitIs("city", "equals", "Kyiv")),
        ("when: {trait: vip, equals: false}", TraitIs("vip", "equals", False)),
        ("when: {trait: age, equals: 0}", TraitIs("age", "equals", 0)),
        ("when: {trait: city, one_of: [a, 1, true]}", TraitIs("city", "one_of", ("a", 1, True))),
        ("when: {trait: city, exists: false}", TraitIs("city", "exists", False)),
        ("when: {trait: since, within: 30d}", TraitIs("since", "within", 30 * DAY)),
        (
            "when: {trait: age, at_least: 18, at_most: 30.5}",
            All((TraitIs("age", "at_least", 18), TraitIs("age", "at_most", 30.5))),
        ),
    ],
)
def test_conditions(text: str, expected: Condition) -> None:
    assert condition(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- wait: 1h", Wait("1", duration=HOUR)),
        ("- wait: 0s", Wait("1", duration=0)),
        ("- wait: {for: 1h}\n  restart_on: [A, B]", Wait("1", duration=HOUR, restart_on=("A", "B"))),
        ("- wait: {until: '09:00', days: [mon, fri]}", Wait("1", until=540, days=frozenset({0, 4}))),
        ("- wait: {until: 21:30}", Wait("1", until=1290)),
        ("- wait: {until: traits.x, before: 1d}", Wait("1", until_path="traits.x", before=DAY)),
        ("- wait: {until: properties.end, after: 1d}", Wait("1", until_path="properties.end", before=-DAY)),
        (
            "- wait_for: {event: A, as: a}\n  timeout: 6h\n  then: [{exit: done}]\n  on_timeout: [{exit: }]",
            WaitFor(
                "1", (Trigger(("A",), name="a"),), 6 * HOUR, (Exit("1.then.1", "done"),), (Exit("1.on_timeout.1"),)
            ),
        ),
        (
            "- wait_for: [{event: [A, B]}, {segment: vip}, {left: vip}]",
            WaitFor("1", (Trigger(("A", "B")), Trigger(segment="vip"), Trigger(segment="vip", change="left")), None),
        ),
        (
            "- branch:\n  - when: {in: vip}\n    steps: [{wait: 1h}]\n  - otherwise: []\n  id: who",
            Branch("who", (Arm(InSegment("vip"), (Wait("1.1.1", duration=HOUR),)), Arm(None, ()))),
        ),
        ("- send: {template: hello, channels: [sms, email]}", Send("1", "hello", ("sms", "email"))),
        ("- send: {template: hello, channels: cheapest}", Send("1", "hello", (), "cheapest")),
        ("- send: {template: hello, channels: preferred}", Send("1", "hello", (), "preferred")),
        ("- send: {template: hello, channels: all}", Send("1", "hello", (), "all")),
        ("- send: {template: hello, channels: sms}", Send("1", "hello", ("sms",))),
        (
            "- send: {template: hello, channels: [email, sms], until: opened, within: 6h}",
            Send("1", "hello", ("email", "sms"), until="opened", within=6 * HOUR),
        ),
        (
            "- split: {a: 45, b: 45, holdout: 10}\n  a: [{exit: x}]\n  b: []",
            Split("1", (("a", 45.0, (Exit("1.a.1", "x"),)), ("b", 45.0, ()), ("holdout", 10.0, ()))),
        ),
        (
            "- wait_for: [{event: A, then: [{exit: }]}, {receipt: opened, of: hi}, {receipt: bounced}]\n"
            "- send: {template: hello}\n  id: hi",
            WaitFor(
                "1",
                (Trigger(("A",)), Trigger(receipt="opened", of="hi"), Trigger(receipt="bounced")),
                None,
                own=((Exit("1.1.1"),), None, None),
            ),
        ),
        ("- update: {traits.cart_reminded: true}", UpdateTraits("1", {"cart_reminded": True})),
        ("- emit: {event: A}", Emit("1", "A", {})),
        ("- emit: {event: A, properties: {n: [1, '{{ now }}']}}", Emit("1", "A", {"n": [1, "{{ now }}"]})),
        ("- add_to: beta", ChangeList("1", "beta", True)),
        ("- remove_from: beta", ChangeList("1", "beta", False)),
        ("- start: j", Start("1", "j")),
        ("- start: {journey: j, properties: {n: 1}}", Start("1", "j", {"n": 1})),
        ("- repeat: {times: 3, steps: [{exit: }]}", Repeat("1", 3, (Exit("1.1"),))),
    ],
)
def test_steps(text: str, expected: Step) -> None:
    files = {"templates__hello": "subject: a\nbody: b\nsms: {body: c}"}
    made = project(journeys__j=journey(text), **files).journeys["j"].steps
    assert made[0] == expected


def test_a_journey_whole() -> None:
    made = project(
        journeys__cart=journey(
            "- {id: pause, wait: 1h}\n- {wait: 2h}",
            "{event: Product Added, where: event.properties.price > 10, at_most_every: 1d, once: true,"
            " key: properties.cart_id, max_age: 1d, on_repeat: restart}",
            "exit: [{event: Order Completed}, {left: vip}]\ngoal: {event: Order Completed, within: 7d}\npriority: 70\n"
            "category: transactional\npurpose: orders\nintent: 'cart:{{ entry.properties.cart_id }}'\n",
        ).replace("name: j\n", "")
    ).journeys["cart"]
    assert made.entries[0].trigger == Trigger(("Product Added",), compile("event.properties.price > 10"))
    assert (made.entries[0].key, made.entries[0].at_most_every, made.entries[0].max_age) == (
        "properties.cart_id",
        DAY,
        DAY,
    )
    assert (made.entries[0].once, made.entries[0].on_repeat, made.entries[0].existing) == (True, "restart", False)
    assert made.exit == (Trigger(("Order Completed",)), Trigger(segment="vip", change="left"))
    assert made.goal == Goal(Trigger(("Order Completed",)), 7 * DAY)
    assert (made.priority, made.category, made.purpose) == (70, "transactional", "orders")
    assert [step.id for step in made.steps] == ["pause", "2"]


def test_entering_by_segment() -> None:
    made = project(journeys__j=journey("- wait: 1h", "{segment: vip, existing: true}")).journeys["j"]
    assert (made.entries[0].trigger, made.entries[0].existing) == (Trigger(segment="vip"), True)
    made = project(journeys__j=journey("- wait: 1h", "{left: vip}")).journeys["j"]
    assert made.entries[0].trigger == Trigger(segment="vip", change="left")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{schedule: FREQ=DAILY, of: vip}", Schedule("FREQ=DAILY", None, "vip")),
        (
            "{schedule: 'FREQ=DAILY;BYHOUR=9,18', of: vip, rate: 50000/h, timezone: Asia/Tokyo}",
            Schedule("FREQ=DAILY;BYHOUR=9,18", "Asia/Tokyo", "vip", (50_000, HOUR)),
        ),
        ("{date: traits.birthday}", OnDate("birthday", "year")),
        ("{date: {trait: birthday}}", OnDate("birthday")),
        ("{date: {trait: birthday, every: year, before: 7d, at: 10:00}}", OnDate("birthday", "year", -7 * DAY, 600)),
        ("{date: {trait: person.traits.car.bought, after: 30d}}", OnDate("car.bought", "once", 30 * DAY)),
        ("{date: {trait: last_order, every: 40d}}", OnDate("last_order", 40 * DAY)),
        ("{api: true}", Requested()),
    ],
)
def test_entering_by_time_and_by_request(text: str, expected: object) -> None:
    assert project(journeys__j=journey("- wait: 1h", text)).journeys["j"].entries[0].trigger == expected


# --- questions about history in journeys ---------------------------------------------------------------------------


def arms(when: str) -> tuple[dict[str, Condition], Condition | None]:
    made = project(journeys__j=journey(f"- wait: 1h\n- branch: [{{when: {when}, steps: []}}]"))
    branch = made.journeys["j"].steps[1]
    assert isinstance(branch, Branch)
    hidden = {name: segment.when for name, segment in made.segments.items() if name.startswith("~")}
    return hidden, branch.arms[0].when


def test_a_branch_on_history_asks_a_hidden_segment() -> None:
    hidden, when = arms("{did: A, within: 5d}")
    assert hidden == {"~j/2/1": Did(("A",), window=Window(0, 5 * DAY))}
    assert when == InSegment("~j/2/1")


def test_only_the_history_in_a_mixed_condition_is_moved() -> None:
    hidden, when = arms("{any: [{cel: entry.properties.x == 1}, {not: {did: A}}, {in: vip}, {did: B}]}")
    assert hidden == {"~j/2/1": Not(Did(("A",))), "~j/2/1#2": Did(("B",))}
    holds = Holds(compile("entry.properties.x == 1"))
    assert when == AnyOf((holds, InSegment("~j/2/1"), InSegment("vip"), InSegment("~j/2/1#2")))


def test_what_the_profile_knows_stays_in_the_journey() -> None:
    hidden, when = arms("{all: [{in: vip}, {trait: age, at_least: 18}, {consent: email}]}")
    assert not hidden
    assert when == All((InSegment("vip"), TraitIs("age", "at_least", 18), HasConsent("email")))


# --- the rest of the project ---------------------------------------------------------------------------------------


def test_segments_stand_after_those_they_refer_to() -> None:
    made = project(
        segments__a="when: {in: z}",
        segments__m="when: {all: [{in: a}, {in: z}]}",
        segments__z="when: {did: A}",
        journeys__j=journey("- branch: [{when: {all: [{in: m}, {did: B}]}, steps: []}]"),
    )
    assert list(made.segments) == ["z", "a", "m", "vip", "~j/1/1"]


def test_identity_channels_events_and_templates() -> None:
    made = project(
        project="name: shop\ncurrency: UAH\ntimezone: Europe/Kyiv\nholdout: {share: 5, except: transactional}",
        identity="""
            identifiers:
              user_id: {limit: 1}
              email: {limit: 5, normalize: email}
              telegram:
              anonymous_id: {limit: 100, shared: newest}
            blocked: ["", "null", 0, true, ~, "/^[0-]*$/"]
            hub: 50
            remember_messages: 1d
            """,
        events="Order Completed: {same: properties.order_id, revenue: properties.total, undo: [Order Refunded]}\n",
        channels="""
            email: {cost: 0.1, connector: smtp, consent: opt_in, quiet: "21:00-08:00",
                    caps: [{at_most: 2, per: 1d}, {at_most: 5, per: calendar_day}]}
            telegram:
            web: {kind: session}
            """,
        templates__hello="""
            subject: Hi
            body: Hello
            uk: {subject: Привіт}
            telegram: {body: Yo, uk: {body: Йо}}
            """,
    )
    assert (made.name, made.currency, made.timezone) == ("shop", "UAH", "Europe/Kyiv")
    assert made.holdout is not None
    assert (made.holdout.share, made.holdout.exempt) == (5, frozenset({"transactional"}))
    assert [(t.name, t.rank) for t in made.identity.types.values()] == [
        *(("user_id", 0), ("email", 1), ("telegram", 2), ("anonymous_id", 3))
    ]
    assert made.identity.types["anonymous_id"].shared == "newest"
    assert made.identity.blocked == {"", "null", "0", "true"}
    assert made.identity.blocked_patterns == ("^[0-]*$",)
    assert (made.identity.hub, made.identity.remember_messages) == (50, DAY)
    rule = made.events["Order Completed"]
    assert (rule.same, rule.revenue, rule.undo) == ("properties.order_id", "properties.total", ("Order Refunded",))
    email = made.channels["email"]
    assert (email.caps, email.quiet, email.identifiers) == ((Cap(2, DAY), Cap(5, None)), Quiet(1260, 480), ("email",))
    assert made.channels["telegram"].identifiers == ("telegram",)
    assert (made.channels["web"].kind, made.channels["web"].identifiers) == ("session", ())
    assert dict(made.templates["hello"].variants) == {
        "uk": {"subject": "Привіт"},
        "telegram": {"body": "Yo"},
        "telegram.uk": {"body": "Йо"},
    }


def test_a_project_may_consist_of_a_name() -> None:
    made = parse({"project.yaml": "name: tiny\n"})
    assert list(made.identity.types)[:3] == ["user_id", "loyalty_card", "email"]
    assert (made.timezone, made.currency, list(made.channels)) == ("UTC", "USD", ["email", "sms"])


def test_the_version_is_the_content() -> None:
    version = project().version
    assert parse(dict(reversed(texts({}).items()))).version == version
    crlf = {path: text.replace("\n", "\r\n") + "\r\n" for path, text in texts({}).items()}
    assert parse(crlf).version == version
    assert project(project="name: shops").version != version
    assert parse(project().files).version == version


# --- the examples of the design, word for word ----------------------------------------------------------------------

EXAMPLES = {
    "project": """
        name: shop
        timezone: Europe/Kyiv               # default UTC
        currency: UAH
        holdout: {share: 5, except: transactional}      # global control group, optional
        """,
    "events": """
        Order Completed: {same: properties.order_id, revenue: properties.total, undo: [Order Refunded, Order Cancelled]}
        """,
    "identity": """
        identifiers:                       # strongest first
          user_id:      {limit: 1}
          loyalty_card: {limit: 1}
          email:        {limit: 5, normalize: email}
          phone:        {limit: 5, normalize: phone, region: UA}
          anonymous_id: {limit: 100, shared: newest}     # shared: keep | newest | separate
        blocked: ["", "null", "undefined", "anonymous"]  # exact, or /regex/
        hub: 50                                          # more than this: isolated
        """,
    "channels": """
        email:  {cost: 0.0004, connector: smtp, consent: opt_in, caps: [{at_most: 2, per: 1d}, {at_most: 5, per: 7d}], quiet: "21:00-08:00"}
        sms:    {cost: 0.05, connector: smpp, consent: opt_in, caps: [{at_most: 1, per: 7d}], quiet: "20:00-09:00"}
        app_inbox: {cost: 0, consent: none}              # opt_in | opt_out | double_opt_in | none
        web:    {kind: session}                          # a visit is one touch
        viber: {}
        web_push: {}
        google_ads: {kind: audience, connector: webhook, consent: opt_in}
        """,  # noqa: E501
    "segments__lapsing_buyers": """
        name: lapsing_buyers
        when:
          all:                                           # all | any | not
            - did: Order Completed                       # or a list: any of them
              where: event.properties.total > 20
              count: {at_least: 2}                       # at_least | at_most | exactly; default at_least 1
              within: 180d                               # or between: [180d, 40d]; or from/to dates; or nothing: ever
              each: properties.products                  # optional: once per line, as item
            - not: {did: Order Completed, within: 40d}
            - did_in_order: [Product Viewed, Product Added]
              within: 1d
              same: properties.product_id                # optional
            - sum: {of: properties.total, event: Order Completed, within: 90d, at_least: 500}
            - trait: city                                # equals | not_equals | one_of | ...
              equals: Kyiv
            - in: vip                                    # another segment, or list:NAME
            - consent: email                             # or {channel: email, purpose: promotions}
            - reachable: viber
            - prefers: web_push                          # channel affinity
            - rfm: {recency: [4, 5], monetary: 5}
            - predicts: {purchase: 30d, at_least: 0.6}
        sync: [google_ads]                               # optional
        """,
    "traits__cart": """
        name: cart
        collect: {add: Product Added, remove: Product Removed, clear: [Order Completed, Cart Cleared], at_most: 50}
        """,
    "templates__cart_vip": "subject: a\nbody: b",
    "templates__cart_reminder": "subject: a\nbody: b",
    "journeys__abandoned_cart": """
        name: abandoned_cart
        enter: {event: Product Added, where: event.properties.price > 10, at_most_every: 1d, key: properties.cart_id, max_age: 1d}
        exit:  [{event: Order Completed}, {left: vip}]
        goal:  {event: Order Completed, within: 7d}
        priority: 50
        category: marketing                              # or transactional
        purpose: promotions
        intent: "cart:{{ entry.properties.cart_id }}"    # no second message of the same intent
        steps:                                           # every step may have id:, default its path
          - wait: 1h                                     # or {until: "09:00", days: [mon, fri]} | {until: traits.x}
            restart_on: [Product Added, Product Removed]
          - branch:
              - when: {in: vip}                          # segment language, or {cel: "entry.properties.total > 100"}
                steps: [{send: {template: cart_vip, channels: [email]}}]
              - otherwise: []
          - wait_for: {event: Product Viewed, as: view}  # or {segment: NAME}, or a list of them
            timeout: 6h
            then: []
            on_timeout: []
          - send: {template: cart_reminder, channels: cheapest}
          - split: {a: 45, b: 45, holdout: 10}           # then a:, b: step lists; holdout gets nothing
            a: []
            b: []
          - update: {traits.cart_reminded: true}
          - emit: {event: Cart Reminder Finished}
        """,  # noqa: E501
}


def test_the_examples_of_the_language_are_sound() -> None:
    assert [str(problem) for problem in problems(**EXAMPLES)] == []


# --- folders ---------------------------------------------------------------------------------------------------------


def write(folder: Path, **files: str) -> Path:
    for path, text in texts(files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


def test_a_folder_is_loaded_with_its_subfolders(tmp_path: Path) -> None:
    made = load(write(tmp_path, segments__loyalty__gold="when: {in: vip}"))
    assert list(made.segments) == ["vip", "gold"]
    assert made.segments["gold"].path == "segments/loyalty/gold.yaml"


def test_files_that_would_be_ignored_are_told(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "segment").mkdir()
    for name in ("chanels.yaml", "identity.yml", "segments/a.yml", "segment/b.yaml", "docker-compose.yaml"):
        (tmp_path / name).write_text("x: 1")
    with pytest.raises(Invalid) as refused:
        load(tmp_path)
    assert [str(problem) for problem in refused.value.problems] == [
        "chanels.yaml: would be ignored (did you mean channels.yaml?)",
        "identity.yml: would be ignored (did you mean identity.yaml?)",
        "segment/: would be ignored (did you mean segments?)",
        "segments/a.yml: would be ignored (name it .yaml)",
    ]


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "segments/vip.yaml").write_bytes(b"name: vip\nwhen: {did: \xff}\n")
    with pytest.raises(Invalid, match=r"segments/vip\.yaml:2:1: not UTF-8"):
        load(tmp_path)


def test_where_the_project_is(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="neither here nor in"):
        find_project(None, tmp_path)
    inner = tmp_path / "definitions"
    inner.mkdir()
    (inner / "identity.yaml").touch()
    assert find_project(None, tmp_path) == inner
    (tmp_path / "project.yaml").touch()
    assert find_project(None, tmp_path) == tmp_path
    assert find_project(inner, tmp_path) == inner
    with pytest.raises(Invalid, match="no such folder"):
        find_project(tmp_path / "nope", tmp_path)
    with pytest.raises(Invalid, match=re.escape(f"a project is a folder: {inner}")):
        find_project(inner / "identity.yaml", tmp_path)


def test_the_example_project_is_sound() -> None:
    made = load(Path(__file__).parents[2] / "definitions")
    assert (len(made.segments), len(made.journeys)) == (3, 2)


# --- anything at all -------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *(*KINDS, *STEPS, *OPERATORS),
        *("when", "steps", "otherwise", "enter", "exit", "goal", "event", "segment", "left", "name", "id", "count"),
        *("within", "between", "where", "template", "channels", "timeout", "then", "on_timeout", "until", "days"),
        *("before", "identifiers", "blocked", "hub", "limit", "caps", "quiet", "subject", "body", "email", "sms", "uk"),
        *("same", "undo", "key", "as", "a", "b", "holdout", "purpose", "channel", "restart_on"),
    ]
)
VALUES = st.sampled_from(
    [
        *("1h", "1d", "0s", "21:00-08:00", "09:00", "vip", "email", "hello", "A", "cheapest", "true", "", "/(/"),
        *("event.properties.x > 1", "{{", "{{ entry.properties.x }}", "traits.x", "properties.x"),
        *(0, 1, -1, 50, 1.5, True, None),
    ]
)
ANYTHING = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([*SOUND, "events.yaml", "journeys/j.yaml", "segments/s.yaml"]), ANYTHING))
def test_any_content_is_a_project_or_invalid(content: dict[str, Any]) -> None:
    with suppress(Invalid):
        parse({**texts({}), **{path: json.dumps(value) for path, value in content.items()}})


@settings(max_examples=60, deadline=None)
@given(st.lists(ANYTHING, max_size=4), ANYTHING, ANYTHING)
def test_any_journey_is_a_journey_or_invalid(steps: list[Any], when: Any, enter: Any) -> None:
    steps = [*steps, {"wait": "1h"}, {"branch": [{"when": when, "steps": steps}]}]
    for start in (enter, {"event": "A"}):
        with suppress(Invalid):
            parse({**texts({}), "journeys/j.yaml": json.dumps({"enter": start, "steps": steps})})


def test_a_list_that_follows_from_events() -> None:
    made = project(
        traits__cart="collect: {add: A, remove: [B, C], clear: D, keep: [name, price, name], at_most: 5}",
        traits__bought="collect: {add: A, by: item.sku, each: properties.products, where: item.price > 1}",
    )
    assert {trait.name: trait.measure for trait in made.traits.values()} == {
        "bought": Collect(("A",), by="item.sku", where=compile("item.price > 1"), each="properties.products"),
        "cart": Collect(("A",), ("B", "C"), ("D",), keep=("name", "price"), at_most=5),
    }
