"""What a mail client gets to see."""

from __future__ import annotations

import email
import re
from email.message import EmailMessage
from email.policy import SMTP, default
from typing import Any

import msgspec
import orjson
import pytest

from connectors.links import Choice, Click, Opening, read, token
from connectors.outbound.email_message import email_message
from connectors.outbound.settings import SmtpSettings, server_of
from connectors.signing import BadToken
from schemas.records import SendCommand
from tests.connectors.dispatching import COMMAND

SECRET = b"secret"
URL = "https://shop.example/"


def received(command: SendCommand = COMMAND, url: str = URL, **parts: Any) -> EmailMessage:
    """The message after its way over the wire."""
    content = orjson.loads(COMMAND.content) | parts
    made = email_message(msgspec.structs.replace(command, content=orjson.dumps(content)), SmtpSettings(), SECRET, url)
    return email.message_from_bytes(made.as_bytes(policy=SMTP), policy=default)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_it_has_a_text_and_an_html_part_in_utf_8() -> None:
    message = received(subject="Вітаємо, Оксано! 🎉", text="Привіт\n", html="<p>Привіт</p>")
    assert message.get_content_type() == "multipart/alternative"
    assert message["Subject"] == "Вітаємо, Оксано! 🎉"
    assert body(message, "plain") == "Привіт\n"
    assert body(message, "html").startswith("<p>Привіт</p>")


def test_its_id_is_the_send_and_its_date_the_decision() -> None:
    message = received()
    assert message["Message-ID"] == "<s1@pathline.example>"
    assert message["X-Pathline-Send-Id"] == "s1"
    assert message["Date"].datetime.timestamp() * 1000 == COMMAND.at
    assert message["To"] == "ann@example.com"
    assert message["From"] == "Pathline <no-reply@pathline.example>"


def test_marketing_can_be_unsubscribed_from_with_one_click() -> None:
    command = msgspec.structs.replace(COMMAND, purpose="promotions")
    message = received(command, html='<a href="%unsubscribe_url%">no more</a>', text="%unsubscribe_url%")
    link = message["List-Unsubscribe"].strip("<>")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link.startswith("https://shop.example/unsubscribe/")
    asked = read(SECRET, link.rpartition("/")[2], Choice)
    assert asked == Choice("s1", "email:ann@example.com", "email", "promotions")
    assert link in body(message, "plain")
    assert link in body(message, "html")


def test_the_unsubscribe_header_is_read_as_it_stands_on_the_wire() -> None:
    # mailbox providers take the address from the angle brackets; encoded words are none to them
    settings = SmtpSettings(unsubscribe_mailto="unsubscribe@shop.example")
    command = msgspec.structs.replace(COMMAND, purpose="promotions", send_id="1984c722-99b4-55f6-a523-4fbecc5e2d6e")
    wire = email_message(command, settings, SECRET, URL).as_bytes(policy=SMTP).decode("ascii")
    value = re.search(r"(?m)^List-Unsubscribe: (.*(?:\r\n[ \t].*)*)\r\n", wire)
    assert value is not None
    ways = re.sub(r"\r\n(?=[ \t])", "", value[1])
    link, mailto = re.fullmatch(r"<(https://shop\.example/unsubscribe/[\w-]+)>, <(mailto:[^\s<>]+)>", ways).groups()  # type: ignore[union-attr]
    assert read(SECRET, link.rpartition("/")[2], Choice).purpose == "promotions"
    assert mailto == f"mailto:unsubscribe@shop.example?subject=unsubscribe%20{command.send_id}"


def test_links_lead_through_the_collector_and_a_picture_tells_of_the_opening() -> None:
    page = (
        '<html><body><a class="b" href="https://shop.example/p?a=1&amp;b=2">Look</a>'
        "<A HREF='http://shop.example/q'>and</A> <a href='mailto:a@b.example'>write</a> <a href='#top'>up</a>"
        '<a data-track="off" href="https://law.example/">law</a> <a href="%unsubscribe_url%">no more</a></body></html>'
    )
    html = body(received(html=page, text="https://shop.example/p"), "html")
    links = re.findall(r"""(?i)<a\b[^>]*href=["']([^"']+)""", html)
    assert links[2:5] == ["mailto:a@b.example", "#top", "https://law.example/"]
    assert links[5].startswith("https://shop.example/unsubscribe/")
    clicked = [read(SECRET, link.removeprefix("https://shop.example/l/"), Click) for link in links[:2]]
    about = ("s1", "email:ann@example.com", "email", "Email Link Clicked")
    assert clicked == [Click(*about, "https://shop.example/p?a=1&b=2"), Click(*about, "http://shop.example/q")]
    (picture,) = re.findall(r'<img src="https://shop.example/o/([^"]+)"[^>]*></body>', html)
    assert read(SECRET, picture, Opening) == Opening("s1", "email:ann@example.com", "email", "Email Opened")
    # a link for one thing is none for another
    with pytest.raises(BadToken):
        read(SECRET, picture, Choice)


