"""Profiles over real HTTP, as programs of a shop see them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from schemas.condition import RUNNING
from schemas.identifiers import person_id
from sinks.profiles.access import ACTOR
from sinks.profiles.keys import KeyFile
from tests.profiles.lab import Lab
from tests.profiles.serving import Served, serving

ANN = person_id("user_id:ann")
SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def lab() -> Lab:
    made = Lab()
    made.happen("Page Viewed", anonymousId="c1")
    made.happen("", type="identify", userId="ann", traits={"email": "ann@example.com", "city": "Kyiv", "vip": True})
    consent = {"consent": {"categoryPreferences": {"email": True, "sms": False}}}
    made.happen("Signed Up", userId="ann", anonymousId="c1", context=consent)
    made.happen("Order Completed", userId="ann", properties={"total": 20})
    made.happen("Page Viewed", userId="gone")
    made.forget("user_id:gone")
    made.follow()
    return made


@pytest.fixture
def served(lab: Lab, tmp_path: Path) -> Iterator[Served]:
    with serving(lab, tmp_path) as running:
        yield running


def test_a_key_for_everything_reads_everything(served: Served) -> None:
    answer = served.get("user_id:ann", served.key("call centre", "*"))
    assert answer.status_code == 200
    told = answer.json()
    assert list(told) == [
        "as_of", "person_id", "earlier_ids", "identifiers", "traits", "computed_traits", "sources", "segments",
        "consents", "suppressed", "reachable", "preferred_channels", "timezone", "first_seen", "journeys", "events",
    ]  # fmt: skip
    assert (told["as_of"], told["person_id"], told["segments"]) == ("2026-03-01T00:00:00.000Z", ANN, ["buyers"])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "who",
    [
        "email:ann@example.com", "email: ANN@Example.com ", "anonymous_id:c1", "person_id:" + ANN, ANN.upper(),
        person_id("anonymous_id:c1"),
    ],
)  # fmt: skip
def test_identifiers_are_read_as_the_edge_reads_them_and_person_ids_too(served: Served, who: str) -> None:
    assert served.get(who, served.key("till", "person_id")).json()["person_id"] == ANN


def test_a_key_reads_what_it_may_and_no_more(served: Served) -> None:
    site = served.key("site", "traits.city", "segments", "consents.email", "events.Order Completed")
    told = served.get("user_id:ann", site).json()
    assert list(told) == ["as_of", "traits", "segments", "consents", "events"]
    assert (told["traits"], told["segments"]) == ({"city": "Kyiv"}, ["buyers"])
    assert [consent["channel"] for consent in told["consents"]] == ["email"]
    assert [event["name"] for event in told["events"]] == ["Order Completed"]
    assert list(served.get("user_id:ann", site, fields="traits.city").json()) == ["as_of", "traits"]
    refused = served.get("user_id:ann", site, fields="segments,traits,journeys,traits.email")
    assert (refused.status_code, refused.json()["code"]) == (403, "fields")
    assert refused.json()["message"] == "the key 'site' may not read traits, journeys"


def test_an_entry_or_a_whole_field_as_asked(served: Served) -> None:
    key = served.key("call centre", "*")
    told = served.get("user_id:ann", key, fields=["traits.vip", "computed_traits", "segments.nothing"]).json()
    assert told == {
        "as_of": told["as_of"], "traits": {"vip": True}, "computed_traits": {"spent": 20}, "segments": [],
    }  # fmt: skip
    assert len(served.get("user_id:ann", key, fields="events", events=2).json()["events"]) == 2


@pytest.mark.parametrize(
    ("who", "asked", "status", "message"),
    [
        ("email:nobody@example.com", {}, 404, "nobody is known by this email"),
        (person_id("user_id:nobody"), {}, 404, "nobody is known by this person_id"),
        ("user_id:gone", {}, 410, "who this was is forgotten"),
        (person_id("user_id:gone"), {}, 410, "who this was is forgotten"),
        ("user_id:null", {}, 400, "user_id: blocked value"),
        ("email:no address", {}, 400, "email: not an e-mail address"),
        ("fax:1", {}, 400, "fax: unknown identifier type; there are user_id, email, anonymous_id"),
        ("ann", {}, 400, "type:value expected, for example email:ann"),
        ("user_id:", {}, 400, "type:value expected, for example email:ann@example.com"),
        ("person_id:7", {}, 400, "'7' is no person id"),
        ("user_id:ann", {"fields": "shoe_size"}, 400, "no field 'shoe_size'; there are person_id, "),
        ("user_id:ann", {"fields": "traits."}, 400, "which entry of traits?"),
        ("user_id:ann", {"fields": "timezone.x"}, 400, "timezone has no entries"),
        ("user_id:ann", {"events": "-1"}, 400, "events: "),
        ("user_id:ann", {"events": "many"}, 400, "events: "),
        ("user_id:ann", {"field": "traits"}, 400, "field: no such parameter; there are fields, events"),
    ],
)
def test_what_can_not_be_answered_says_why(
    served: Served, who: str, asked: dict[str, str], status: int, message: str
) -> None:
    answer = served.get(who, served.key("call centre", "*"), **asked)
    assert (answer.status_code, set(answer.json())) == (status, {"code", "message"})
    assert message in answer.json()["message"]


def test_without_a_key_in_force_nothing_is_told(served: Served) -> None:
    key = served.key("till", "*")
    for wrong in (None, "x", "plk_00000000_00", key[:-1], key + "0"):
        answer = served.get("user_id:ann", wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), wrong
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert httpx.get(f"{served.url}/v1/people/user_id:ann", auth=(key, "")).status_code == 200
    served.keys.revoke("till")
    assert served.get("user_id:ann", key).json()["message"] == "the key 'till' was revoked"
    assert [access.outcome for access in served.accesses()] == ["read"]


def test_a_key_asks_by_the_identifiers_it_may_ask_by(served: Served) -> None:
    site = served.key("site", "segments", by=["anonymous_id"])
    assert served.get("anonymous_id:c1", site).status_code == 200
    refused = served.get("email:ann@example.com", site)
    assert (refused.status_code, refused.json()["message"]) == (403, "the key 'site' may not ask by email")
    assert served.get(ANN, site).status_code == 403


def test_who_read_what_is_told(served: Served) -> None:
    centre, site = served.key("call centre", "*"), served.key("site", "segments")
    served.get("email:ann@example.com", centre, headers={ACTOR: "agent 17"}, fields="traits,consents.email")
    served.get("anonymous_id:c1", site)
    served.get("anonymous_id:c1", site, fields="traits")
    served.get("email:nobody@example.com", centre)
    served.get("user_id:gone", centre)
    told = served.accesses()
    assert [(a.key_name, a.actor, a.asked_by, a.outcome, a.fields, a.person_id) for a in told] == [
        ("call centre", "agent 17", "email", "read", ["traits", "consents.email"], ANN),
        ("site", "", "anonymous_id", "read", ["segments"], ANN),
        ("site", "", "anonymous_id", "refused", ["traits"], ""),
        ("call centre", "", "email", "unknown", [], ""),
        ("call centre", "", "user_id", "erased", [], ""),
    ]
    assert {a.key for a in told} == {key.id for key in served.keys.known()}
    assert len({a.access_id for a in told}) == len(told)
    assert [told.key for told in served.told][:2] == [ANN.encode()] * 2
    assert not any(b"example.com" in (told.value or b"") for told in served.told)


def test_who_asked_for_what_can_not_be_answered_is_told_too(served: Served) -> None:
    key = served.key("till", "segments", rate=6)
    served.get("email:no address", key)
    served.get("ann@example.com", key)
    served.get("fax:1", key)
    served.get("user_id:ann", key, events="many")
    served.get("user_id:ann", key, fields="shoe_size")
    served.get("user_id:ann", key, field="segments")
    assert [(a.key_name, a.asked_by, a.outcome, a.fields, a.person_id) for a in served.accesses()] == [
        ("till", type, "refused", [], "") for type in ("email", "", "", "user_id", "user_id", "user_id")
    ]
    assert served.get("user_id:ann", None, events="many").status_code == 401
    assert len(served.accesses()) == 6


def test_a_key_that_is_used_too_often_has_to_wait(served: Served) -> None:
    key = served.key("site", "segments", rate=2)
    assert [served.get("anonymous_id:c1", key).status_code for _ in range(3)] == [200, 200, 429]
    answer = served.get("anonymous_id:c1", key)
    assert (answer.json()["code"], answer.headers["retry-after"]) == ("rate", "1")
    served.state["now"] += 0.5
    assert [served.get("anonymous_id:c1", key).status_code for _ in range(2)] == [200, 429]
    # others have what is theirs
    assert served.get("anonymous_id:c1", served.key("till", "segments")).status_code == 200


def preflight(served: Served, origin: str) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    return httpx.options(f"{served.url}/v1/people/anonymous_id:c1", headers=headers)


def test_pages_of_a_site_may_ask_if_a_key_says_so(served: Served) -> None:
    site, centre = served.key("site", "segments", origins=[SHOP]), served.key("call centre", "*")
    allowed = preflight(served, SHOP)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, SHOP)
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    strange = preflight(served, "https://evil.example")
    assert (strange.status_code, "access-control-allow-origin" in strange.headers) == (403, False)
    page = {"headers": {"Origin": SHOP}}
    answer = served.get("anonymous_id:c1", site, **page)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, SHOP)
    assert answer.headers["vary"] == "Origin"
    # refusals are told to the page too
    assert served.get("anonymous_id:cx", site, **page).headers["access-control-allow-origin"] == SHOP
    # the key of the call centre is for servers, whichever page has got hold of it
    assert served.get("anonymous_id:c1", centre, **page).json()["code"] == "origin"
    assert served.get("anonymous_id:c1", site, headers={"Origin": "https://evil.example"}).status_code == 403
    assert served.get("anonymous_id:c1", site).status_code == 200


def test_as_long_as_not_all_was_read_it_says_so(served: Served) -> None:
    served.state["complete"] = False
    answer = served.get("user_id:ann", served.key("till", "*"))
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "restoring", "5")


def test_operations_and_the_description_are_open(served: Served) -> None:
    assert httpx.get(f"{served.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{served.url}/ready").json()["state"] == RUNNING
    served.get("user_id:ann", served.key("till", "*"))
    assert 'pathline_profiles_requests_total{call="person",status="200"}' in httpx.get(f"{served.url}/metrics").text
    described = httpx.get(f"{served.url}/openapi.json").json()
    answers = described["paths"]["/v1/people/{who}"]["get"]["responses"]
    assert sorted(answers) == ["200", "400", "401", "403", "404", "410", "429", "503"]
    assert httpx.get(f"{served.url}/docs").status_code == 200


def test_the_file_of_keys_holds_no_key_and_is_read_again_when_it_changes(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = served.key("till", "segments")
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.split("_")[2] not in path.read_text()
    elsewhere = KeyFile(path)
    assert [known.name for known in elsewhere.current()] == ["till"]
    with pytest.raises(ValueError, match="there is a key 'till' already"):
        elsewhere.add("till", {"fields": ["segments"]})
    with pytest.raises(ValueError, match=r"^fields: no field 'shoes'"):
        elsewhere.add("shoes", {"fields": ["shoes"]})
    file = json.loads(path.read_text())
    file["keys"][0]["fields"] = ["shoes"]
    path.write_text(json.dumps(file))
    with pytest.raises(ValueError, match=r"keys\.json: keys\.0\.fields: .*no field 'shoes'"):
        KeyFile(path).current()


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/cart", "ftp://x"])
def test_origins_are_origins(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        KeyFile(tmp_path / "keys.json").add("site", {"origins": [origin]})
