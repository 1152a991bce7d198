"""Who would enter and leave under other definitions, before they are applied."""

from __future__ import annotations

from pathline.turnover.comparing import Difference, compare, history
from pathline.turnover.following import Progress
from processors.runtime.contract import Record
from schemas import topics
from schemas.definitions.model import Condition, Did, InSegment, Not, Window
from schemas.records import Backfill
from tests.segments.lab import D, Line, event, project

T = 1_700_000_000_000
COOKIE = "anonymous_id:c#0"


def lived() -> Line:
    """U viewed twice, once on a device that is its own since; V viewed once, ten days ago."""
    line = Line(project({}), partitions=2)
    line.happen(event("View", T, identifiers=["user_id:v"]), person="V", slot="user_id:v#0")
    line.happen(event("View", T + 9 * D, identifiers=["anonymous_id:c"]), person="C", slot=COOKIE)
    line.move("C", "U", {COOKIE: 2}, at=T + 9 * D + 1)
    line.happen(event("View", T + 9 * D + 2, identifiers=["user_id:u"]), person="U", slot="user_id:u#0")
    line.mark("v1", T + 9 * D + 3)
    return line


def differences(old: dict[str, Condition], new: dict[str, Condition]) -> dict[str, Difference]:
    line, before = lived(), project(old, version="old")
    records = sorted(line.line.outputs[topics.PEOPLE], key=lambda record: -record.partition)
    messages = [Message(record) for record in records]
    past = history(messages, line.codec, lambda number: None)
    found = compare(before, project(new, version="new"), past, T + 10 * D, line.codec)
    return {one.segment: one for one in found}


class Message:
    """A record as the Kafka client gives it."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def key(self) -> bytes | None:
        return self._record.key

    def value(self) -> bytes | None:
        return self._record.value

    def headers(self) -> None:
        return None


def test_a_change_says_who_would_enter_and_leave() -> None:
    viewed, twice = Did(("View",)), Did(("View",), at_least=2)
    lately = Did(("View",), window=Window(far=10 * D))
    old: dict[str, Condition] = {"viewed": viewed, "same": viewed, "gone": viewed, "rest": Not(InSegment("viewed"))}
    new: dict[str, Condition] = {
        "viewed": lately,
        "same": viewed,
        "rest": old["rest"],
        "twice": twice,
    }
    found = differences(old, new)
    assert found.keys() == {"viewed", "gone", "rest", "twice"}, "what stays as it is, is not shown"
    assert {name: (one.definition, one.before, one.after) for name, one in found.items()} == {
        "viewed": ("changed", 2, 1),
        "gone": ("removed", 2, 0),
        "rest": ("same", 0, 1),
        "twice": ("new", 0, 1),
    }
    (lost,) = found["viewed"].leave
    assert (lost.person_id, lost.identifiers) == ("V", ("user_id:v",))
    (won,) = found["twice"].enter
    assert (won.person_id, won.identifiers) == ("U", ("user_id:u", "anonymous_id:c"))  # the strongest first
    assert found["rest"].enter == found["viewed"].leave, "a segment that goes by a changed one changes too"


def test_progress_is_that_of_the_newest_version() -> None:
    progress = Progress()

    def tell(kind: str, version: str, at: int, partition: int, **more: object) -> None:
        progress.take(Backfill(kind=kind, definitions=version, marked_at=at, partition=partition, **more))

    tell("done", "v1", T, 0)
    for partition in (0, 1):
        tell("round", "v2", T + 1, partition, upto=100, segments=["new"])
    tell("read", "v2", T + 1, 0, next=40, upto=100)
    tell("state", "v2", T + 1, 0)
    tell("done", "v1", T, 1)
    assert progress.spoken() == "history: 40 of 200 records read; 0 persons have followed"
    assert progress.waiting == {"new"}
    for partition in (0, 1):
        tell("swept", "v2", T + 1, partition, persons=7)
        assert not progress.done(2)
        tell("done", "v2", T + 1, partition)
    assert progress.done(2)
    assert "14 persons" in progress.spoken()
