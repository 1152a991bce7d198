"""Foreign records met by the stages: each is used or becomes a dead letter; none stops the line, now or later."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.dispatch import DispatchStage
from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.step import JourneysStage
from processors.runtime.definitions import FixedDefinitions
from processors.runtime.memory import MemoryLine
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.clock import VirtualClock
from schemas.codec import Codec
from schemas.definitions import parse
from schemas.records import RECORDS, Assignment, Marker, Move, SendCommand, SlotVersion, Update, Wire
from tests.badinput.foreign import CODEC, EVENT, NOW, records

FILES = {
    "identity.yaml": "identifiers:\n  user_id: {limit: 1}\n  email: {limit: 5, normalize: email, shared: newest}\n"
    "  anonymous_id: {limit: 100}\n",
    "channels.yaml": "email: {consent: opt_in, connector: smtp, caps: [{at_most: 2, per: 1d}]}\n",
    "events.yaml": "Order Completed: {same: properties.order_id, revenue: properties.total, undo: [Order Refunded]}\n",
    "segments/regulars.yaml": "when: {did: Order Completed, count: {at_least: 2}, within: 30d}\n",
    "segments/kyiv.yaml": "when: {all: [{trait: city, equals: Kyiv}, {consent: email}]}\n",
    "journeys/thanks.yaml": "enter: {event: Order Completed}\nexit: [{event: Order Refunded}]\nsteps:\n"
    "  - wait: {until: '09:00'}\n  - wait_for: {event: Product Viewed, as: view}\n    timeout: 6h\n"
    "  - send: {template: hello, channels: [email]}\n",
    "journeys/back.yaml": "enter: {segment: regulars}\nsteps:\n  - send: {template: hello, channels: [email]}\n",
    "templates/hello.yaml": "subject: Hi {{ person.traits.city }}\nbody: '{{ entry.properties.total }}'\n",
}
PROJECT = parse(FILES)
#: where records of each schema travel
TOPICS = {
    "event": [topics.EVENTS],
    "link": [topics.LINKS],
    "assignment": [topics.ASSIGNMENTS],
    "person": [topics.PEOPLE],
    "backfill": [topics.SEGMENTS_BACKFILL],
    "handoff": [topics.SEGMENTS_HANDOFF, topics.JOURNEYS_HANDOFF],
    "update": [topics.UPDATES],
    "send": [topics.outbound("email"), topics.outbound("email", True)],
}


class Taker:
    """A channel whose provider takes everything."""

    name, noun, traits = "email", "Email", Traits()

    async def hand_over(self, command: SendCommand) -> Outcome:
        return Outcome("accepted")


def line() -> MemoryLine:
    codec, source = Codec(), FixedDefinitions(PROJECT)
    stages = [IdentityStage(source, codec), GraphStage(source, codec), SegmentsStage(source, codec)]
    stages += [JourneysStage(source, codec)]
    stages += [DispatchStage(source, codec, Taker(), transactional=lane) for lane in (False, True)]
    return MemoryLine(stages, VirtualClock(NOW))


@st.composite
def published(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from(sorted(TOPICS)))
    return draw(st.sampled_from(TOPICS[name])), CODEC.encode(draw(records(RECORDS[name])))


#: an event of a slot that the same update takes away
LEAVING = Update(
    kind="event",
    person_id="p",
    slot="anonymous_id:cookie#0",
    version=1,
    at=NOW,
    event=CODEC.encode(EVENT),
    move=Move(to="q", slots=[SlotVersion(slot="anonymous_id:cookie#0", version=2)], reason="split", at=NOW),
)
#: each of these once ended a worker, again and again
KNOWN: list[tuple[str, Wire]] = [
    (topics.EVENTS, msgspec.structs.replace(EVENT, traits=b"{")),
    (topics.EVENTS, msgspec.structs.replace(EVENT, properties=b'{"order_id": %d}' % 2**70)),
    (topics.EVENTS, msgspec.structs.replace(EVENT, received_at=2**62)),
    (topics.ASSIGNMENTS, Assignment(identifier=EVENT.identifiers[0], version=1, periods=[])),
    (topics.UPDATES, Update(kind="marker", person_id="", at=NOW, marker=Marker(version="unheard of", at=NOW))),
    (topics.UPDATES, Update(kind="timer", person_id="p", at=NOW, profile=b'{"consents": [{}]}')),
    (topics.UPDATES, LEAVING),
]


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.lists(published(), min_size=1, max_size=8))
@example([(topic, CODEC.encode(record)) for topic, record in KNOWN])
def test_no_content_of_a_record_stops_a_stage(foreign: list[tuple[str, bytes]]) -> None:
    running = line()
    for topic, value in foreign:
        running.publish(topic, "key", value)
        # state that a foreign record left is met by ordinary events, and by timers
        running.publish(topics.EVENTS, EVENT.identifiers[0], CODEC.encode(EVENT))
    running.advance(NOW + 90 * topics.DAY_MS)
    running.close()
