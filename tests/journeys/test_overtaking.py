"""Journeys of people who become one while they do something: state and records overtake each other on the way."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.step import JourneysStage
from processors.runtime.definitions import FixedDefinitions
from processors.segments.step import SegmentsStage
from processors.segments.waiting import WAITING
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions import load
from schemas.definitions.model import Project
from schemas.records import Change, Decision, SendCommand, Update
from tests.line.project import Lab, at, granted, identify, track
from tests.line.shuffled import Shuffled, happened

CODEC = Codec()
USERS = 4
THANKS = """
enter: {segment: regulars}
steps:
  - send: {template: hello, channels: [email]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    lab = Lab(tmp_path_factory.mktemp("project"))
    lab.segment("regulars", "{did: Order Completed, count: {at_least: 3}}")
    lab.journey("thanks", THANKS)
    return load(lab.folder)


def messages(user: str) -> list[dict[str, Any]]:
    """Somebody looks, says who it is, goes on looking on the same device and buys."""
    cookie = f"cookie-{user}"
    about = identify(
        at(seconds=1), user, anonymousId=cookie, traits={"email": f"{user}@x.io"}, context=granted("email")
    )
    return [
        track("Product Viewed", at(), None, anonymousId=cookie),
        about,
        *(track("Product Viewed", at(seconds=2 + n), None, anonymousId=cookie) for n in range(2)),
        *(track("Order Completed", at(seconds=4 + n), user) for n in range(5)),
    ]


@pytest.mark.parametrize("seed", range(60))
def test_who_becomes_a_regular_is_thanked_once_whatever_overtakes_what(project: Project, seed: int) -> None:
    source, clock = FixedDefinitions(project), VirtualClock()
    stages = [stage(source, CODEC) for stage in (IdentityStage, GraphStage, SegmentsStage, JourneysStage)]
    line = Shuffled(stages, clock, seed)
    stories = [happened(project, messages(f"u{n}")) for n in range(USERS)]
    for step in range(len(stories[0])):
        for story in stories:
            event = story[step]
            clock.at = max(clock.at, event.received_at)
            line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
            line.steps(line.random.randrange(4))
    line.steps()
    assert not line.outputs[topics.DEAD_LETTERS]
    updates = [CODEC.decode(Update, record.value) for record in line.outputs[topics.UPDATES]]
    assert causes(updates) == Counter({("regulars", "entered", "event"): USERS})
    sends = [CODEC.decode(SendCommand, record.value) for record in line.outputs[topics.outbound("email", False)]]
    told = [CODEC.decode(Decision, record.value) for record in line.outputs[topics.DECISIONS]]
    assert Counter(send.to for send in sends) == {f"u{n}@x.io": 1 for n in range(USERS)}, told
    assert not list(line.states("segments", WAITING))


def causes(updates: list[Update]) -> Counter[tuple[str, str, str]]:
    changes: list[Change] = [change for update in updates for change in update.changes]
    return Counter((change.segment, change.change, change.cause) for change in changes)
