"""What must be true at the two edges that are not Kafka: the warehouse and the mail server."""

from __future__ import annotations

from collections import Counter
from email.parser import BytesHeaderParser
from pathlib import Path

from processors.graph.step import GraphStage
from processors.identity.step import IdentityStage
from processors.journeys.step import JourneysStage
from processors.segments.step import SegmentsStage
from schemas import topics
from schemas.records import LedgerEntry, SendCommand
from sinks.clickhouse import writer
from sinks.clickhouse.engine import Warehouse
from tests.faults.line.facts import Facts
from tests.faults.line.invariants import Figures, Violation, none, same
from tests.faults.line.oracle import Expected, shared
from tests.faults.line.reading import behind

#: last words of a send at its provider
FINAL = frozenset({"accepted", "refused", "failed", "unknown", "withheld"})
_ROWS = 50_000
_NOT_ALTERNATING = """
SELECT count() AS n FROM (
    SELECT change, lagInFrame(change, 1, 'left') OVER (
        PARTITION BY person_id, segment ORDER BY offset, ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS before
    FROM pathline.memberships
)
WHERE change = before
"""


def warehouse_once(warehouse: Warehouse, facts: Facts, expected: Expected) -> Figures:
    """7. The warehouse has each event, change, decision, send and ledger entry once, events with the right person."""
    for table, id_, number in (
        ("events", "event_id", len(expected.filed)),
        ("decisions", "decision_id", len(facts.decisions)),
        ("sends", "send_id", len(facts.sends)),
        ("ledger", "(topic, partition, offset)", sum(map(len, facts.ledger.values()))),
        ("memberships", "(topic, partition, offset, ordinal)", sum(map(len, facts.changes.values()))),
    ):
        [found] = warehouse.rows(f"SELECT count() AS n, uniqExact({id_}) AS different FROM pathline.{table}")
        same(found, {"n": number, "different": number}, f"rows of {table}")
    same(warehouse.rows(_NOT_ALTERNATING)[0]["n"], 0, "memberships that don't alternate")
    parts, persons = len(expected.filed) // _ROWS + 1, set[str]()
    for part in range(parts):
        found = warehouse.arrow(
            "SELECT toString(event_id) AS event, toString(person_id) AS person FROM pathline.events "
            f"WHERE cityHash64(event_id) % {parts} = {part}"
        )
        pairs = list(zip(found["event"].to_pylist(), found["person"].to_pylist(), strict=True))
        placed = [(event, person) for event, person in pairs if not shared(expected.filed[event])]
        none([pair for pair in placed if pair[1] != expected.person_of(pair[0])], "rows under another person")
        persons.update(person for _, person in pairs)
    return {"rows": len(expected.filed), "persons": len(persons), "decisions": len(facts.decisions)}


def delivered_as_promised(mailbox: Path, facts: Facts) -> Figures:
    """8. A marketing message arrived at most once and not at all only if the ledger says so; a transactional one
    arrived, more than once only where the ledger has a doubt."""
    arrived = Counter(_send_id(path) for path in mailbox.glob("*.eml"))
    none(arrived.keys() - {send.send_id for send in facts.sends}, "messages that nobody commanded")
    found = Counter[str]()
    for send in facts.sends:
        entries = facts.ledger[send.send_id]
        last = [entry.state for entry in entries if entry.state in FINAL]
        if len(last) != 1 or entries[-1].state not in FINAL:
            raise Violation(f"send {send.send_id} did not end once: {[entry.state for entry in entries]}")
        if not _allowed(send, arrived[send.send_id], last[0], entries):
            states = [entry.state for entry in entries]
            raise Violation(f"{send.category} send {send.send_id} arrived {arrived[send.send_id]} times: {states}")
        found[f"{send.category} {last[0]}"] += 1
        found["in doubt, arrived"] += last[0] == "unknown" and arrived[send.send_id]
        found["transactional twice"] += arrived[send.send_id] > 1
    return {"messages": arrived.total(), **found}


def _allowed(send: SendCommand, arrived: int, state: str, entries: list[LedgerEntry]) -> bool:
    if state in ("withheld", "refused", "failed"):
        return arrived == 0
    if send.category == "transactional":
        doubts = sum(entry.state == "deferred" and "in doubt" in entry.detail for entry in entries)
        broken = sum(entry.state == "deferred" and "connection broke" in entry.detail for entry in entries)
        return state == "accepted" and 1 <= arrived <= 1 + doubts + broken
    return arrived == 1 if state == "accepted" else arrived <= 1


def _send_id(path: Path) -> str:
    return str(BytesHeaderParser().parsebytes(path.read_bytes())["X-Pathline-Send-Id"])


def nothing_left(brokers: str) -> Figures:
    """9. No partition stays stuck: every group has taken all that is committed."""
    stages = (IdentityStage, GraphStage, SegmentsStage, JourneysStage)
    inputs = {stage.app: stage.inputs for stage in stages}
    for transactional, app in enumerate(topics.dispatch_apps("email")):
        inputs[app] = (topics.outbound("email", bool(transactional)), topics.UPDATES)
    inputs[writer.GROUP] = (topics.UPDATES, topics.ASSIGNMENTS, topics.DECISIONS, topics.ledger("email"))
    left = {app: found for app, read in inputs.items() if (found := behind(brokers, app, read))}
    none(list(left.items()), "groups that have not taken everything")
    return {"groups": len(inputs)}
