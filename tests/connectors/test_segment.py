"""Messages of the Segment spec become events: names, identifiers, times, and clear refusals."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.inbound.segment import Rejected, to_event
from schemas.records import Event
from schemas.topics import EDGE_BYTES
from tests.connectors.doubles import NOW, RULES


def event(use_sent_at: bool = True, **message: Any) -> Event:
    filled = {"type": "track", "event": "Viewed", "userId": "u1", "messageId": "m1"} | message
    return to_event(filled, RULES, received_at=NOW, source="test", use_sent_at=use_sent_at)


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ({"type": "track", "event": " Order Completed "}, "Order Completed"),
        ({"type": "page", "name": "Home"}, "Page Viewed"),
        ({"type": "screen", "name": "Home"}, "Screen Viewed"),
        ({"type": "identify"}, "Identify"),
        ({"type": "group", "groupId": "g"}, "Group"),
        ({"type": "alias", "previousId": "a1"}, "Alias"),
    ],
)
def test_each_call_has_its_name(message: dict[str, Any], name: str) -> None:
    assert event(**message).name == name


def test_a_page_keeps_its_own_name_as_a_property() -> None:
    assert orjson.loads(event(type="page", name="Home", category="Start").properties) == {
        "name": "Home",
        "category": "Start",
    }


def test_all_identifiers_are_found_strongest_first() -> None:
    made = event(
        type="identify",
        userId=123,
        anonymousId="a1",
        traits={"email": "Ann@Example.com", "phone": "050 123 45 67", "name": "Ann"},
        context={"externalIds": [{"type": "loyalty_card", "id": "7"}], "device": {"token": "t1", "id": "d1"}},
    )
    assert made.identifiers == [
        "user_id:123",
        "loyalty_card:7",
        "email:ann@example.com",
        "phone:+380501234567",
        "push_token:t1",
        "anonymous_id:a1",
    ]


def test_context_traits_name_the_user_of_other_calls_too() -> None:
    assert event(userId=None, context={"traits": {"email": "a@example.com"}}).identifiers == ["email:a@example.com"]


def test_traits_of_a_track_call_or_a_group_are_not_the_persons() -> None:
    group = event(type="group", groupId="g", traits={"email": "office@example.com", "plan": "big"})
    assert group.identifiers == ["user_id:u1"]
    assert group.traits == b"{}"
    assert orjson.loads(group.properties) == {"groupId": "g", "traits": {"email": "office@example.com", "plan": "big"}}


def test_an_alias_joins_the_anonymous_id_to_the_user() -> None:
    assert event(type="alias", previousId="a1").identifiers == ["user_id:u1", "anonymous_id:a1"]


def test_no_usable_identifier_says_which_and_why() -> None:
    with pytest.raises(Rejected, match=r"^no usable identifier \(user_id:null: blocked value\)$"):
        event(userId="null")
    with pytest.raises(Rejected, match=r"^no usable identifier$"):
        event(userId=None)


def test_a_blocked_identifier_does_not_spoil_the_others() -> None:
    assert event(userId="null", anonymousId="a1").identifiers == ["anonymous_id:a1"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "buy"}, "type: 'buy' is not one of track"),
        ({"event": ""}, "event: the name of what happened is missing"),
        ({"event": 7}, "event: the name of what happened is missing"),
        ({"properties": "x"}, "properties: 'x' is not an object"),
        ({"context": []}, "context: [] is not an object"),
        ({"traits": 1}, "traits: 1 is not an object"),
        ({"timestamp": "yesterday"}, "timestamp: 'yesterday' is not an ISO 8601 time"),
        ({"timestamp": 1700000000}, "timestamp: 1700000000 is not an ISO 8601 time"),
        ({"timestamp": "0001-01-01T00:00:00Z"}, "timestamp: 0001-01-01T00:00:00Z is before 1970"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, "ahead of its arrival"),
        ({"context": {"externalIds": {"type": "a"}}}, "context.externalIds: a list of {type, id} expected"),
        ({"context": {"externalIds": [{"id": "a"}]}}, "context.externalIds[0]: {type, id} expected"),
        ({"messageId": {"a": 1}}, "messageId:"),
        ({"messageId": "m" * 600}, "messageId: at most 512 characters"),
        ({"properties": {"text": "x" * EDGE_BYTES}}, "too large: "),
    ],
)
def test_a_bad_message_is_refused_with_its_reason(message: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        event(**message)
    assert reason in str(refused.value)


def test_a_wrong_clock_of_the_client_is_corrected() -> None:
    wrong = NOW + 40 * 86_400_000  # the client lives in the future
    made = event(timestamp=iso(wrong), sentAt=iso(wrong + 5_000))
    assert made.occurred_at == NOW - 5_000
    assert made.received_at == NOW


def test_the_original_timestamp_is_the_one_to_correct() -> None:
    made = event(timestamp=iso(0), originalTimestamp=iso(NOW - 9_000), sentAt=iso(NOW - 1_000))
    assert made.occurred_at == NOW - 8_000


def test_a_file_is_taken_at_its_timestamps() -> None:
    made = event(use_sent_at=False, timestamp=iso(NOW - 60_000), sentAt=iso(NOW - 10_000))
    assert made.occurred_at == NOW - 60_000


def test_without_a_timestamp_it_happened_when_it_came() -> None:
    assert event().occurred_at == NOW


@given(st.integers(-86_400_000 * 30, 86_400_000), st.timedeltas(timedelta(hours=-12), timedelta(hours=12)))
def test_the_offset_of_a_timestamp_does_not_change_its_instant(ahead: int, offset: timedelta) -> None:
    from datetime import timezone

    offset = timedelta(minutes=offset // timedelta(minutes=1))
    at = datetime.fromtimestamp((NOW + ahead) / 1000, UTC)
    assert event(timestamp=at.astimezone(timezone(offset)).isoformat()).occurred_at == NOW + ahead


def test_the_same_message_is_the_same_event_and_sources_do_not_share_ids() -> None:
    again = to_event({"type": "page", "userId": "u2", "messageId": "m1"}, RULES, received_at=NOW, source="test")
    other = to_event({"type": "page", "userId": "u2", "messageId": "m1"}, RULES, received_at=NOW, source="other")
    assert event().event_id == again.event_id != other.event_id


def test_a_message_sent_again_without_id_is_the_same_event() -> None:
    def sent(at: int) -> Event:
        message = {"type": "track", "event": "A", "userId": "u", "timestamp": iso(NOW), "sentAt": iso(at)}
        return to_event(message, RULES, received_at=at, source="test")

    assert sent(NOW).event_id == sent(NOW + 5_000).event_id


def test_clicks_without_id_and_time_are_events_of_their_own() -> None:
    message = {"type": "track", "event": "A", "userId": "u"}
    first = to_event(message, RULES, received_at=NOW, source="test")
    assert first.event_id != to_event(message, RULES, received_at=NOW + 1, source="test").event_id


def test_channel_and_send_are_taken_from_their_places() -> None:
    made = event(channel="server", context={"channel": "web"}, properties={"send_id": "s1"})
    assert (made.channel, made.send_id) == ("web", "s1")
    assert event(channel="server").channel == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = ["event", "userId", "anonymousId", "previousId", "messageId", "timestamp", "sentAt", "properties", "traits"]
messages = st.dictionaries(st.sampled_from([*fields, "context"]), json_values)


@given(st.sampled_from(["track", "identify", "alias", "page", "group"]), messages)
def test_whatever_is_in_a_message_it_becomes_an_event_or_is_refused(kind: str, message: dict[str, Any]) -> None:
    try:
        made = to_event({"type": kind} | message, RULES, received_at=NOW, source="test")
    except Rejected:
        return
    assert made.identifiers
    assert orjson.loads(made.context) == (message.get("context") or {})


def test_an_event_keeps_no_more_than_its_bytes() -> None:
    tracemalloc.start()
    try:
        kept = [event(messageId=f"m{number}", properties={"total": number}) for number in range(500)]
        each = tracemalloc.get_traced_memory()[0] / len(kept)
    finally:
        tracemalloc.stop()
    assert each < 4096
