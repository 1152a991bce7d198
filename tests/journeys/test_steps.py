"""Events that journeys send, journeys that start others, static lists, rounds, and waits with several ways on."""

from __future__ import annotations

import orjson
import pytest

from schemas import lists, reasons, topics
from schemas.records import Event
from tests.journeys.lab import SEND, Lab, at


def relay(lab: Lab) -> list[Event]:
    """What journeys told the line comes back to them, as identity and segments pass it on."""
    told = lab.events()
    for event in told[lab.relayed :]:
        lab.relayed += 1
        lab.event(
            event.name,
            event.occurred_at,
            properties=orjson.loads(event.properties),
            event_id=event.event_id,
            source=event.source,
            type=event.type,
            context=event.context,
        )
    return told


# --- emit ------------------------------------------------------------------------------------------------------------


def test_an_emitted_event_carries_what_the_journey_knows(lab: Lab) -> None:
    lab.journey(
        "j",
        """
        enter: {event: Order Completed}
        steps:
          - emit:
              event: Order Thanked
              properties:
                order: "no. {{ entry.properties.order_id }}"
                total: "{{ entry.properties.total }}"
                lines: "{{entry.properties.lines}}"
                name: "{{ person.traits.name }}"
                fixed: {a: [1, true, null]}
        """,
    )
    lab.customer(name="Ada")
    lab.event("Order Completed", at(), properties={"order_id": 7, "total": 12.5, "lines": [{"sku": "x"}]})
    (event,) = lab.events()
    assert (event.name, event.type, event.occurred_at, event.identifiers) == (
        "Order Thanked",
        "track",
        at(),
        ["user_id:u1"],
    )
    assert orjson.loads(event.properties) == {
        "order": "no. 7",
        "total": 12.5,
        "lines": [{"sku": "x"}],
        "name": "Ada",
        "fixed": {"a": [1, True, None]},
    }


def test_an_event_that_would_show_what_is_not_there_is_not_sent_and_the_journey_goes_on(lab: Lab) -> None:
    lab.journey(
        "j",
        "enter: {event: A}\nsteps:\n  - emit: {event: B, properties: {x: '{{ entry.properties.x }}'}}\n" + SEND,
    )
    lab.customer()
    lab.event("A", at())
    assert not lab.events()
    assert lab.reasons() == [reasons.ENTERED, reasons.TEMPLATE_ERROR, reasons.SENT, reasons.FINISHED]


def test_an_emitted_event_starts_other_journeys_and_satisfies_waits(lab: Lab) -> None:
    lab.journey("first", "enter: {event: A}\nsteps:\n  - emit: {event: B, properties: {n: 1}}\n")
    lab.journey("second", "enter: {event: B, where: event.properties.n == 1}\nsteps:\n" + SEND)
    lab.journey("waits", "enter: {event: W}\nsteps:\n  - wait_for: {event: B}\n    then:\n    " + SEND.strip() + "\n")
    lab.customer()
    lab.event("W", at())
    lab.event("A", at(minutes=1))
    relay(lab)
    assert sorted(send.journey for send in lab.sends()) == ["second", "waits"]


def test_journeys_that_start_each_other_go_round_ten_times(lab: Lab) -> None:
    lab.journey("ping", "enter: {event: Ping}\nsteps:\n  - emit: {event: Pong}\n")
    lab.journey("pong", "enter: {event: Pong}\nsteps:\n  - emit: {event: Ping}\n")
    lab.customer()
    lab.event("Ping", at())
    for _ in range(30):
        relay(lab)
    assert lab.reasons().count(reasons.ENTERED) == 11
    assert lab.decisions()[-1].detail == "10 journeys in a row have started each other"
    lab.event("Ping", at(minutes=1))
    assert lab.reasons().count(reasons.ENTERED) == 12, "what somebody else does begins anew"


def test_a_chain_of_journeys_that_takes_days_never_ends(lab: Lab) -> None:
    lab.journey("monthly", "enter: {event: Month}\nsteps:\n  - wait: 30d\n" + SEND + "  - emit: {event: Month}\n")
    lab.customer()
    lab.event("Month", at())
    for month in range(1, 25):
        lab.until(at(days=30 * month))
        relay(lab)
    assert lab.sent() == [at(days=30 * month) for month in range(1, 25)]


