"""A newer version of a journey and those who are inside: they stay on theirs, go over as its map says, or leave."""

from __future__ import annotations

import pytest

from schemas import reasons
from schemas.definitions import parse
from schemas.records import Decision
from tests.journeys.lab import SEND, Lab, at

ENTER = "enter: {event: Product Added}\n"
FIRST = ENTER + "steps:\n  - {id: pause, wait: 2h}\n" + SEND


@pytest.fixture
def shop(lab: Lab) -> Lab:
    lab.journey("cart", FIRST)
    lab.customer()
    lab.marker(parse(lab.files).version, at(days=-1))
    return lab


def publish(lab: Lab, when: int, text: str) -> str:
    """Publish another version of the journey; its version."""
    lab.until(when)
    lab.journey("cart", text)
    project = parse(lab.files)
    lab.source.publish(project)
    lab.marker(project.version, when)
    return project.version


def gone_over(lab: Lab) -> list[tuple[int, str, str]]:
    return [(d.at, d.step, d.detail) for d in _of(lab, reasons.MIGRATED)]


def _of(lab: Lab, reason: str) -> list[Decision]:
    return [decision for decision in lab.decided() if decision.reason == reason]


def test_who_is_at_a_step_with_a_place_goes_over_and_the_time_waited_counts(shop: Lab) -> None:
    shop.event("Product Added", at())
    shop.file("templates/bye.yaml", "subject: Bye\nbody: Bye\n")
    second = publish(
        shop,
        at(minutes=30),
        ENTER
        + "steps:\n  - wait: 1h\n  - {id: longer, wait: 3h}\n  - send: {template: bye, channels: [email]}\n"
        + "migrate: {steps: {pause: longer}}\n",
    )
    shop.until(at(days=1))
    assert [(s.at, s.template, s.version) for s in shop.sends()] == [(at(hours=3), "bye", second)]
    assert gone_over(shop)[0][:2] == (at(minutes=30), "longer")
    assert "from step pause of version" in gone_over(shop)[0][2]


def test_nobody_has_to_do_anything_for_it_and_what_is_over_already_goes_on_at_once(shop: Lab) -> None:
    shop.event("Product Added", at())
    publish(shop, at(hours=1), FIRST.replace("2h", "10m") + "migrate: {steps: {pause: pause}}\n")
    assert shop.sent() == [at(hours=1)]


def test_what_the_map_does_not_name_stays_on_its_version(shop: Lab) -> None:
    shop.event("Product Added", at())
    publish(shop, at(hours=1), FIRST.replace("2h", "5h") + "migrate: {steps: {elsewhere: pause}}\n")
    shop.until(at(days=1))
    assert shop.sent() == [at(hours=2)]
    assert not gone_over(shop)


def test_what_the_map_does_not_name_leaves_if_it_says_so(shop: Lab) -> None:
    shop.event("Product Added", at())
    publish(shop, at(hours=1), FIRST.replace("2h", "5h") + "migrate: {others: exit}\n")
    shop.until(at(days=1))
    assert not shop.sends()
    assert [(d.at, d.step) for d in _of(shop, reasons.EXITED)] == [(at(hours=1), "pause")]
    shop.event("Product Added", at(days=1))
    shop.until(at(days=2))
    assert shop.sent() == [at(days=1, hours=5)]


def test_a_map_is_carried_out_once_with_the_version_that_changed_its_journey(shop: Lab) -> None:
    shop.event("Product Added", at())
    second = FIRST.replace("2h", "5h") + "migrate: {others: exit}\n"
    publish(shop, at(minutes=10), second)
    shop.event("Product Added", at(minutes=20))
    shop.file("segments/other.yaml", "name: other\nwhen: {trait: x, equals: 1}\n")
    publish(shop, at(minutes=30), second)
    shop.until(at(days=1))
    assert shop.sent() == [at(minutes=20, hours=5)]


def test_versions_that_follow_each_other_each_take_over(shop: Lab) -> None:
    shop.event("Product Added", at())
    publish(shop, at(minutes=10), FIRST.replace("pause, wait: 2h", "b, wait: 3h") + "migrate: {steps: {pause: b}}\n")
    publish(shop, at(minutes=20), FIRST.replace("pause, wait: 2h", "c, wait: 4h") + "migrate: {steps: {b: c}}\n")
    shop.until(at(days=1))
    assert shop.sent() == [at(hours=4)]
    assert [step for _, step, _ in gone_over(shop)] == ["b", "c"]


def test_a_version_published_before_all_have_followed_the_one_before_changes_nothing_of_that(shop: Lab) -> None:
    shop.event("Product Added", at())
    shop.until(at(minutes=10))
    versions = []
    for after, before in (("b", "pause"), ("c", "b")):
        text = FIRST.replace("pause, wait: 2h", f"{after}, wait: 4h")
        shop.journey("cart", f"{text}migrate: {{steps: {{{before}: {after}}}}}\n")
        versions.append(parse(shop.files))
        shop.source.publish(versions[-1])
    for number, version in enumerate(versions):
        shop.marker(version.version, at(minutes=10, seconds=number))
    shop.until(at(days=1))
    assert [step for _, step, _ in gone_over(shop)] == ["b", "c"]
    assert shop.sent() == [at(hours=4)]


