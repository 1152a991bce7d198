"""What counts as an identifier, and as the same one."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.inbound.segment import to_event
from schemas import identifiers
from schemas.definitions.model import IdentifierType, IdentityRules
from schemas.identifiers import (
    Refused,
    admissible,
    identifier_of,
    normalise,
    person_id,
    slot_of,
    split,
    usable,
)
from tests.graph.rules import CODEC

TYPES: dict[str, dict[str, Any]] = {
    "user_id": {"limit": 1},
    "email": {"normalize": "email"},
    "phone": {"normalize": "phone", "region": "UA"},
    "backup_email": {"normalize": "email", "ignore": frozenset({"plus_tags", "dots"})},
    "passport": {"hash": True},
    "secret_email": {"normalize": "email", "hash": True},
    "anonymous_id": {},
}
ANNAS = hashlib.sha256(b"anna@example.com").hexdigest()
RULES = IdentityRules(
    types={name: IdentifierType(name, rank, **given) for rank, (name, given) in enumerate(TYPES.items())},
    blocked=frozenset({"", "null", "undefined", "noreply@example.com"}),
    blocked_patterns=(r"^[0-]*$", r"@mailinator\."),
)


@pytest.mark.parametrize(
    ("type", "value", "usable_form"),
    [
        ("user_id", "  anna ", "anna"),
        ("user_id", "Anna", "Anna"),
        ("user_id", 123, "123"),
        ("user_id", 12.0, "12"),
        ("user_id", "ａｎｎａ", "anna"),
        ("user_id", "a:b#c", "a:b#c"),
        ("email", " Anna+Shop@Example.COM", "anna+shop@example.com"),
        ("email", "a.n.na@example.com", "a.n.na@example.com"),
        ("email", "anna@BÜCHER.de", "anna@bücher.de"),
        ("email", "anna@xn--bcher-kva.de", "anna@bücher.de"),
        ("backup_email", " A.n.na+Shop+2@Example.COM", "anna@example.com"),
        ("backup_email", "+shop@example.com", "+shop@example.com"),
        ("passport", " AB 123 ", hashlib.sha256(b"AB 123").hexdigest()),
        ("secret_email", "Anna@Example.com", ANNAS),
        ("secret_email", ANNAS.upper(), ANNAS),
        ("phone", "050 123-45-67", "+380501234567"),
        ("phone", "+38 (050) 123 45 67", "+380501234567"),
        ("phone", 380501234567, "+380501234567"),
        ("phone", "+1 202-456-1111", "+12024561111"),
    ],
)
def test_one_identifier_has_one_form(type: str, value: object, usable_form: str) -> None:
    assert normalise(RULES, type, value) == usable_form
    assert normalise(RULES, type, usable_form) == usable_form


@pytest.mark.parametrize(
    ("type", "value", "reason"),
    [
        ("user_id", "null", "blocked value"),
        ("user_id", " undefined ", "blocked value"),
        ("user_id", "0000-00", "blocked value"),
        ("user_id", "", "blocked value"),
        ("email", "NoReply@Example.com", "blocked value"),
        ("email", "x@mailinator.com", "blocked value"),
        ("user_id", None, "not a text or a number: null"),
        ("user_id", True, "not a text or a number: boolean"),
        ("user_id", {"id": 1}, "not a text or a number: object"),
        ("user_id", ["1"], "not a text or a number: list"),
        ("user_id", "a\0b", "contains control characters"),
        ("user_id", "x" * 1025, "longer than 1024 characters"),
        ("fax", "1", "unknown identifier type"),
        ("email", "anna", "not an e-mail address"),
        ("email", "anna@localhost", "not an e-mail address"),
        ("email", "anna@ex ample.com", "not an e-mail address"),
        ("secret_email", "NoReply@example.com", "blocked value"),
        ("secret_email", "anna", "^not an e-mail address$"),
        ("passport", "null", "blocked value"),
        ("phone", "12", "not a phone number"),
        ("phone", "call me", "not a phone number"),
    ],
)
def test_what_is_no_identifier_is_refused_with_a_reason(type: str, value: object, reason: str) -> None:
    for _ in range(2):  # the second time from the cache
        with pytest.raises(Refused, match=reason):
            normalise(RULES, type, value)


def test_without_blocked_values_an_empty_one_is_refused_all_the_same() -> None:
    with pytest.raises(Refused, match="empty value"):
        normalise(IdentityRules(types=RULES.types, blocked=frozenset()), "user_id", "  ")


def test_the_usable_ones_come_strongest_first_and_once() -> None:
    pairs = [
        ("anonymous_id", "c"),
        ("email", "b@x.com"),
        ("user_id", "null"),
        ("email", "B@X.com"),
        ("email", "a@x.com"),
    ]
    assert usable(RULES, pairs) == (
        ["email:b@x.com", "email:a@x.com", "anonymous_id:c"],
        [("user_id:null", "blocked value")],
    )


def test_what_must_not_be_stored_is_not_shown_when_it_is_refused() -> None:
    assert usable(RULES, [("secret_email", "anna.at.example.com")])[1] == [
        ("secret_email:(not shown)", "not an e-mail address")
    ]


def test_what_must_not_be_stored_stands_nowhere_in_the_event() -> None:
    message = {
        "type": "identify",
        "userId": "1",
        "traits": {"secret_email": "Anna@Example.com", "passport": "AB 123", "name": "Anna"},
        "context": {
            "traits": {"passport": "AB 123"},
            "externalIds": [{"type": "secret_email", "id": "anna@example.com"}, {"type": "passport", "id": "null"}],
        },
    }
    event = to_event(message, RULES, received_at=1, source="web")
    assert event.identifiers == ["user_id:1", f"secret_email:{ANNAS}"]
    everything = CODEC.encode(event)
    assert b"AB 123" not in everything
    assert b"nna@" not in everything.lower()
    assert b'"name":"Anna"' in event.traits
    assert ANNAS.encode() in event.traits


def test_rules_that_changed_can_refuse_what_was_let_in() -> None:
    assert admissible(RULES, "user_id:anna") == ""
    assert admissible(RULES, "user_id:null") == "blocked value"
    assert admissible(RULES, "fax:1") == "unknown identifier type"


def test_values_may_contain_the_separators() -> None:
    assert split("user_id:urn:a#1") == ("user_id", "urn:a#1")
    assert identifier_of(slot_of("user_id:urn:a#1", 5)) == "user_id:urn:a#1"


def test_person_ids_are_uuids_that_depend_on_identifier_and_erasures_only() -> None:
    ids = {person_id(identifier, generation) for identifier in ("user_id:1", "email:1") for generation in (0, 1)}
    assert len(ids) == 4
    assert all(str(uuid.UUID(one)) == one for one in ids)
    # ids stand in warehouses for years: they may never change
    assert person_id("user_id:1") == "162d1b3f-f70c-8a21-b55a-d602ca142327"


@given(
    st.from_regex(
        r"[aB0_.+-]{1,66}@[ab0.-]{0,66}\.?(com|local|test|arpa|Onion|c1|a|museum|xn--p1ai|in-addr\.arpa)",
        fullmatch=True,
    )
)
@settings(max_examples=300, deadline=None)
def test_addresses_that_are_sound_at_a_glance_are_sound(address: str) -> None:
    if identifiers._plain(address):
        assert identifiers._checked(address).lower() == address.lower()


def test_what_is_remembered_of_one_kind_of_value_is_not_said_of_another() -> None:
    for value, wanted in (
        (1, ["user_id:1"]),
        (True, []),
        (1.0, ["user_id:1"]),
        ("1", ["user_id:1"]),
        ("1", ["user_id:1"]),
    ):
        found, _ = usable(RULES, [("user_id", value)])
        assert found == wanted
        found.append("changed by who asked")