def test_traits_set_in_a_circle_through_a_segment_go_round_ten_times(lab: Lab) -> None:
    lab.journey("on", "enter: {segment: vip}\nsteps:\n  - update: {traits.vip: false}\n")
    lab.customer()
    lab.event("A", at(), changes=[("vip", "entered")])
    told = 0
    while len(lab.events()) > told and told < 40:
        event = lab.events()[told]
        told += 1
        # as if some other journey had set it back
        lab.profiles["user_id:u1"]["segments"] = []
        fields = {"source": event.source, "type": event.type, "context": event.context, "event_id": event.event_id}
        lab.event(event.name, at(minutes=told), changes=[("vip", "entered")], **fields)
    assert told == 11


# --- start -----------------------------------------------------------------------------------------------------------

SECOND = "enter: {event: Never, key: properties.cart_id, at_most_every: 1d}\nsteps:\n  - wait: 1h\n" + SEND


def test_a_journey_starts_another_with_its_entry_event(lab: Lab) -> None:
    lab.journey("first", "enter: {event: A}\nsteps:\n  - start: second\n  - wait: 2h\n" + SEND)
    lab.journey("second", SECOND + "  - emit: {event: Done, properties: {cart: '{{ entry.properties.cart_id }}'}}\n")
    lab.customer()
    lab.event("A", at(), properties={"cart_id": 5})
    lab.until(at(days=1))
    assert [(s.journey, s.at) for s in lab.sends()] == [("second", at(hours=1)), ("first", at(hours=2))]
    assert orjson.loads(lab.events()[0].properties) == {"cart": 5}
    assert [d.detail for d in lab.decisions("second") if d.reason == reasons.ENTERED] == ["started by first"]


def test_the_limits_of_the_started_journey_hold(lab: Lab) -> None:
    lab.journey("first", "enter: {event: A, on_repeat: parallel}\nsteps:\n  - start: second\n")
    lab.journey("second", SECOND)
    lab.customer()
    lab.event("A", at(), properties={"cart_id": 5})
    lab.event("A", at(minutes=1), properties={"cart_id": 5})
    lab.event("A", at(minutes=2), properties={"cart_id": 6})
    lab.until(at(days=1))
    assert lab.sent() == [at(hours=1)]
    assert [d.detail for d in lab.decisions("second") if d.reason == reasons.NOT_ENTERED] == [
        "already inside",
        "last entered 2m ago, at most every 1d",
    ]


def test_a_journey_is_started_with_properties_of_its_own(lab: Lab) -> None:
    lab.journey(
        "first",
        "enter: {segment: vip}\nsteps:\n  - start: {journey: second, properties: {cart_id: '{{ person.traits.n }}'}}\n",
    )
    lab.journey("second", SECOND + "  - emit: {event: Done, properties: {cart: '{{ entry.properties.cart_id }}'}}\n")
    lab.customer(n=9)
    lab.event("Seen", at())
    lab.change("vip", "entered", at(minutes=1))
    lab.until(at(days=1))
    assert orjson.loads(lab.events()[0].properties) == {"cart": 9}


def test_journeys_that_start_each_other_at_once_end(lab: Lab) -> None:
    lab.journey("a", "enter: {event: A, on_repeat: parallel}\nsteps:\n  - start: b\n")
    lab.journey("b", "enter: {event: B, on_repeat: parallel}\nsteps:\n  - start: a\n")
    lab.customer()
    lab.event("A", at())
    assert lab.reasons().count(reasons.ENTERED) == 11
    assert lab.reasons().count(reasons.FINISHED) == 11
    assert lab.reasons().count(reasons.NOT_ENTERED) == 1


def test_a_journey_that_starts_itself_anew_ends_the_old_run(lab: Lab) -> None:
    lab.journey("a", "enter: {event: A, on_repeat: restart}\nsteps:\n  - wait: 2d\n" + SEND + "  - start: a\n")
    lab.customer()
    lab.event("A", at())
    lab.until(at(days=7))
    assert lab.sent() == [at(days=2), at(days=4), at(days=6)]
    assert lab.reasons().count(reasons.EXITED) == 3


# --- lists -----------------------------------------------------------------------------------------------------------


