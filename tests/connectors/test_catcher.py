"""The development mailbox, as a mail program and a browser see it."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from connectors.outbound.catcher import centre, listen, make_app
from connectors.outbound.caught import Mailbox
from connectors.outbound.registry import make, usual
from connectors.outbound.sms import Centre, SmppSettings, Sms
from schemas.settings import Settings
from tests.connectors.dispatching import command


def deliver(mailbox: Mailbox, *to: str) -> list[str]:
    """The answers of the server to one message for each address."""

    async def send() -> list[str]:
        server = await listen(mailbox, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        answers = []
        for address in to:
            message = EmailMessage()
            message["From"] = "shop@example.com"
            message["To"] = address
            message["Subject"] = f"For {address}"
            message["X-Pathline-Send-Id"] = "s1"
            message.set_content("Hi")
            message.add_alternative("<script>alert(1)</script>", subtype="html")
            try:
                await aiosmtplib.send(message, hostname="127.0.0.1", port=port)
                answers.append("taken")
            except aiosmtplib.SMTPRecipientsRefused as refused:
                answers.append(str(refused.recipients[0].code))
        server.close()
        return answers

    return asyncio.run(send())


def ask(app: FastAPI, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mailbox") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(request())


def test_it_keeps_everything_over_a_restart(tmp_path: Path) -> None:
    assert deliver(Mailbox(tmp_path), "a@example.com", "b@example.com") == ["taken", "taken"]
    assert deliver(Mailbox(tmp_path), "c@example.com") == ["taken"]
    listed = ask(make_app(Mailbox(tmp_path)), "/messages").json()
    assert [message["to"] for message in listed] == [["a@example.com"], ["b@example.com"], ["c@example.com"]]
    assert (listed[0]["subject"], listed[0]["send_id"], listed[0]["text"]) == ("For a@example.com", "s1", "Hi\n")


def test_some_addresses_bounce_so_that_bounces_can_be_tried(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    assert deliver(mailbox, "bounce-1@example.com", "x@nowhere.invalid", "defer@example.com") == ["550", "550", "450"]
    assert mailbox.ids() == []


def test_people_get_a_page_and_programs_json(tmp_path: Path) -> None:
    deliver(Mailbox(tmp_path), "a@example.com")
    app = make_app(Mailbox(tmp_path))
    assert "For a@example.com" in ask(app, "/", accept="text/html").text
    assert ask(app, "/").json()[0]["to"] == ["a@example.com"]
    id = ask(app, "/").json()[0]["id"]
    assert ask(app, f"/messages/{id}/raw").text.startswith("From: shop@example.com")
    shown = ask(app, f"/messages/{id}/html")
    assert "<script>" in shown.text
    assert shown.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize("path", ["/9", "/9/raw", "/9/html", "/..%2f..%2fsecret/raw"])
def test_what_is_not_there_is_404(tmp_path: Path, path: str) -> None:
    assert ask(make_app(Mailbox(tmp_path / "m")), f"/messages{path}").status_code == 404


def test_it_can_be_emptied(tmp_path: Path) -> None:
    deliver(Mailbox(tmp_path), "a@example.com")
    app = make_app(Mailbox(tmp_path))
    assert ask(app, "/messages", "DELETE").status_code == 204
    assert ask(app, "/messages").json() == []


def test_messages_of_all_channels_are_on_one_page(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    deliver(mailbox, "a@example.com")

    async def text() -> None:
        server = await centre(mailbox).listen("127.0.0.1", 0)
        to = Sms(Centre("127.0.0.1", server.sockets[0].getsockname()[1]), SmppSettings(sender="Shop"))
        message = command(to="+380501234567", channel="sms", content=b'{"text": "Your order is <ready>"}')
        assert (await to.hand_over(message)).kind == "accepted"
        await to.close()
        server.close()

    asyncio.run(text())
    email, sms = ask(make_app(Mailbox(tmp_path)), "/messages").json()
    assert (email["channel"], sms["channel"]) == ("email", "sms")
    assert (sms["to"], sms["sender"], sms["text"]) == (["+380501234567"], "Shop", "Your order is <ready>")
    whole = ask(make_app(mailbox), "/", accept="text/html").text
    assert "For a@example.com" in whole
    assert "Your order is &lt;ready&gt;" in whole
    only = ask(make_app(mailbox), "/?channel=sms", accept="text/html").text
    assert "For a@example.com" not in only
    assert "&lt;ready&gt;" in ask(make_app(mailbox), f"/messages/{sms['id']}/html").text
    assert ask(make_app(mailbox), f"/messages/{sms['id']}/raw").headers["content-type"] == "application/json"


def test_it_plays_providers_that_are_spoken_to_over_http(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)

    async def talk() -> list[str]:
        config = uvicorn.Config(make_app(mailbox), "127.0.0.1", 0, log_level="error")
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        catcher = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        outcomes = []
        for name, to in [("telegram", "7"), ("telegram", "70001"), ("webhook", "u1"), ("web_push", "tok-bounce")]:
            content = b'{"text": "Hi", "buttons": [{"text": "Go", "url": "https://shop.example"}]}'
            channel = make(usual(name), Settings(catcher=catcher, home=tmp_path), name)
            outcomes.append((await channel.hand_over(command(to=to, channel=name, content=content))).kind)
        server.should_exit = True
        await serving
        return outcomes

    assert asyncio.run(talk()) == ["accepted", "refused", "accepted", "refused"]
    telegram, webhook = ask(make_app(mailbox), "/messages").json()
    assert (telegram["channel"], telegram["to"], telegram["text"]) == ("telegram", ["7"], "Hi")
    assert (webhook["channel"], webhook["to"], webhook["send_id"]) == ("webhook", ["u1"], "s1")
    assert "Go</span>" in ask(make_app(mailbox), "/", accept="text/html").text
