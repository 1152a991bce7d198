"""The SQL of a segment finds the members that the stage has, at any instant."""

from __future__ import annotations

import json
from datetime import datetime
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathline.simulation.run import read, simulate
from schemas import lists
from schemas.definitions import parse
from schemas.definitions.model import Condition
from schemas.records import Update
from schemas.topics import UPDATES
from sinks.clickhouse.engine import Warehouse
from tests.examples import few
from tests.segments import language
from tests.segments.asking import CODEC, Worlds, asked, inside, person
from tests.segments.lab import project
from tests.segments.test_oracle import ORDERS, TOPICS, Story, histories, traits_in


@st.composite
def scripts(draw: st.DrawFn, topic: str) -> tuple[dict[str, Condition], list[list[dict[str, Any]]]]:
    """Segments and several histories of them."""
    segments, first = draw(histories(topic))
    return segments, [first, *(draw(histories(topic))[1] for _ in range(4))]


@pytest.mark.parametrize("topic", TOPICS)
@settings(few(1), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_sql_has_the_members_of_the_stage(topic: str, data: st.DataObject, warehouse: Warehouse) -> None:
    segments, told = data.draw(scripts(topic))
    stories = [Story(segments) for _ in told]
    for story, script in zip(stories, told, strict=True):
        story.play(script)
    instants = sorted({instant for story in stories for instant, _ in story.checkpoints})
    cuts = data.draw(st.lists(st.sampled_from(instants), min_size=1, max_size=few(1).max_examples, unique=True))
    worlds = Worlds(warehouse)
    for number, story in enumerate(stories):
        for cut in cuts:
            worlds.add(f"{number} {cut}", story.line.updates, cut)
    worlds.insert()
    shop = project(segments, [ORDERS], traits=traits_in(segments))
    for cut in cuts:
        found = asked(warehouse, shop, cut)
        for number, story in enumerate(stories):
            changes = [(who, change.segment, change.change, change.at) for who, change in story.line.changes]
            members = inside(changes, cut)
            for name in segments:
                for who in ("U", "A", "B"):
                    is_in = person(who, f"{number} {cut}") in found[name]
                    assert is_in == (who in members[name]), f"{who} of {number} in {name} at {cut}"


def test_every_condition_has_the_members_of_the_dry_run(warehouse: Warehouse) -> None:
    draw = Random(1)
    shop = parse(language.files())
    told = [_message(one) for one in language.messages(draw, people=25, count=900)]
    last = round(datetime.fromisoformat(told[-1]["timestamp"]).timestamp() * 1000)
    recorded = read([json.dumps(one).encode() for one in told], shop, last)
    assert not recorded.rejected
    lists_ = [lists.change("partners", f"user_id:u{n}", True, 0) for n in range(9)]
    lists_ += [lists.change("staff", "user_id:u24", True, 0)]
    line = simulate(shop, [*lists_, *recorded.events], last)
    updates = [CODEC.decode(Update, record.value) for record in line.outputs[UPDATES]]
    worlds = Worlds(warehouse)
    worlds.add("", updates, last)
    worlds.insert()
    found = asked(warehouse, shop, last)
    members = inside([(u.person_id, c.segment, c.change, c.at) for u in updates for c in u.changes], last)
    wrong = {
        name: (found[name] - there, there - found[name])
        for name in shop.segments
        if found[name] != (there := {person(who, "") for who in members[name]})
    }
    assert not wrong
    assert len([name for name in shop.segments if members[name]]) > 0.9 * len(shop.segments), "too little happens"


def _message(one: dict[str, Any]) -> dict[str, Any]:
    context = one.pop("_context")
    return {**one, "context": {**one.get("context", {}), **context}}
