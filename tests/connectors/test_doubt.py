"""Sends of which nobody knows whether the provider has them, and what receipts add to the ledger."""

from __future__ import annotations

import orjson
import pytest

from connectors.outbound.channel import Doubt, Outcome, Traits
from connectors.outbound.dispatch import BACK_OFF, DOUBT_SECONDS
from schemas.records import Event
from tests.connectors.dispatching import NOW, Line, Provider, command


def event(name: str, send_id: str = "s1", **properties: object) -> Event:
    return Event(
        message_id=name,
        event_id=name,
        type="track",
        name=name,
        channel="email",
        identifiers=["email:ann@example.com"],
        occurred_at=NOW,
        received_at=NOW,
        source="test",
        send_id=send_id,
        properties=orjson.dumps({"send_id": send_id, **properties}),
        traits=b"{}",
        context=b"{}",
    )


def crashed(provider: Provider, lane: str) -> Line:
    """Dispatch that was started again after it had died while a message was at the provider."""
    line = provider.line(lane)
    line.line.performing = False
    line.send(command())
    line.restart()
    return line


@pytest.mark.parametrize("lane", ["marketing", "transactional"])
def test_a_provider_that_knows_send_ids_is_given_a_message_in_doubt_again(lane: str) -> None:
    provider = Provider(Traits(doubt="idempotent"))
    line = crashed(provider, lane)
    line.after(BACK_OFF[0])
    assert line.states() == ["handed over", "deferred", "handed over", "accepted"]
    assert [send for _, send in provider.given] == ["s1"]


@pytest.mark.parametrize("lane", ["marketing", "transactional"])
def test_where_receipts_name_the_send_one_that_comes_settles_the_doubt(lane: str) -> None:
    provider = Provider(Traits(doubt="echo"))
    line = crashed(provider, lane)
    assert line.states() == ["handed over", "in doubt"]
    line.happens(event("Email Delivered"))
    line.after(2 * DOUBT_SECONDS)
    assert line.states() == ["handed over", "in doubt", "accepted", "delivered"]
    assert provider.given == []


@pytest.mark.parametrize(("lane", "end"), [("marketing", "unknown"), ("transactional", "accepted")])
def test_where_no_receipt_comes_the_policy_of_the_lane_holds(lane: str, end: str) -> None:
    line = crashed(Provider(Traits(doubt="echo")), lane)
    line.after(DOUBT_SECONDS - 1)
    assert line.states()[-1] == "in doubt"
    line.after(1)
    assert line.states()[-1] == end


@pytest.mark.parametrize("doubt", ["policy", "echo", "idempotent"])
def test_a_provider_that_breaks_off_leaves_the_same_doubt_as_a_crash(doubt: Doubt) -> None:
    provider = Provider(Traits(doubt=doubt))
    line = provider.line()
    provider.answer = lambda c: Outcome("ambiguous", "timed out") if len(provider.given) == 1 else Outcome("accepted")
    line.send(command())
    line.after(2 * DOUBT_SECONDS)
    assert line.states()[-1] == ("accepted" if doubt == "idempotent" else "unknown")
    assert len(provider.given) == (2 if doubt == "idempotent" else 1)


def test_receipts_of_any_order_and_number_leave_one_end() -> None:
    for names in (
        ["Email Delivered", "Email Opened", "Email Delivered"],
        ["Email Opened", "Email Delivered"],
        ["Email Bounced", "Email Delivered", "Email Bounced"],
    ):
        line = Provider().line()
        line.send(command())
        for name in names:
            line.happens(event(name))
        assert line.states()[-1] == "delivered"
        assert line.states().count("delivered") == 1


def test_a_message_that_bounced_later_did_not_arrive() -> None:
    line = Provider().line()
    line.send(command())
    line.happens(event("Email Bounced", bounce_type="hard"))
    assert line.states() == ["handed over", "accepted", "undelivered"]
    assert line.ledger()[-1].detail == "Email Bounced"


def test_receipts_of_sends_of_others_change_nothing() -> None:
    line = Provider().line()
    line.send(command())
    line.happens(event("Email Delivered", "of another line"))
    line.happens(event("Product Viewed"))
    assert line.states() == ["handed over", "accepted"]


def test_what_may_not_be_sent_any_more_is_told_to_the_journey() -> None:
    line = Provider().line()
    line.profile(consents=[], suppressed={"ann@example.com": "all"})
    line.send(command())
    (receipt,) = line.receipts()
    assert (receipt.name, receipt.send_id) == ("Email Dropped", "s1")
    assert orjson.loads(receipt.properties)["reason"] == "suppressed: ann@example.com for all"
