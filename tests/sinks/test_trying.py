"""`pathline journeys test` and `pathline template show`: what people would get, before they get it."""

from __future__ import annotations

import email
import json
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from typer.testing import CliRunner, Result

from pathline.cli import app
from pathline.journeys.previewing import previews
from pathline.journeys.trying import Person, run
from pathline.local.ports import free
from schemas.definitions import parse
from schemas.records import Decision, Definitions, SendCommand
from sinks.clickhouse.engine import Warehouse
from tests.journeys.lab import FILES
from tests.sinks.made import HOUR, T0, event, fill, update

JOURNEY = """
enter: {event: Product Added, where: event.properties.price > 10, at_most_every: 30d}
exit: {event: Order Completed}
intent: "cart:{{ entry.properties.id }}"
steps:
  - wait: 1h
  - branch:
      - when: {in: vip}
        steps: [{send: {template: offer, channels: [email]}}]
      - otherwise: [{exit: no vip}]
  - wait_for: {event: Product Viewed}
    timeout: 2d
    on_timeout: [{send: {template: offer, channels: [sms, email]}}]
"""
OFFER = """
subject: "{{ person.traits.name }}, {{ entry.properties.name }} is waiting"
body: "<p>{{ entry.properties.name | default: 'It' }} for <a href='https://shop.example/'>you</a></p>"
sms: {body: "{{ entry.properties.name }} is waiting"}
uk: {subject: Чекаємо}
"""
PROJECT = FILES | {
    "project.yaml": "name: shop\nholdout: {share: 99.9}\ncaps: [{at_most: 1, per: 7d}]\n",
    "channels.yaml": 'email: {cost: 0.001, connector: smtp, consent: opt_in, quiet: "00:00-23:59"}\n'
    "sms: {cost: 0.05}\n",
    "journeys/cart.yaml": JOURNEY,
    "journeys/vips.yaml": "enter: {segment: vip}\nsteps: [{send: {template: hello, channels: [email]}}]\n",
    "journeys/stuck.yaml": "enter: {segment: vip}\nsteps: [{wait_for: {event: Order Completed}}]\n",
    "journeys/viewed.yaml": "enter: {segment: vip}\nsteps:\n"
    "- wait_for: {event: Product Added, where: event.properties.price < 9, as: it}\n"
    "- send: {template: small, channels: [sms]}\n",
    "templates/small.yaml": "body: 'A {{ it.properties.name }}?'\n",
    "templates/offer.yaml": OFFER,
}


