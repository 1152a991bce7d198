"""Committed offsets that are ahead of what they stand for are found, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from processors.runtime.contract import Record
from schemas.codec import Codec
from schemas.records import PersonEnvelope, Update
from schemas.topics import EVENTS, PEOPLE, UPDATES
from tests.faults.line.invariants import Violation
from tests.faults.line.offsets import Trail
from tests.sinks.made import event

CODEC = Codec()
SEEN = CODEC.encode(event("Seen", id="seen"))
PERSON = CODEC.encode(PersonEnvelope(kind="event", person_id="p", slot="s", version=1, event=SEEN))
UPDATE = CODEC.encode(Update(kind="event", person_id="p", at=1, event=SEEN))


def trail(*left: tuple[str, int, int, bytes | None]) -> Trail:
    made = Trail()
    for topic, partition, offset, value in left:
        made.take(Record(topic, partition, offset, 0, b"key", value))
    return made


def test_what_is_answered_and_what_nobody_can_use_may_lie_before_a_committed_offset() -> None:
    found = trail((EVENTS, 0, 7, SEEN), (EVENTS, 0, 8, b"poison"), (PEOPLE, 1, 3, PERSON), (UPDATES, 2, 5, UPDATE))
    found.judge({(EVENTS, 0): 9, (PEOPLE, 1): 4})
    assert found.checked == 2


def test_an_event_that_left_nothing_is_found_at_its_stage() -> None:
    with pytest.raises(Violation, match="offset 7 left no output"):
        trail((EVENTS, 0, 7, SEEN)).judge({(EVENTS, 0): 8})
    with pytest.raises(Violation, match="offset 3 left no output"):
        trail((EVENTS, 0, 7, SEEN), (PEOPLE, 1, 3, PERSON)).judge({(EVENTS, 0): 8, (PEOPLE, 1): 4})


def test_what_lies_behind_a_committed_offset_may_be_without_output_yet() -> None:
    trail((EVENTS, 0, 7, SEEN)).judge({(EVENTS, 0): 7})


def test_an_event_may_be_sent_on_to_the_person_it_belongs_to_by_now() -> None:
    found = trail((EVENTS, 0, 7, SEEN), (PEOPLE, 1, 3, PERSON), (PEOPLE, 2, 6, PERSON))
    found.judge({(PEOPLE, 1): 4, (PEOPLE, 2): 6})
    with pytest.raises(Violation, match="offset 6 left no output"):
        found.judge({(PEOPLE, 1): 4, (PEOPLE, 2): 7})


def test_an_event_may_wait_at_its_person_and_is_judged_again() -> None:
    other = CODEC.encode(event("Seen", id="other"))
    second = CODEC.encode(PersonEnvelope(kind="event", person_id="p", slot="s", version=1, event=other))
    waits = CODEC.encode(Update(kind="awaiting", person_id="p", slot="s", version=1, at=1))
    gone_on = CODEC.encode(Update(kind="event", person_id="p", slot="s", version=1, at=1, event=SEEN))
    found = trail((PEOPLE, 1, 3, PERSON), (UPDATES, 2, 5, waits))
    found.judge({(PEOPLE, 1): 4})
    assert found.checked == 0
    found.take(Record(PEOPLE, 1, 4, 0, b"key", second))
    with pytest.raises(Violation, match="offset 4 left no output"):
        found.judge({(PEOPLE, 1): 5})
    found = trail((PEOPLE, 1, 3, PERSON), (PEOPLE, 1, 4, second), *[(UPDATES, 2, n, waits) for n in (5, 6)])
    found.judge({(PEOPLE, 1): 5})
    found.take(Record(UPDATES, 2, 7, 0, b"key", gone_on))
    found.judge({(PEOPLE, 1): 5})
    assert found.checked == 1


def test_an_offset_that_goes_back_is_found() -> None:
    found = Trail()
    found.judge({(EVENTS, 0): 9})
    with pytest.raises(Violation, match="went back"):
        found.judge({(EVENTS, 0): 8})
