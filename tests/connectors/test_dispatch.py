"""Dispatch as an operator sees it: on the memory broker, to a real SMTP server on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.outbound import email as email_channel
from connectors.outbound.caught import Mailbox
from connectors.outbound.dispatch import BACK_OFF
from connectors.outbound.email import Email, bounce_of
from connectors.outbound.settings import Server, SmtpSettings
from connectors.outbound.state import DONE
from schemas import topics
from tests.connectors.dispatching import NOW, Line, Provider, command
from tests.connectors.smtp import Smtp


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[Smtp]:
    server = Smtp(Mailbox(tmp_path / "mailbox"))
    server.start()
    yield server
    server.stop()


def email(port: int) -> Email:
    return Email(Server("127.0.0.1", port), SmtpSettings(timeout=60), lambda: b"secret", "http://shop.example")


def consent(granted: bool, address: str = "ann@example.com", at: int = NOW) -> dict[str, Any]:
    return {"address": address, "channel": "email", "purpose": "", "granted": granted, "at": at, "source": "test"}


def test_a_command_becomes_one_email_a_ledger_and_a_receipt(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.send(command())
    (caught,) = smtp.caught()
    assert (caught.to, caught.subject, caught.send_id) == (["ann@example.com"], "Hello Ann", "s1")
    assert line.states() == ["handed over", "accepted"]
    (receipt,) = line.receipts()
    assert (receipt.name, receipt.channel, receipt.send_id) == ("Email Sent", "email", "s1")
    assert receipt.identifiers == ["email:ann@example.com"]
    assert line.line.outputs[topics.EVENTS][0].key == b"email:ann@example.com"
    assert orjson.loads(receipt.properties)["address"] == "ann@example.com"


def test_a_command_that_comes_twice_is_sent_once(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.send(command(), command())
    line.restart()
    line.send(command())
    assert len(smtp.caught()) == 1
    assert line.states() == ["handed over", "accepted"]


def test_the_server_hears_nothing_before_the_hand_over_is_written(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.line.performing = False
    line.send(command())
    assert line.states() == ["handed over"]
    assert smtp.caught() == []


def test_a_marketing_message_in_doubt_after_a_crash_is_not_repeated(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.line.performing = False
    line.send(command())
    line.restart()
    line.line.advance(NOW + topics.DAY_MS)
    assert line.states() == ["handed over", "unknown"]
    assert smtp.caught() == []
    assert line.receipts() == []


def test_a_transactional_message_in_doubt_after_a_crash_is_repeated(smtp: Smtp) -> None:
    line = Line(email(smtp.port), lane="transactional")
    line.line.performing = False
    line.send(command())
    line.restart()
    line.line.advance(NOW + BACK_OFF[0] * 1000)
    assert line.states() == ["handed over", "deferred", "handed over", "accepted"]
    assert len(smtp.caught()) == 1


def test_a_dead_address_is_a_hard_bounce(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.send(command(to="bounce-1@example.com"))
    assert line.states() == ["handed over", "refused"]
    assert "550 5.1.1" in line.ledger()[-1].detail
    (receipt,) = line.receipts()
    assert receipt.name == "Email Bounced"
    assert receipt.identifiers == ["email:bounce-1@example.com"]
    assert orjson.loads(receipt.properties)["bounce_type"] == "hard"


def test_one_refused_message_does_not_hold_back_others_on_its_connection(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.send(*(command(f"s{n}", to=f"{'bounce' if n % 2 else 'ann'}{n}@example.com") for n in range(10)))
    assert len(smtp.caught()) == 5
    assert sorted(receipt.name for receipt in line.receipts()) == ["Email Bounced"] * 5 + ["Email Sent"] * 5


def test_a_temporary_refusal_is_tried_again_until_it_is_given_up(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.send(command(to="defer@example.com"))
    assert line.states() == ["handed over", "deferred"]
    line.line.advance(NOW + BACK_OFF[0] * 1000 - 1)
    assert line.states() == ["handed over", "deferred"]
    line.line.advance(NOW + 3 * topics.DAY_MS)
    assert line.states() == ["handed over", "deferred"] * len(BACK_OFF) + ["handed over", "failed"]
    (receipt,) = line.receipts()
    assert (receipt.name, orjson.loads(receipt.properties)["bounce_type"]) == ("Email Bounced", "soft")


def test_a_server_that_is_away_loses_nothing(smtp: Smtp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_channel, "RECONNECT", (0.0,))
    line = Line(email(1))
    line.send(command())
    assert line.states() == ["handed over", "deferred"]
    line.make = Line(email(smtp.port)).make
    line.restart()
    line.line.advance(NOW + BACK_OFF[0] * 1000)
    assert line.states()[-1] == "accepted"
    assert len(smtp.caught()) == 1


def test_a_server_that_comes_back_soon_is_waited_for(smtp: Smtp) -> None:
    smtp.stop()
    again = Smtp(smtp.mailbox, smtp.port)
    threading.Timer(0.3, again.start).start()
    line = Line(email(smtp.port))
    line.send(command())
    assert line.states() == ["handed over", "accepted"]
    again.stop()
    smtp.start()


@pytest.mark.parametrize(("lane", "last"), [("marketing", "unknown"), ("transactional", "deferred")])
def test_a_connection_that_breaks_after_the_message_leaves_it_in_doubt(lane: str, last: str) -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def hang_up_after_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                break
            writer.write(b"250 ok\r\n")
        writer.close()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(hang_up_after_data, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    line = Line(email(server.sockets[0].getsockname()[1]), lane=lane)
    line.send(command())
    assert line.states() == ["handed over", last]
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)


def test_consent_withdrawn_on_the_way_stops_the_message(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.profile(consents=[consent(True)], suppressed={})
    line.send(command("s1"))
    line.profile(consents=[consent(False, at=NOW + 1)], suppressed={})
    line.send(command("s2"))
    assert [caught.send_id for caught in smtp.caught()] == ["s1"]
    assert line.states("s2") == ["withheld"]
    assert line.ledger()[-1].detail == "no consent: email for ann@example.com refused"


def test_consent_is_checked_again_at_each_try(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.send(command(to="defer@example.com"))
    line.profile(consents=[consent(False, "defer@example.com")], suppressed={})
    line.line.advance(NOW + topics.DAY_MS)
    assert line.states() == ["handed over", "deferred", "withheld"]


def test_a_suppressed_address_gets_nothing(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.profile(consents=[consent(True)], suppressed={"ann@example.com": "all"})
    line.send(command())
    assert line.states() == ["withheld"]
    assert smtp.caught() == []


def test_marketing_needs_a_grant_where_the_channel_is_opt_in_and_transactional_does_not(smtp: Smtp) -> None:
    for lane, state in (("marketing", "withheld"), ("transactional", "accepted")):
        line = Line(email(smtp.port), lane=lane)
        line.profile(consents=[], suppressed={"ann@example.com": "marketing"} if lane == "transactional" else {})
        line.send(command())
        assert line.states()[-1] == state


def test_a_profile_that_moves_to_another_person_does_not_stop_what_is_on_its_way(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.profile(consents=[consent(True)], suppressed={})
    line.profile(kind="move", consents=[], suppressed={})
    line.send(command())
    assert line.states()[-1] == "accepted"


def test_without_a_profile_the_decision_of_the_journey_stands(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.send(command())
    assert line.states()[-1] == "accepted"


def test_content_that_is_no_message_fails_alone(smtp: Smtp) -> None:
    line = Line(email(smtp.port))
    line.send(command("s1", content=b"{}"), command("s2"))
    assert line.states("s1") == ["handed over", "failed"]
    assert line.states("s2") == ["handed over", "accepted"]
    failed, sent = line.receipts()
    assert (failed.name, failed.send_id, sent.name, sent.send_id) == ("Email Failed", "s1", "Email Sent", "s2")
    assert orjson.loads(failed.properties)["reason"] == "the template gave neither text nor html"


def test_a_crash_leaves_no_more_in_doubt_than_were_at_the_provider(smtp: Smtp) -> None:
    line = Line(email(smtp.port), at_once=3)
    line.line.performing = False
    line.send(*(command(f"s{n:02}") for n in range(10)))
    assert sorted(entry.state for entry in line.ledger()) == ["handed over"] * 3 + ["reserved"] * 7
    line.restart()
    final = {entry.send_id: entry.state for entry in line.ledger()}
    assert sorted(final.values()) == ["accepted"] * 7 + ["unknown"] * 3
    assert sorted(caught.send_id for caught in smtp.caught()) == [f"s{n:02}" for n in range(3, 10)]


def test_pauses_between_tries_follow_the_pace_of_a_scaled_clock(smtp: Smtp) -> None:
    line = Line(email(smtp.port), pace=1_000)
    line.send(command(to="defer@example.com"))
    line.line.advance(NOW + BACK_OFF[0] * 1_000_000 - 1)
    assert line.states() == ["handed over", "deferred"]
    line.line.advance(NOW + BACK_OFF[0] * 1_000_000)
    assert line.states() == ["handed over", "deferred"] * 2


def test_repeated_commands_are_forgotten_in_time() -> None:
    line = Provider().line()
    line.send(command())
    line.line.advance(NOW + 31 * topics.DAY_MS)
    assert list(line.line.states("dispatch-email", DONE)) == []


@pytest.mark.parametrize(
    ("code", "answer", "bounce"),
    [
        (550, "5.1.1 unknown user", "hard"),
        (550, "no such user", "hard"),
        (552, "mailbox full", "soft"),
        (552, "5.2.2 mailbox full", "soft"),
        (550, "5.2.1 mailbox disabled", "hard"),
        (550, "5.7.1 blocked by policy", "block"),
        (554, "5.4.4 no route", "soft"),
    ],
)
def test_only_a_dead_address_is_a_hard_bounce(code: int, answer: str, bounce: str) -> None:
    assert bounce_of(code, answer) == bounce
