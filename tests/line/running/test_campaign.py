"""The whole line on a real Kafka and the real ClickHouse engine: one event to an e-mail, then faults under load.

The faults are those of the campaign (`python -m tests.faults.line`) in its short form. It judges all that the line was
given so far, so it comes before the other tests of this folder.
"""

from __future__ import annotations

from segment.analytics.client import Client

from pathline.local.quiet import wait_quiet
from processors.runtime.points import Point
from sinks.clickhouse.engine import open_server
from tests.faults.line.campaign import Campaign
from tests.faults.line.project import ORDERED, REGULAR
from tests.faults.line.running import RunningLine, until
from tests.faults.schedule import Fault, Kind
from tests.line.running.mailbox import mails

EVENTS, RATE = 600, 15.0
SEED = 5
#: one fault of each kind, at processes that have not been hit before
FAULTS = (
    Fault(Kind.KILL, 0.5, (0.0,)),
    Fault(Kind.CRASH, 0.5, (0.3,), point=Point.AFTER_COMMIT),
    Fault(Kind.BURST, 0.5, (0.4, 0.6, 0.9), gaps=(0.3, 0.1)),
    Fault(Kind.FREEZE, 0.5, (0.5,), lasts=6.0),
    Fault(Kind.CRASH, 0.5, (0.9,), point="sink.inserted"),
    Fault(Kind.BROKER_KILLED, 0.5, (0.0,)),
    Fault(Kind.WIPE, 0.5, (0.55,)),
)


def test_an_event_of_the_segment_library_becomes_a_row_and_one_e_mail(running: RunningLine) -> None:
    stack, errors = running.stack, list[Exception]()
    client = Client(
        stack.line.write_key, host=stack.line.collector, on_error=lambda error, _: errors.append(error), sync_mode=True
    )
    consent = {"consent": {"categoryPreferences": {"email": True}}}
    client.track(anonymous_id="visitor", event="Product Viewed", context={"channel": "web"})
    client.identify("ann", {"email": "Ann@Example.com"}, anonymous_id="visitor", context=consent)
    for number in range(REGULAR):
        client.track("ann", ORDERED, {"total": 10, "order_id": number}, context={"channel": "web"})
    until(lambda: any(mail["to"] == ["ann@example.com"] for mail in mails(stack)), "the mail is there")
    wait_quiet(lambda: stack.line)
    assert not errors
    assert [mail["subject"] for mail in mails(stack) if mail["to"] == ["ann@example.com"]] == ["Thanks"]
    warehouse = open_server(stack.line.warehouse, prepare=False)
    rows = warehouse.rows(
        "SELECT name, count() AS n, uniqExact(person_id) AS persons, any(person_id) AS person FROM pathline.events "
        "WHERE hasAny(identifiers, ['user_id:ann', 'anonymous_id:visitor']) GROUP BY name ORDER BY name"
    )
    warehouse.close()
    assert [(row["name"], row["n"], row["persons"]) for row in rows] == [
        ("Identify", 1, 1),
        (ORDERED, REGULAR, 1),
        ("Product Viewed", 1, 1),
    ]
    assert len({row["person"] for row in rows}) == 1


def test_faults_under_load_neither_lose_nor_double_anything(running: RunningLine) -> None:
    campaign = Campaign(running, SEED, print, poison_every=50)
    campaign.run(EVENTS, campaign.steer(FAULTS), rate=RATE)
    campaign.settle()
    figures = campaign.judge()
    assert len(campaign.recoveries) == len(FAULTS)
    assert figures["5 timers"]["taken over"]