def test_links_are_left_alone_where_that_is_wanted() -> None:
    page = '<a href="https://shop.example/p">Look</a>'
    assert body(received(html=page, url=""), "html").strip() == page
    untracked = SmtpSettings(track_clicks=False, track_opens=False)
    made = email_message(
        msgspec.structs.replace(COMMAND, content=orjson.dumps({"html": page, "text": "x"})), untracked, SECRET, URL
    )
    assert body(email.message_from_bytes(made.as_bytes(policy=SMTP), policy=default), "html").strip() == page


def test_transactional_mail_has_no_unsubscribe_header() -> None:
    assert received(msgspec.structs.replace(COMMAND, category="transactional"))["List-Unsubscribe"] is None


def test_without_a_public_address_there_is_no_broken_link() -> None:
    assert received(url="")["List-Unsubscribe"] is None


def test_a_template_may_name_the_sender_and_where_answers_go() -> None:
    message = received(**{"from": "Shop <hello@shop.example>", "reply_to": "help@shop.example"})
    assert message["From"] == "Shop <hello@shop.example>"
    assert message["Reply-To"] == "help@shop.example"
    assert message["Message-ID"] == "<s1@shop.example>"


def test_a_line_break_in_a_subject_is_no_new_header() -> None:
    message = received(subject="Hi\r\nBcc: all@example.com\n")
    assert message["Subject"] == "Hi Bcc: all@example.com"
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"content": b"no json"},
        {"content": b"[]"},
        {"content": orjson.dumps({"subject": "only"})},
        {"to": "not an address\r\nBcc: a@example.com"},
        {"content": orjson.dumps({"text": "x", "from": "nobody"})},
    ],
)
def test_what_can_not_be_a_message_is_a_clear_error(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts come from the standard library
        email_message(msgspec.structs.replace(COMMAND, **change), SmtpSettings(), SECRET, URL)


def test_long_lines_stay_within_what_smtp_allows() -> None:
    made = received(html="<p>" + "word " * 2_000 + "</p>")
    assert max(len(line) for line in made.as_bytes().splitlines()) < 998


def test_a_token_is_worth_nothing_when_it_is_changed() -> None:
    good = token(SECRET, Choice("s1", "email:ann@example.com", "email", ""))
    assert read(SECRET, good, Choice).send_id == "s1"
    for bad in (good[:-2], "A" + good[1:], good + "AAAA", ""):
        with pytest.raises(BadToken):
            read(SECRET, bad, Choice)


def test_a_server_is_given_as_a_url() -> None:
    server = server_of("smtps://us%40er:p%3Aw@mail.example")
    assert (server.host, server.port, server.user, server.password, server.tls) == (
        "mail.example",
        465,
        "us@er",
        "p:w",
        "tls",
    )
    assert "p:w" not in repr(server)
    assert server_of("smtp://localhost:2525").tls == "none"
    with pytest.raises(ValueError, match="smtp://"):
        server_of("http://localhost")


@pytest.mark.parametrize(
    ("provider", "header", "value"),
    [
        ("sendgrid", "X-SMTPAPI", '{"unique_args":{"send_id":"s1"}}'),
        ("mailgun", "X-Mailgun-Variables", '{"send_id":"s1"}'),
        ("ses", "X-SES-MESSAGE-TAGS", "send_id=s1"),
    ],
)
def test_a_relay_is_told_the_send_id_that_its_receipts_give_back(provider: str, header: str, value: str) -> None:
    made = email_message(COMMAND, SmtpSettings(provider=provider), b"secret", "")
    assert made[header] == value
