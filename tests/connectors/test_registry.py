"""Which channels of a project a line sends over, and by what."""

from __future__ import annotations

import pytest

from connectors.outbound import registry
from connectors.outbound.registry import connectors, make, served, unserved, usual
from pathline.local.plan import topic_channels
from schemas.definitions import Project, parse
from schemas.settings import Settings

JOURNEY = """
name: hello
enter: {event: Signed Up}
steps: [{send: {template: hello, channels: [CHANNELS]}}]
"""


def project(channels: str, sends: str = "") -> Project:
    files = {"channels.yaml": channels, "templates/hello.yaml": "body: hi\n"}
    if sends:
        files["journeys/hello.yaml"] = JOURNEY.replace("CHANNELS", sends)
    return parse(files)


def test_a_channel_with_a_connector_is_served_and_one_that_is_only_seen_is_not() -> None:
    made = project("email: {connector: smtp}\nmail: {cost: 0.4}\nstore: {kind: session}\n")
    assert {name: connector.name for name, connector in served(made).items()} == {"email": "smtp"}


def test_a_channel_that_a_journey_uses_has_the_connector_usual_for_its_name() -> None:
    assert served(project("email: {}\n")) == {}
    assert {name: c.name for name, c in served(project("email: {}\n", "email")).items()} == {"email": "smtp"}


def test_channels_nobody_here_sends_over_are_told_and_have_topics_all_the_same() -> None:
    made = project("mail: {}\npigeon: {connector: coop}\nstore: {kind: session}\n", "mail, pigeon")
    assert unserved(made) == [
        "channel mail has no connector: in a running line its messages wait in outbound.mail",
        "channel pigeon has an unknown connector coop: in a running line its messages wait in outbound.pigeon",
    ]
    assert topic_channels(made) == ["mail", "pigeon"]


def test_each_connector_makes_a_channel_of_any_name() -> None:
    for name in connectors():
        assert make(name, Settings(), "other").name == "other"


def test_a_connector_that_is_not_here_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"there is no connector 'pigeon': --connector .*smtp"):
        make("pigeon", Settings(), "post")
    with pytest.raises(ValueError, match=r"channel 'post' has no usual connector: --connector .*smtp"):
        make("", Settings(), "post")


@pytest.mark.parametrize(
    ("connector", "setting", "value"),
    [
        ("smtp", "PATHLINE_SMTP", "nonsense"),
        ("smtp", "PATHLINE_SMTP", "smtp://host:70000"),
        ("smpp", "PATHLINE_SMPP_URL", "http://host"),
        ("webhook", "PATHLINE_WEBHOOK_URL", "ftp://host"),
        ("task", "PATHLINE_TASK_URL", "host"),
        ("webhook", "PATHLINE_WEBHOOK_SECRET", "short"),
        ("telegram", "PATHLINE_TELEGRAM_TOKEN", "nonsense"),
        ("telegram", "PATHLINE_TELEGRAM_TOKEN", "1:a/../b"),
        ("webpush", "PATHLINE_WEBPUSH_SUBJECT", "shop@example.com"),
        ("webpush", "PATHLINE_WEBPUSH_SUBJECT", "mailto:"),
        ("webpush", "PATHLINE_WEBPUSH_SUBJECT", "http://shop.example"),
    ],
)
def test_a_setting_that_can_not_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, connector: str, setting: str, value: str
) -> None:
    monkeypatch.setenv("PATHLINE_WEBHOOK_URL", "https://host/in")
    monkeypatch.setenv(setting, value)
    with pytest.raises(ValueError, match=f"^{setting}: .*expected"):
        make(connector, Settings(), "other")


def test_no_two_connectors_are_usual_for_a_name() -> None:
    names = [channel for connector in registry.CONNECTORS for channel in connector.channels]
    assert len(names) == len(set(names))
    assert usual("mail") == ""
