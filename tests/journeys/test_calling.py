"""The steps `call` and `task`: services are asked, whatever holds back messages."""

from __future__ import annotations

import orjson
import pytest

from connectors.outbound.registry import served
from pathline.local.plan import topic_channels
from schemas import reasons, topics
from schemas.definitions import Invalid, parse
from schemas.records import SendCommand
from schemas.services import CALLS, SERVICES, TASKS
from tests.journeys.lab import FILES, Lab, at

CALL = """
enter: {event: Order Completed}
steps:
  - id: hold
    call:
      url: "https://erp.example/hold/{{ entry.properties.order_id | url_encode }}"
      headers: {X-Shop: "{{ person.traits.shop }}"}
      data:
        total: "{{ entry.properties.total }}"
        text: "no. {{ entry.properties.order_id }}"
        lines: [1, "{{ person.id }}"]
  - task:
      title: "Thank {{ person.traits.name }}"
      text: Say thanks.
      queue: care
      due: 2h
      data: {order: "{{ entry.properties.order_id }}"}
  - task: Look after it
"""


def asked(lab: Lab, service: str, transactional: bool = False) -> list[SendCommand]:
    records = lab.line.outputs.get(topics.outbound(service, transactional), [])
    return [lab.codec.decode(SendCommand, record.value) for record in records]


def test_services_are_told_what_the_journey_knows(lab: Lab) -> None:
    lab.journey("j", CALL)
    lab.customer(name="Ada", shop="Kyiv")
    lab.event("Order Completed", at(), properties={"order_id": "7/a", "total": 12.5})
    (call,) = asked(lab, CALLS)
    person = call.person_id
    assert orjson.loads(call.content) == {
        "url": "https://erp.example/hold/7%2Fa",
        "headers": {"X-Shop": "Kyiv"},
        "data": {"total": 12.5, "text": "no. 7/a", "lines": [1, person]},
    }
    assert (call.step, call.journey, call.identifier, call.to) == (
        "hold",
        "j",
        "user_id:u1",
        "https://erp.example/hold/7%2Fa",
    )
    first, second = asked(lab, TASKS)
    assert orjson.loads(first.content) == {
        "title": "Thank Ada",
        "text": "Say thanks.",
        "queue": "care",
        "due": "2026-03-02T14:00:00.000Z",
        "data": {"order": "7/a"},
    }
    assert orjson.loads(second.content) == {"title": "Look after it", "data": {}}
    assert lab.reasons() == [reasons.ENTERED, reasons.CALLED, reasons.TASKED, reasons.TASKED, reasons.FINISHED]
    assert len({call.send_id, first.send_id, second.send_id}) == 3


def test_nothing_that_holds_back_a_message_holds_back_a_call(lab: Lab) -> None:
    lab.file("project.yaml", "name: shop\nholdout: {share: 99.99}\n")
    lab.file("channels.yaml", 'email: {consent: opt_in, caps: [{at_most: 0, per: 1d}], quiet: "00:00-23:59"}\n')
    lab.journey("j", CALL)
    lab.customer(consent=(), name="Ada", shop="Kyiv")
    lab.event("Order Completed", at(), properties={"order_id": 7, "total": 1})
    assert len(asked(lab, CALLS)) == 1
    assert len(asked(lab, TASKS)) == 2


def test_calls_of_transactional_journeys_have_the_lane_for_it(lab: Lab) -> None:
    lab.journey("j", "category: transactional\n" + CALL)
    lab.customer(name="Ada", shop="Kyiv")
    lab.event("Order Completed", at(), properties={"order_id": 7, "total": 1})
    assert not asked(lab, CALLS)
    assert len(asked(lab, CALLS, True)) == 1


def test_each_round_calls_anew_and_the_same_event_twice_calls_once(lab: Lab) -> None:
    lab.journey("j", "enter: {event: A}\nsteps: [{repeat: {times: 2, steps: [{call: 'https://x.example'}]}}]\n")
    lab.customer()
    lab.event("A", at(), event_id="e")
    lab.event("A", at(seconds=1), event_id="e")
    assert len({call.send_id for call in asked(lab, CALLS)}) == len(asked(lab, CALLS)) == 2


@pytest.mark.parametrize(
    "step",
    [
        "task: '{{ person.traits.unknown }}'",
        "call: {url: 'https://x.example', data: {a: '{{ person.traits.unknown }}'}}",
        "call: 'https://x.example/{{ person.traits.name }}'",
        "call: {url: 'https://x.example', headers: {X-A: '{{ person.traits.lines }}'}}",
    ],
)
def test_what_can_not_be_told_is_not_asked_and_the_journey_goes_on(lab: Lab, step: str) -> None:
    lab.journey("j", f"enter: {{event: A}}\nsteps:\n  - {step}\n")
    lab.customer(name="Ada Lovelace", lines="a\r\nX-B: c")
    lab.event("A", at())
    assert not any(asked(lab, service) for service in SERVICES)
    assert lab.reasons() == [reasons.ENTERED, reasons.TEMPLATE_ERROR, reasons.FINISHED]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("call: 'https://{{ entry.properties.host }}/x'", "behind the host"),
        ("call: 'https://{{ person.traits.x }}@h.example'", "behind the host"),
        ("call: erp.example", "https://HOST"),
        ("call: {url: 'https://x.example', headers: {webhook-id: a}}", "Pathline's own"),
        ("call: {url: 'https://x.example', headers: {'a b': a}}", "no name of a header"),
        ("call: {url: 'https://x.example', data: {a: '{{ persn.x }}'}}", "persn"),
        ("call: {url: 'https://x.example', body: {a: 1}}", "body"),
        ("task: '{{ persn.x }}'", "persn"),
        ("task: {text: hello}", "title"),
    ],
)
def test_check_finds_what_can_not_be_asked(step: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        parse({**FILES, "journeys/j.yaml": f"enter: {{event: A}}\nsteps:\n  - {step}\n"})


def test_a_line_serves_the_services_that_its_journeys_ask_and_no_others() -> None:
    project = parse({**FILES, "journeys/j.yaml": "enter: {event: A}\nsteps: [{call: 'https://x.example'}]\n"})
    assert {name: one.name for name, one in served(project).items()} == {"email": "smtp", "sms": "smpp", CALLS: CALLS}
    assert topic_channels(project) == ["email", "sms", CALLS]
    assert not {*SERVICES} & {*served(parse(dict(FILES)))}