class Inbox:
    """An SMTP server's mails, as a client gets them."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        made: Any = email.message_from_bytes(envelope.content, policy=default)
        self.mails.append(made)
        return "250 OK"


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    found = Inbox()
    port = free()
    controller = Controller(found, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("PATHLINE_SMTP", f"smtp://127.0.0.1:{port}")
    monkeypatch.setenv("PATHLINE_PUBLIC_URL", "https://collector.example")
    yield found
    controller.stop()


@pytest.fixture
def line(home: Path, warehouse: Warehouse) -> Path:
    """A person who added two products and refused e-mails."""
    profile = {
        "traits": {"name": "Ann", "vip": True},
        "segments": ["vip", "~cart/2/1"],
        "consents": [{"address": "", "channel": "email", "purpose": "", "granted": False, "at": T0}],
        "addresses": {"user_id": ["u1"], "email": ["ann@example.com"]},
        "suppressed": {"me@example.com": "all"},
        "timezone": None,
    }
    added = [
        update(event("Product Added", T0, properties={"price": 20, "name": "Lamp", "id": 1}), profile=profile),
        update(event("Product Added", T0 + HOUR, properties={"price": 5, "name": "Pen"}), profile=profile),
    ]
    fill(warehouse, [Definitions(version="v", published_at=T0, files=PROJECT), *added])
    return home


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.usefixtures("line")
class TestJourney:
    def test_its_messages_go_to_the_address_given_and_nothing_is_in_their_way(self, inbox: Inbox) -> None:
        told = call("journeys", "test", "cart", "--as", "user_id:u1", "--to", "me@example.com", "--fast")
        assert told.exit_code == 0, told.output
        assert [mail["To"] for mail in inbox.mails] == ["me@example.com"] * 2
        assert [mail["Subject"] for mail in inbox.mails] == ["[Test] Ann, Lamp is waiting"] * 2
        assert len({mail["X-Pathline-Send-Id"] for mail in inbox.mails}) == 2
        assert all(mail["X-Pathline-Send-Id"].startswith("test-") for mail in inbox.mails)
        # no link of it leads to the line
        page = inbox.mails[0].get_body(("html",))
        assert page is not None
        assert "collector.example" not in page.get_content()
        assert "sms unreachable" in told.stdout
        assert "finished" in told.stdout

    def test_a_message_without_a_subject_is_marked_too(self) -> None:
        files = {
            "journeys/short.yaml": "enter: {api: true}\nsteps: [{send: {template: short, channels: [sms]}}]\n",
            "templates/short.yaml": "sms: {body: Come in}\n",
        }
        project = parse(PROJECT | files)
        told = list[Decision | SendCommand]()
        tried_as = Person("8f6b2b9a-4c53-5d24-9d5b-3f0c4d1f7f11", b'{"traits": {}}', ("phone:+380501234567",))
        run(project, project.journeys["short"], tried_as, None, T0, happened=told.append)
        [message] = [one for one in told if isinstance(one, SendCommand)]
        assert json.loads(message.content) == {"text": "[Test] Come in"}

    def test_codes_of_promos_in_it_are_nobodys(self) -> None:
        files = {
            "promos.yaml": "pool: {file: pool.txt}\nmade: {generate: {prefix: SPRING-}}\n",
            "journeys/codes.yaml": "enter: {api: true}\nsteps: [{issue: {promo: pool, as: one}}, "
            "{issue: {promo: made, as: two}}, {send: {template: codes, channels: [sms]}}]\n",
            "templates/codes.yaml": "sms: {body: '{{ one }} {{ two }}'}\n",
        }
        project = parse(PROJECT | files)
        told = list[Decision | SendCommand]()
        tried_as = Person("8f6b2b9a-4c53-5d24-9d5b-3f0c4d1f7f11", b'{"traits": {}}', ("phone:+380501234567",))
        run(project, project.journeys["codes"], tried_as, None, T0, happened=told.append)
        [message] = [one for one in told if isinstance(one, SendCommand)]
        assert re.fullmatch(r"\[Test\] TEST-\w{8} TEST-\w{12}", json.loads(message.content)["text"])

    def test_programs_read_what_happens_line_by_line(self, inbox: Inbox) -> None:
        told = call("journeys", "test", "vips", "--as", "user_id:u1", "--to", "me@example.com", "--format", "json")
        assert told.exit_code == 0, told.output
        lines = [json.loads(line) for line in told.stdout.splitlines()]
        assert [line.get("reason") for line in lines] == ["entered", "sent", "finished", None]
        assert (lines[3]["taken"], lines[3]["to"]) == (True, "me@example.com")
        assert len(inbox.mails) == 1

    def test_a_provider_that_refuses_is_told(self, inbox: Inbox) -> None:
        told = call("journeys", "test", "vips", "--as", "user_id:u1", "--to", "nobody@example.com", "--fast")
        assert told.exit_code == 1
        assert "no such user" in told.output
        assert "1 messages could not be handed over" in told.output

    def test_what_does_not_happen_is_told(self) -> None:
        told = call("journeys", "test", "stuck", "--as", "user_id:u1", "--to", "me@example.com", "--fast")
        assert told.exit_code == 0, told.output
        assert "waits for something that does not happen in a test" in told.stdout
        assert "no message came of it" in told.stdout

    def test_mistakes(self, tmp_path: Path) -> None:
        assert (
            "did you mean cart?" in call("journeys", "test", "crt", "--as", "user_id:u1", "--to", "a@b.example").output
        )
        assert (
            "nobody is known by" in call("journeys", "test", "vips", "--as", "user_id:x", "--to", "a@b.example").output
        )
        assert "not" in call("journeys", "test", "vips", "--as", "user_id:u1", "--to", "email:x").output
        neither = call("journeys", "test", "vips", "--as", "user_id:u1", "--to", "nonsense").output
        assert "'nonsense' is no address; write an e-mail address, a phone number or type:value" in neither
        absent = call("journeys", "test", "vips", "--as", "user_id:u1", "--to", "a@b.example", "--event", "absent.json")
        assert (absent.exit_code, "absent.json can't be read: No such file or directory" in absent.output) == (1, True)
        (tmp_path / "event.json").write_text("[]")
        wrong = call("journeys", "test", "cart", "--as", "user_id:u1", "--to", "a@b.example", "--event",
                     str(tmp_path / "event.json"))  # fmt: skip
        assert wrong.exit_code == 1
        assert "no message of the Segment spec" in wrong.output


@pytest.mark.usefixtures("line")
class TestTemplate:
    def test_it_is_shown_as_a_person_would_get_it_in_each_channel(self, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        told = call("template", "show", "offer", "--as", "user_id:u1", "-o", str(page))
        assert told.exit_code == 0, told.output
        assert "--- email" in told.stdout
        assert "subject: Ann, Lamp is waiting" in told.stdout
        assert "--- sms" in told.stdout
        assert "--- sms (segments 1, characters 15, encoding GSM-7)" in told.stdout
        assert "Lamp is waiting" in told.stdout.partition("--- sms")[2]
        assert page.read_text().startswith("<p>Lamp for")

    def test_another_language_event_and_traits(self, tmp_path: Path) -> None:
        (tmp_path / "event.json").write_text(
            json.dumps({"type": "track", "event": "X", "userId": "u1", "properties": {"name": "Cup"}})
        )
        told = call("template", "show", "offer", "--event", str(tmp_path / "event.json"), "--traits", '{"name": "Bo"}',
                    "--format", "json")  # fmt: skip
        assert told.exit_code == 0, told.output
        mail, sms = json.loads(told.stdout)
        assert (mail["channel"], mail["parts"]["subject"]) == ("email", "Bo, Cup is waiting")
        assert sms["parts"]["text"] == "Cup is waiting"
        other = call("template", "show", "offer", "--as", "user_id:u1", "--language", "uk", "--channel", "email")
        assert "subject: Чекаємо" in other.stdout

    def test_a_code_in_it_is_nobodys(self) -> None:
        files = {
            "promos.yaml": "pool: {file: pool.txt}\n",
            "journeys/codes.yaml": "enter: {api: true}\nsteps: [{issue: {promo: pool, as: gift, expires: 2d}}, "
            "{send: {template: codes, channels: [sms]}}]\n",
            "templates/codes.yaml": "sms: {body: '{{ gift }} until {{ gift.expires_at | date: \"%d.%m.\" }}'}\n",
        }
        [shown] = previews(parse(PROJECT | files), "codes", {"traits": {}}, None, T0)
        assert (shown.error, shown.parts.get("text")) == ("", "TEST-CODE until 03.03.")

    def test_what_a_journey_waited_for_is_known_by_its_name(self, tmp_path: Path) -> None:
        assert "A Pen?" in call("template", "show", "small", "--as", "user_id:u1").stdout
        (tmp_path / "event.json").write_text(
            json.dumps({"type": "track", "event": "X", "userId": "u1", "properties": {"name": "Cup"}})
        )
        given = f"it={tmp_path / 'event.json'}"
        assert "A Cup?" in call("template", "show", "small", "--as", "user_id:u1", "--caught", given).stdout
        wrong = call("template", "show", "small", "--caught", given.replace("it=", "its="))
        assert "did you mean it?" in wrong.output

    def test_why_it_would_not_be_sent(self) -> None:
        told = call("template", "show", "offer", "--channel", "sms")
        assert told.exit_code == 1
        assert "would not be sent: text: entry.properties is undefined" in told.stdout
        assert "did you mean offer?" in call("template", "show", "ofer").output


def test_a_template_of_a_folder_needs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path / "home"))
    for name, text in PROJECT.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    told = call("template", "show", "hello", "--project", str(tmp_path / "project"), "--channel", "email")
    assert told.exit_code == 0, told.output
    assert "subject: Hi" in told.stdout