def test_a_message_that_waits_to_go_out_is_said_once_in_the_words_of_the_new_version(lab: Lab) -> None:
    lab.file("channels.yaml", 'email: {cost: 0.001, connector: smtp, consent: opt_in, quiet: "12:00-14:00"}\n')
    lab.journey("cart", ENTER + "steps:\n" + SEND)
    lab.customer()
    lab.marker(parse(lab.files).version, at(days=-1))
    lab.event("Product Added", at())
    lab.file("templates/hello.yaml", "subject: Hi\nbody: In better words\n")
    publish(lab, at(hours=1), ENTER + "steps:\n" + SEND + "migrate: {steps: {1: '1'}}\n")
    lab.until(at(days=1))
    assert [(s.at, b"better" in s.content) for s in lab.sends()] == [(at(hours=2), True)]


def test_a_step_of_another_kind_begins_at_the_change(shop: Lab) -> None:
    shop.event("Product Added", at())
    publish(
        shop,
        at(hours=1),
        ENTER
        + "steps:\n  - wait_for: {event: Order Completed}\n    timeout: 1h\n    id: bought\n"
        + "    on_timeout:\n      - {id: now, send: {template: hello, channels: [email]}}\n"
        + "migrate: {steps: {pause: now}}\n",
    )
    assert shop.sent() == [at(hours=1)]


def test_who_waits_may_wait_for_something_from_then_on(shop: Lab) -> None:
    shop.event("Product Added", at())
    publish(
        shop,
        at(hours=1),
        ENTER
        + "steps:\n  - {id: bought, wait_for: {event: Order Completed}, timeout: 4h, on_timeout: [{exit: }]}\n"
        + SEND
        + "migrate: {steps: {pause: bought}}\n",
    )
    shop.event("Order Completed", at(hours=2))
    assert shop.sent() == [at(hours=2)]


def test_rounds_go_on_where_they_were(lab: Lab) -> None:
    rounds = ENTER + "steps:\n  - repeat:\n      times: 4\n      steps:\n        - {id: pause, wait: 1h}\n      " + SEND
    lab.journey("cart", rounds)
    lab.customer()
    lab.marker(parse(lab.files).version, at(days=-1))
    lab.event("Product Added", at())
    publish(lab, at(hours=2, minutes=30), rounds.replace("wait: 1h", "wait: 2h") + "migrate: {steps: {pause: pause}}\n")
    lab.until(at(days=2))
    assert lab.sent() == [at(hours=hour) for hour in (1, 2, 4, 6)]
    assert len({send.send_id for send in lab.sends()}) == 4


def test_who_has_had_this_mornings_round_waits_for_tomorrows(lab: Lab) -> None:
    morning = "        - {id: m, wait: {until: '09:00'}}\n      " + SEND
    rounds = "steps:\n  - repeat:\n      times: 2\n      steps:\n" + morning
    lab.journey("cart", ENTER + rounds)
    lab.customer()
    lab.marker(parse(lab.files).version, at(days=-1))
    lab.event("Product Added", at())
    publish(lab, at(hours=22), ENTER + rounds.replace("times: 2", "times: 4") + "migrate: {steps: {m: m}}\n")
    lab.until(at(days=9))
    assert lab.sent() == [at(hours=21 + 24 * day) for day in range(4)]


def test_timers_due_before_it_are_of_the_old_version(shop: Lab) -> None:
    """The line may be behind when it comes to the marker."""
    shop.event("Product Added", at())
    text = FIRST.replace("2h", "5h") + "migrate: {steps: {pause: pause}}\n"
    shop.journey("cart", text)
    project = parse(shop.files)
    shop.source.publish(project)
    shop.clock.at = at(hours=2, minutes=1)
    shop.marker(project.version, at(hours=2, minutes=1))
    assert shop.sent() == [at(hours=2)]


def test_the_old_key_and_way_in_are_those_of_the_new_version(lab: Lab) -> None:
    lab.journey(
        "cart", "enter:\n  - {event: Page}\n  - {event: Product Added, key: properties.cart}\n" + FIRST[len(ENTER) :]
    )
    lab.customer()
    lab.marker(parse(lab.files).version, at(days=-1))
    lab.event("Product Added", at(), properties={"cart": "a", "other": "b"})
    text = "enter: {event: Product Added, key: properties.other}\nexit: {event: Emptied}\n" + FIRST[len(ENTER) :]
    publish(lab, at(hours=1), text + "migrate: {steps: {pause: pause}}\n")
    lab.event("Emptied", at(minutes=70), properties={"other": "a"})
    assert reasons.EXITED not in lab.reasons()
    lab.event("Emptied", at(minutes=71), properties={"other": "b"})
    assert reasons.EXITED in lab.reasons()


def test_whoever_is_joined_to_somebody_later_goes_over_only_once(shop: Lab) -> None:
    shop.customer("user_id:u2")
    shop.event("Product Added", at(), "user_id:u2")
    publish(shop, at(minutes=30), FIRST.replace("2h", "3h") + "migrate: {steps: {elsewhere: pause}}\n")
    shop.move({"user_id:u2": 2}, "user_id:u2", "user_id:u1", at(hours=1))
    shop.arrived({"user_id:u2": 2}, "user_id:u1", at(hours=1))
    shop.until(at(days=1))
    assert not gone_over(shop)
    assert shop.sent() == [at(hours=2)]
