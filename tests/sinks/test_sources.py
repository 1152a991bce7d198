"""Where events came from: tags, click ids and referrers against rules, and against going through them one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from schemas.definitions import parse
from schemas.definitions.model import SourceRule
from schemas.records import Event
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.paths.sources import source_of
from tests.examples import few
from tests.sinks.made import T0, event, fill, update

SHOP = "https://www.shop.example/"


def seen(number: int, page: str = "", referrer: str = "", **campaign: str) -> Event:
    context = {"page": {"url": page, "referrer": referrer}, **({"campaign": campaign} if campaign else {})}
    made = event("Page Viewed", T0, id=f"m{number}")
    return msgspec.structs.replace(made, context=orjson.dumps(context))


def found(warehouse: Warehouse, events: Sequence[Event], rules: Sequence[SourceRule]) -> list[str]:
    fill(warehouse, map(update, events))
    rows = warehouse.rows(f"SELECT toString(event_id) AS id, {source_of(rules)} AS source FROM pathline.events")
    of_id = {row["id"]: row["source"] for row in rows}
    return [of_id[e.event_id] for e in events]


def rules_of(text: str) -> tuple[SourceRule, ...]:
    return parse({"project.yaml": "name: x\n", "sources.yaml": text}).sources


def test_the_first_rule_that_fits_names_the_source(warehouse: Warehouse) -> None:
    rules = rules_of(
        """
        - {utm: {medium: [email, mail]}, source: newsletter}
        - {click_id: [gclid, wbraid], source: google_ads}
        - {utm: {source: "*"}}
        - {referrer: google.*, source: organic_search}
        - {referrer: "*"}
        """
    )
    events = {
        "newsletter": seen(1, f"{SHOP}?utm_medium=E-Mail&gclid=1", medium="eMail", source="june"),
        "google_ads": seen(2, f"{SHOP}?gclid=abc&utm_source=x"),
        "facebook": seen(3, f"{SHOP}?utm_source=Facebook"),
        "organic_search": seen(4, SHOP, "https://www.google.co.uk/"),
        "blog.example": seen(5, SHOP, "https://www.blog.example/a"),
        # within the shop, and with nothing at all
        "direct": seen(6, SHOP, "https://shop.example/cart"),
    }
    assert found(warehouse, list(events.values()), rules) == list(events)
    assert found(warehouse, [seen(8)], rules) == ["direct"]
    assert found(warehouse, [seen(9, SHOP, "https://blog.example/")], ()) == ["direct"]


def test_without_rules_of_its_own_a_project_knows_the_usual_sources(warehouse: Warehouse) -> None:
    rules = parse({"project.yaml": "name: x\n"}).sources
    events = [
        seen(1, f"{SHOP}?utm_source=news&gclid=1"),
        seen(2, f"{SHOP}?gclid=1"),
        seen(3, SHOP, "https://duckduckgo.com/"),
        seen(4, SHOP, "https://m.blog.example/"),
        seen(5, SHOP),
    ]
    assert found(warehouse, events, rules) == ["news", "google_ads", "organic_search", "m.blog.example", "direct"]


@pytest.mark.parametrize(
    ("properties", "campaign"),
    [
        ({"campaign_id": 12}, "12"),
        ({"campaign": "May"}, "May"),
        ({"campaign": 'He said "hi"', "campaign_name": "other"}, 'He said "hi"'),
        ({"campaign": None, "campaign_name": '"Ґ\\'}, '"Ґ\\'),
        ({"campaign": None}, ""),
        ({}, ""),
    ],
)
def test_the_campaign_is_that_of_the_tags_else_of_the_properties(
    warehouse: Warehouse, properties: Mapping[str, Any], campaign: str
) -> None:
    tagged = seen(1, f"{SHOP}?utm_campaign=spring%20sale")
    fill(warehouse, [update(tagged), update(event("Mailed", T0, properties=properties))])
    rows = warehouse.rows("SELECT name, campaign FROM pathline.events ORDER BY name")
    assert [row["campaign"] for row in rows] == [campaign, "spring sale"]


TAGS = ("source", "medium", "campaign")
VALUES = st.sampled_from(["a", "ab", "A B", "é.x", "*"])
PATTERNS = st.lists(st.sampled_from(["a", "a*", "*b", "*", "é.x", "a b", "."]), min_size=1, max_size=2)
HOSTS = st.sampled_from(
    ["", "https://a.com/x", "https://www.a.com", "http://b.a.com:80/", "https://ba.com", "https://a.co.uk"]
)


@st.composite
def written_rules(draw: st.DrawFn) -> SourceRule:
    utm = draw(st.dictionaries(st.sampled_from(TAGS), PATTERNS.map(tuple), max_size=2))
    clicks = draw(st.lists(st.sampled_from(["gclid", "fbclid"]), max_size=2))
    hosts = draw(st.lists(st.sampled_from(["a.com", "a.*", "*", "com"]), min_size=not (utm or clicks), max_size=2))
    return SourceRule(draw(st.sampled_from([None, "named"])), utm, tuple(clicks), tuple(hosts))


@given(
    rules=st.lists(written_rules(), min_size=1, max_size=4),
    tags=st.dictionaries(st.sampled_from(TAGS), VALUES),
    clicks=st.sets(st.sampled_from(["gclid", "fbclid"])),
    page=HOSTS.filter(bool),
    referrer=HOSTS,
)
@few(12, but=[HealthCheck.function_scoped_fixture])
def test_sources_are_those_found_one_by_one(
    engine: Warehouse,
    rules: list[SourceRule],
    tags: dict[str, str],
    clicks: set[str],
    page: str,
    referrer: str,
) -> None:
    engine.command("TRUNCATE TABLE pathline.events_raw")
    address = f"{page}?{'&'.join(f'{name}=1' for name in sorted(clicks))}"
    named = {"name" if tag == "campaign" else tag: value for tag, value in tags.items()}
    happened = seen(1, address, referrer, **named)
    assert found(engine, [happened], rules) == [slow_source(rules, tags, address, referrer)]


def slow_source(rules: Sequence[SourceRule], tags: Mapping[str, str], page: str, referrer: str) -> str:
    given_ids = parse_qs(urlsplit(page).query)
    host, own = _host(referrer), _host(page)
    host = "" if host == own else host
    for rule in rules:
        clicked = [id for id in rule.click_ids if id in given_ids]
        fits = [any(_like(tags.get(tag, "").lower(), text) for text in texts) for tag, texts in rule.utm.items()]
        fits += [bool(clicked)] if rule.click_ids else []
        ends = [host.split(".", n)[n] for n in range(host.count(".") + 1)]
        fits += [any(_like(end, text) for end in ends for text in rule.referrers)] if rule.referrers else []
        if all(fits):
            if rule.source is not None:
                return rule.source
            names = [tags.get("source", "").lower()] if rule.utm else []
            names += [*clicked, host if rule.referrers else "", tags.get("medium", "").lower()]
            return next(filter(None, names), "")
    return "direct"


def _like(text: str, written: str) -> bool:
    return bool(text) and fnmatchcase(text, written)


def _host(address: str) -> str:
    return (urlsplit(address).hostname or "").removeprefix("www.")