def test_joining_a_list_is_told_the_line_and_kept(lab: Lab) -> None:
    lab.journey("j", "enter: {event: A}\nsteps:\n  - add_to: beta\n")
    lab.customer()
    lab.event("A", at())
    assert lab.events() == [lists.change("beta", "user_id:u1", True, at())]
    (kept,) = lab.line.outputs[topics.LISTS]
    assert (kept.key, kept.value) == (b"beta/user_id:u1", lab.line.outputs[topics.EVENTS][0].value)


def test_whoever_leaves_a_list_leaves_it_by_every_identifier(lab: Lab) -> None:
    lab.journey("j", "enter: {event: A}\nsteps:\n  - remove_from: beta\n")
    lab.customer()
    lab.event("A", at())
    assert [(e.name, e.identifiers) for e in lab.events()] == [
        ("List Left", ["email:u1@example.com"]),
        ("List Left", ["user_id:u1"]),
    ]
    assert [(r.key, r.value) for r in lab.line.outputs[topics.LISTS]] == [
        (b"beta/email:u1@example.com", None),
        (b"beta/user_id:u1", None),
    ]


# --- repeat ----------------------------------------------------------------------------------------------------------

ROUNDS = """
    enter: {event: A}
    exit: [{event: Stop}]
    steps:
      - repeat:
          times: 3
          steps:
            - wait: 1d
            - send: {template: hello, channels: [email]}
      - emit: {event: Done}
"""


def test_steps_are_repeated_each_send_being_another(lab: Lab) -> None:
    lab.journey("j", ROUNDS)
    lab.customer()
    lab.event("A", at())
    lab.until(at(days=9))
    assert lab.sent() == [at(days=1), at(days=2), at(days=3)]
    assert len({send.send_id for send in lab.sends()}) == 3
    assert {send.step for send in lab.sends()} == {"1.2"}
    assert [event.occurred_at for event in lab.events()] == [at(days=3)]


def test_an_exit_ends_a_repeat_in_the_middle(lab: Lab) -> None:
    lab.journey("j", ROUNDS)
    lab.customer()
    lab.event("A", at())
    lab.event("Stop", at(days=2, hours=1))
    lab.until(at(days=9))
    assert lab.sent() == [at(days=1), at(days=2)]


def test_rounds_within_rounds_and_within_a_branch(lab: Lab) -> None:
    lab.journey(
        "j",
        """
        enter: {event: A}
        steps:
          - repeat:
              times: 2
              steps:
                - branch:
                    - when: {cel: 'true'}
                      steps:
                        - repeat: {times: 3, steps: [{emit: {event: B}}, {wait: 1h}]}
                - emit: {event: C}
        """,
    )
    lab.customer()
    lab.event("A", at())
    lab.until(at(days=1))
    assert [event.name for event in lab.events()] == ["B", "B", "B", "C", "B", "B", "B", "C"]
    assert len({event.event_id for event in lab.events()}) == 8


# --- wait_for with several ways on -----------------------------------------------------------------------------------

WAYS = """
    enter: {event: A}
    steps:
      - wait_for:
          - {event: Viewed, as: view, then: [{emit: {event: View, properties: {n: "{{ view.properties.n }}"}}}]}
          - {segment: vip, then: [{emit: {event: Vip}}]}
          - {left: buyers}
        timeout: 1d
        then: [{emit: {event: Then}}]
        on_timeout: [{emit: {event: Late}}]
      - emit: {event: Behind}
"""


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("Viewed", (), ["View", "Behind"]),
        ("Seen", [("vip", "entered")], ["Vip", "Behind"]),
        ("Seen", [("buyers", "left")], ["Then", "Behind"]),
        ("Seen", (), ["Late", "Behind"]),
        ("Viewed", [("vip", "entered"), ("buyers", "left")], ["View", "Behind"]),
    ],
)
def test_what_happens_first_says_how_it_goes_on(
    lab: Lab, name: str, change: list[tuple[str, str]], expected: list[str]
) -> None:
    lab.journey("j", WAYS)
    lab.customer()
    lab.event("A", at())
    lab.event(name, at(hours=1), changes=change, properties={"n": 3})
    lab.until(at(days=2))
    assert [event.name for event in lab.events()] == expected


def test_of_several_that_happen_at_once_the_first_in_the_list_counts(lab: Lab) -> None:
    lab.journey(
        "j",
        "enter: {event: A}\nsteps:\n  - wait_for: [{left: vip, then: [{emit: {event: L}}]},"
        " {event: B, then: [{emit: {event: E}}]}]\n",
    )
    lab.customer()
    lab.event("A", at(), changes=[("vip", "entered")])
    lab.event("B", at(hours=1), changes=[("vip", "left")])
    assert [event.name for event in lab.events()] == ["L"]


