"""Earlier person ids lead to who they are now, in the warehouse and in `pathline person`; refusals tell why."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from schemas import topics
from schemas.definitions import load
from schemas.identifiers import person_id
from schemas.records import Assertion, LinkEnvelope
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.person import story
from tests.erasure.line import CODEC, Whole
from tests.line.project import Lab, at, identify, track

ANNA, TABLET = "user_id:anna", "anonymous_id:tablet"


def test_earlier_ids_follow_their_identifier_through_merge_and_split(tmp_path: Path, warehouse: Warehouse) -> None:
    line = Whole(load(Lab(tmp_path).folder), round(datetime.fromisoformat(at(days=-1)).timestamp() * 1000), warehouse)

    def known(who: str) -> tuple[str, list[str], list[str]]:
        """(person id, earlier ids, timeline) as the warehouse has them."""
        line.sink()
        warehouse.command("SYSTEM RELOAD DICTIONARY pathline.slot_owner")
        found = story(warehouse, who)
        assert found is not None
        return (
            found.person_id,
            found.earlier_ids,
            [entry["what"] for entry in found.timeline if entry["kind"] == "event"],
        )

    def tell(verb: str) -> None:
        told_at = line.clock.now()
        assertion = Assertion(verb=verb, a=ANNA, b=TABLET, author="ann", reason="brothers", at=told_at)
        line.line.publish(topics.LINKS, "links", CODEC.encode(LinkEnvelope(kind="assertion", assertion=assertion)))
        line.line.drain()

    line.happen(track("Alone", at(), None, anonymousId="tablet"))
    line.happen(identify(at(minutes=1), "anna", anonymousId="tablet"))
    line.happen(track("Together", at(minutes=2), None, anonymousId="tablet"))
    merged = (person_id(ANNA), [person_id(TABLET)], ["Alone", "Identify", "Together"])
    assert [known(who) for who in (ANNA, TABLET, person_id(ANNA), person_id(TABLET))] == [merged] * 4
    assert warehouse.rows(
        "SELECT toString(earlier_id) AS id, toString(person_id) AS now FROM pathline.earlier_ids"
    ) == [{"id": person_id(TABLET), "now": person_id(ANNA)}]
    tell("never")
    assert known(TABLET) == known(person_id(TABLET)) == (person_id(TABLET), [], ["Alone", "Together"])
    assert known(ANNA) == (person_id(ANNA), [], ["Identify"])
    told = story(warehouse, ANNA)
    assert told is not None
    assert [row["reason"] for row in told.refused_links] == [f"never: {ANNA} {TABLET}"]
