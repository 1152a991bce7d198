"""Messages of a Telegram bot, to a server on loopback that answers as the Bot API does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson
import pytest

from connectors.callbacks import called_back
from connectors.links import Click, read
from connectors.outbound.channel import Outcome
from connectors.outbound.telegram import Telegram, TelegramSettings
from schemas.definitions.model import Channel
from schemas.records import SendCommand
from tests.connectors.dispatching import NOW, Line, command
from tests.connectors.server import Answer, Server, serving

SEND = str(uuid5(NAMESPACE_URL, "s1"))
SENT = Answer(200, {"ok": True, "result": {"message_id": 42}})


@pytest.fixture
def api() -> Iterator[Server]:
    with serving() as server:
        server.answers = [SENT]
        yield server


def bot(api: Server, **settings: Any) -> Telegram:
    own = TelegramSettings(token="1:secret", api=api.url, timeout=60, **settings)
    return Telegram(own, "telegram", lambda: b"secret", "https://go.shop.example")


def message(to: str = "1001", send_id: str = SEND, **parts: Any) -> SendCommand:
    content = orjson.dumps({"text": "Hello Ann", **parts})
    return command(send_id, to=to, channel="telegram", content=content)


def give(channel: Telegram, one: SendCommand) -> Outcome:
    return asyncio.run(channel.hand_over(one))


def test_a_message_is_sent_by_the_bot(api: Server) -> None:
    outcome = give(bot(api), message())
    assert (outcome.kind, outcome.provider_id) == ("accepted", "1001:42")
    (asked,) = api.asked
    assert asked.path == "/bot1:secret/sendMessage"
    assert asked.json == {"chat_id": "1001", "text": "Hello Ann", "link_preview_options": {"is_disabled": False}}


def test_buttons_lead_to_pages_and_tell_of_it_or_tell_what_was_pressed(api: Server) -> None:
    buttons = [{"text": "Pay", "url": "https://shop.example/pay"}, {"text": "Yes", "data": "yes"}]
    # as templates render them: JSON in a text
    give(bot(api), message(buttons=orjson.dumps(buttons).decode()))
    (pay,), (yes,) = api.asked[0].json["reply_markup"]["inline_keyboard"]
    assert pay["text"] == "Pay"
    click = read(b"secret", pay["url"].removeprefix("https://go.shop.example/l/"), Click)
    assert (click.url, click.receipt, click.send_id) == ("https://shop.example/pay", "Telegram Link Clicked", SEND)
    assert yes["text"] == "Yes"
    assert called_back(yes["callback_data"]) == (SEND, "yes")
    assert len(yes["callback_data"].encode()) <= 64


def test_a_picture_stands_above_the_text_however_long_that_is(api: Server) -> None:
    give(bot(api), message(image="https://shop.example/a.png"))
    give(bot(api), message(text="a" * 2000, image="https://shop.example/a.png"))
    assert api.asked[0].path.endswith("/sendPhoto")
    assert (api.asked[0].json["photo"], api.asked[0].json["caption"]) == ("https://shop.example/a.png", "Hello Ann")
    assert api.asked[1].json["link_preview_options"]["url"] == "https://shop.example/a.png"


@pytest.mark.parametrize(
    "parts",
    [
        {"text": " "},
        {"text": "a" * 4097},
        {"buttons": [{"text": "x"}]},
        {"buttons": [{"text": "x", "data": "y" * 60}]},
        {"buttons": "{"},
    ],
)
def test_what_can_be_no_message_fails_without_a_word_to_the_api(api: Server, parts: dict[str, Any]) -> None:
    assert give(bot(api), message(**parts)).kind == "failed"
    assert api.asked == []


def error(status: int, description: str, **parameters: Any) -> Answer:
    return Answer(status, {"ok": False, "error_code": status, "description": description, "parameters": parameters})


@pytest.mark.parametrize(
    ("answer", "kind", "bounce"),
    [
        (error(403, "Forbidden: bot was blocked by the user"), "refused", "hard"),
        (error(403, "Forbidden: user is deactivated"), "refused", "hard"),
        (error(400, "Bad Request: chat not found"), "refused", "hard"),
        (error(400, "Bad Request: can't parse entities"), "failed", ""),
        (error(401, "Unauthorized"), "away", ""),
        (error(500, "Internal Server Error"), "away", ""),
        (Answer(502, b"<html>Bad Gateway"), "away", ""),
        (Answer(504, b"<html>Gateway Timeout"), "ambiguous", ""),
        (Answer(silent=True), "ambiguous", ""),
    ],
)
def test_what_the_api_answers_is_understood(api: Server, answer: Answer, kind: str, bounce: str) -> None:
    api.answers = [answer]
    outcome = give(bot(api), message())
    assert (outcome.kind, outcome.bounce) == (kind, bounce), outcome


def test_an_api_that_can_not_be_reached_is_away(api: Server) -> None:
    own = TelegramSettings(token="1:secret", api="http://127.0.0.1:1", timeout=60)
    assert give(Telegram(own), message()).kind == "away"


def test_the_bot_keeps_to_a_message_a_second_in_a_chat_and_leaves_the_api_alone_as_long_as_it_says(api: Server) -> None:
    api.answers = [SENT, error(429, "Too Many Requests: retry after 7", retry_after=7), SENT]
    line = Line(bot(api), written=Channel("telegram", consent="none", identifiers=("telegram",)))
    one = message("1001", "s1")
    line.send(one, message("1001", "s2"), message("1002", "s3"))
    assert line.states("s1")[-1] == "accepted"
    assert line.states("s3") == ["reserved"], "the channel's own pace"
    line.after(0.5)
    assert line.states("s3")[-1] == "deferred", "429"
    line.after(6.5)
    assert len(api.asked) == 2, "7 s are not over"
    line.after(10)
    assert line.states("s2")[-1] == line.states("s3")[-1] == "accepted"
    entries = {entry.send_id: entry.at for entry in line.ledger() if entry.state == "accepted"}
    assert entries["s2"] - entries["s1"] >= 1000
    assert min(entries["s2"], entries["s3"]) - NOW >= 7000