def test_a_segment_the_person_is_in_already_goes_its_own_way_at_once(lab: Lab) -> None:
    lab.journey("j", WAYS)
    lab.customer()
    lab.event("Seen", at(), changes=[("vip", "entered")])
    lab.event("A", at(hours=1))
    assert [event.name for event in lab.events()] == ["Vip", "Behind"]


# --- receipts --------------------------------------------------------------------------------------------------------

RECEIPTS = """
    enter: {event: A}
    steps:
      - {id: first, send: {template: hello, channels: [email]}}
      - {id: second, send: {template: hello, channels: [sms]}}
      - wait_for:
          - {receipt: clicked, of: first, then: [{emit: {event: Clicked}}]}
          - {receipt: opened, of: first, then: [{emit: {event: Opened}}]}
          - {receipt: bounced, then: [{emit: {event: Bounced}}]}
        timeout: 1d
        on_timeout: [{emit: {event: Late}}]
"""


def wrote(lab: Lab) -> dict[str, str]:
    """Ids of the two sends, by step."""
    lab.journey("j", RECEIPTS)
    lab.customer(consent=["email", "sms"])
    lab.profiles["user_id:u1"]["addresses"]["phone"] = ["+380501234567"]
    lab.event("A", at())
    return {send.step: send.send_id for send in lab.sends()}


@pytest.mark.parametrize(
    ("name", "step", "more", "expected"),
    [
        ("Email Opened", "first", {}, "Opened"),
        ("Email Link Clicked", "first", {}, "Clicked"),
        ("Email Delivered", "first", {}, "Late"),
        ("Email Opened", "first", {"machine": True}, "Late"),
        ("SMS Link Clicked", "second", {}, "Late"),
        ("SMS Bounced", "second", {}, "Bounced"),
        ("Email Bounced", "first", {}, "Bounced"),
    ],
)
def test_receipts_of_what_the_run_has_sent(
    lab: Lab, name: str, step: str, more: dict[str, object], expected: str
) -> None:
    sent = wrote(lab)
    lab.event(name, at(hours=1), send_id=sent[step], properties=more)
    lab.until(at(days=2))
    assert [event.name for event in lab.events()] == [expected]


def test_receipts_without_a_send_id_count_by_channel_and_address(lab: Lab) -> None:
    wrote(lab)
    lab.event("Email Bounced", at(hours=1), properties={"email": "somebody@example.com"})
    assert not lab.events()
    lab.event("Email Bounced", at(hours=2), properties={"email": "u1@example.com"})
    assert [event.name for event in lab.events()] == ["Bounced"]


def test_a_receipt_of_somebody_elses_message_is_none(lab: Lab) -> None:
    wrote(lab)
    lab.event("Email Opened", at(hours=1), send_id="another")
    lab.until(at(days=2))
    assert [event.name for event in lab.events()] == ["Late"]


def test_a_receipt_may_end_a_journey(lab: Lab) -> None:
    lab.journey("j", "enter: {event: A}\nexit: [{receipt: clicked}]\nsteps:\n" + SEND + "  - wait: 1d\n" + SEND)
    lab.customer()
    lab.event("A", at())
    lab.event("Email Link Clicked", at(hours=1), send_id=lab.sends()[0].send_id)
    lab.until(at(days=2))
    assert lab.reasons()[-1] == reasons.EXITED
    assert len(lab.sends()) == 1


def test_a_receipt_that_came_before_the_run_arrived_by_a_merge_is_not_missed(lab: Lab) -> None:
    lab.journey("j", RECEIPTS)
    lab.customer("user_id:u1")
    lab.customer("anonymous_id:a1")
    lab.event("A", at(), "anonymous_id:a1")
    (send,) = lab.sends()
    both = {"anonymous_id:a1": 2}
    # the person that the slot goes to hears of the receipt first
    lab.event("Email Opened", at(minutes=1), "user_id:u1", also=["anonymous_id:a1"], send_id=send.send_id, version=1)
    lab.move(both, "anonymous_id:a1", "user_id:u1", at(minutes=2))
    lab.arrived(both, "user_id:u1", at(minutes=2))
    assert [event.name for event in lab.events()] == ["Opened"]
