"""`pathline segments reach`: whom of a segment a message would reach right now, by the rules of the send decision."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pathline.cli import app
from schemas.records import Change, Definitions
from sinks.clickhouse.engine import Warehouse
from tests.sinks.made import DAY, HOUR, T0, event, fill, send, update

FILES = {
    "project.yaml": "name: shop\ntimezone: Europe/Kyiv\n",
    "identity.yaml": "identifiers:\n  user_id: {limit: 1}\n  email: {limit: 5}\n  phone: {limit: 5}\n",
    "channels.yaml": "email: {cost: 0.001, connector: smtp, consent: opt_in, caps: [{at_most: 1, per: 2d}]}\n"
    'sms: {cost: 0.05, connector: smpp, consent: opt_out, quiet: "01:00-02:00"}\nweb: {kind: session}\n',
    "segments/vip.yaml": "when: {trait: vip, equals: true}\n",
    "segments/empty.yaml": "when: {trait: vip, equals: 5}\n",
}
#: the clock of the line stands here
NOW = T0 + 10 * DAY


def choice(channel: str, granted: bool, purpose: str = "") -> dict[str, Any]:
    return {"address": "", "channel": channel, "purpose": purpose, "granted": granted, "at": T0}


@pytest.fixture
def people(home: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_CLOCK", "scaled")
    for name, value in (("START", NOW - 1), ("UNTIL", NOW), ("STARTED", 1)):
        monkeypatch.setenv(f"PATHLINE_CLOCK_{name}", str(value))
    fill(warehouse, [Definitions(version="v", published_at=T0, files=FILES)])

    def person(
        name: str, consents: Sequence[Mapping[str, Any]] = (), email: bool = True, phone: bool = False, **profile: Any
    ) -> None:
        who = f"user_id:{name}"
        addresses = {"user_id": [name]} | ({"email": [f"{name}@example.com"]} if email else {})
        addresses |= {"phone": ["+380501112233"]} if phone else {}
        whole = {"traits": {}, "segments": ["vip"], "consents": list(consents), "addresses": addresses, **profile}
        entered = Change(segment="vip", change="entered", cause="event", reason="", at=T0)
        number = sum(map(ord, name)) * 10
        fill(warehouse, [update(event("Page", T0, who=who), [entered], whole)], first=number)

    granted = [choice("email", True)]
    person("a", granted, phone=True)
    person("b", granted, email=False)
    person("c")
    person("d", granted, suppressed={"d@example.com": "marketing"})
    person("e", granted, phone=True, timezone="Asia/Tokyo")
    person("f", [*granted, choice("email", False, "promotions")])
    # one send that counts still, and one that does not any more
    fill(warehouse, [send("s1", NOW - DAY, who="user_id:e", to="e@example.com")], first=9_000)
    fill(warehouse, [send("s2", NOW - 2 * DAY, who="user_id:a", to="a@example.com")], first=9_010)


def asked(*arguments: str) -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(app, ["segments", "reach", *arguments, "--format", "json"])
    assert result.exit_code == 0, result.output
    return {row.pop("channel"): row for row in json.loads(result.stdout)}


@pytest.mark.usefixtures("people")
class TestReach:
    def test_each_channel_tells_what_is_in_the_way(self) -> None:
        found = asked("vip")
        assert list(found) == ["email", "sms"]
        assert found["email"] == {
            "people": 6,
            "reachable": 5,
            "no_consent": 1,
            "suppressed": 1,
            "allowed": 3,
            "capped": 1,
            "quiet": 0,
            "now": 2,
        }
        # 02:00 in Kyiv, where it is no longer quiet, is 09:00 in Tokyo
        assert (found["sms"]["reachable"], found["sms"]["quiet"], found["sms"]["now"]) == (2, 0, 2)

    def test_a_refused_purpose_is_no_consent(self) -> None:
        found = asked("vip", "--purpose", "promotions")["email"]
        assert (found["no_consent"], found["allowed"]) == (2, 2)

    def test_quiet_hours_are_those_of_each_person(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATHLINE_CLOCK_START", str(NOW - HOUR - 1))
        monkeypatch.setenv("PATHLINE_CLOCK_UNTIL", str(NOW - HOUR))
        found = asked("vip")["sms"]
        assert (found["allowed"], found["quiet"], found["now"]) == (2, 1, 1)

    def test_nobody_and_nothing(self) -> None:
        assert asked("empty")["email"]["people"] == 0
        result = CliRunner().invoke(app, ["segments", "reach", "vipp"])
        assert result.exit_code == 1
        assert "did you mean vip?" in result.output
