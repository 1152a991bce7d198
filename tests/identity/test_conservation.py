"""What the segments of the line have counted, over all persons, is the number of events, whatever moved meanwhile."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.model import PEOPLE
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.clock import VirtualClock
from schemas.definitions import parse
from schemas.records import Event, Update
from tests.graph.rules import CODEC, assignments
from tests.identity.crowd import happening

AT_MOST = 12
START = 1_700_000_000_000
SEGMENTS = {
    f"segments/seen_{number}.yaml": f"name: seen_{number}\nwhen: {{did: Seen, count: {{exactly: {number}}}}}\n"
    for number in range(1, AT_MOST + 1)
}
PROJECTS = [
    parse(
        {
            "identity.yaml": f"identifiers:\n  user_id: {{limit: 1}}\n  email: {email}\n  anonymous_id: {cookie}\n",
            **SEGMENTS,
        }
    )
    for email, cookie in (
        ("{limit: 2}", "{limit: 2}"),
        ("{limit: 1, shared: newest}", "{shared: newest}"),
        ("{limit: 2, shared: separate}", "{limit: 3, shared: separate}"),
        ("{limit: 1, per: 5s}", "{limit: 2, per: 3s}"),
        ("{}", "{}\nhub: 2"),
    )
]
VALUES = st.dictionaries(st.sampled_from(["user_id", "email", "anonymous_id"]), st.sampled_from("xyz"), min_size=1)
EVENTS = st.lists(st.tuples(st.integers(0, 20), VALUES, st.booleans()), min_size=1, max_size=AT_MOST)


def counts(line: MemoryLine) -> Counter[str]:
    """How many events each person was last said to have."""
    found: Counter[str] = Counter()
    for record in line.outputs[topics.UPDATES]:
        update = CODEC.decode(Update, record.value)
        for change in update.changes:
            found[update.person_id] += int(change.segment.removeprefix("seen_")) * (
                1 if change.change == "entered" else -1
            )
    return +found


@given(st.sampled_from(PROJECTS), EVENTS, st.integers(1, 3))
@settings(max_examples=60)
def test_each_event_counts_in_one_person_after_any_merges_and_splits(project, events, partitions) -> None:  # type: ignore[no-untyped-def]
    """Events come in any order of their times; some come together, so that what they cause overtakes them."""
    source = FixedDefinitions(project)
    line = MemoryLine(
        [stage(source, CODEC) for stage in (IdentityStage, GraphStage, SegmentsStage)], VirtualClock(START), partitions
    )
    made: list[Event] = []
    for number, (at, values, drained) in enumerate(events):
        event = happening(project.identity, "Seen", START + at * 1000, f"m{number}", START + 30_000 + number, values)
        made.append(msgspec.structs.replace(event, properties=b"{}"))
        line.publish(topics.EVENTS, event.identifiers[0], CODEC.encode(event))
        if drained:
            line.drain()
    line.drain()
    found = counts(line)
    assert found.total() == len(made)
    assert all(person.slots.complete for _, person in line.states("segments", PEOPLE))
    owners = {period.slot: period.person_id for one in assignments(line).values() for period in one.periods}
    for key, person in line.states("segments", PEOPLE):
        assert all(owners.get(slot, key) == key for slot in person.slots.held)
