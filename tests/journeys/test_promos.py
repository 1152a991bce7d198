"""Promo codes: each to one person, the same on any run, redeemed by the order that shows them."""

from __future__ import annotations

import orjson
import pytest
from prometheus_client import REGISTRY

from processors.journeys.pools import ALPHABET
from processors.journeys.step import JourneysStage
from processors.runtime.memory import MemoryLine
from schemas import topics
from schemas.definitions import parse
from schemas.identifiers import person_id, slot_of
from schemas.records import Erasure, PromoCode, Update
from tests.definitions.files import journey, problems
from tests.journeys.lab import SEND, Lab, at
from tests.line import project as whole
from tests.line.project import granted, identify, track

ISSUE = "enter: {event: Go, on_repeat: parallel}\nsteps:\n  - issue: {promo: P, as: code, expires: 14d}\n" + SEND
TEMPLATE = "subject: Hi\nbody: 'Code {{ code }} until {{ code.expires_at | date: \"%d.%m.\" }}'\n"


@pytest.fixture
def shop(lab: Lab) -> Lab:
    """A pool `vip` and codes `spring` that are made."""
    lab.file("promos.yaml", "vip: {file: promos/vip.txt, low: 2}\nspring: {generate: {prefix: SP-, length: 8}}\n")
    lab.file("templates/hello.yaml", TEMPLATE)
    for promo in ("vip", "spring"):
        lab.journey(promo, ISSUE.replace("P", promo).replace("event: Go", f"event: {promo}"))
    return lab


def given(lab: Lab) -> list[tuple[str, str]]:
    """(person, code) of each message."""
    return [(s.to.split("@")[0], orjson.loads(s.content)["html"].split()[1]) for s in lab.sends()]


def people(lab: Lab, event: str, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        lab.customer(who := f"user_id:p{n}")
        lab.event(event, at(), who)


def reasons(lab: Lab) -> list[str]:
    return [d.reason for d in lab.decisions() if d.reason in ("issued", "no code", "redeemed")]


# --- pools ------------------------------------------------------------------------------------------------------------


def test_each_code_of_a_pool_goes_to_one_person_in_order(shop: Lab) -> None:
    shop.pool("vip", "A1", "B2", "C3")
    people(shop, "vip", 3)
    assert given(shop) == [("p0", "A1"), ("p1", "B2"), ("p2", "C3")]


def test_an_empty_pool_is_a_decision_and_no_message_without_its_code(shop: Lab) -> None:
    shop.pool("vip", "A1")
    people(shop, "vip", 3)
    assert given(shop) == [("p0", "A1")]
    assert reasons(shop) == ["issued", "no code", "no code"]
    assert [d.detail for d in shop.decisions() if d.reason == "no code"] == ["vip: none is left"] * 2
    assert [d.reason for d in shop.decisions()].count("template error") == 2


def test_a_pool_that_is_filled_again_goes_on(shop: Lab) -> None:
    shop.pool("vip", "A1")
    people(shop, "vip", 2)
    shop.pool("vip", "A1", "D4")  # the first was there before
    people(shop, "vip", 2, first=2)
    assert given(shop) == [("p0", "A1"), ("p2", "D4")]


def test_how_many_are_left_is_a_metric(shop: Lab) -> None:
    shop.pool("vip", "A1", "B2", "C3")
    people(shop, "vip", 1)

    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"pathline_promo_codes_{name}", {"promo": "vip", **labels})

    assert value("left", partition="0") == 2
    assert value("low") == 2
    missed = value("missed_total") or 0
    people(shop, "vip", 3, first=1)
    assert value("left", partition="0") == 0
    assert value("missed_total") == missed + 1
    shop.pool("vip", "D4")
    shop.line.restart([JourneysStage(shop.source, shop.codec)])
    assert value("left", partition="0") == 1


def test_a_pool_is_watched_before_its_first_code_is_asked_for(shop: Lab) -> None:
    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"pathline_promo_codes_{name}", {"promo": "autumn", **labels})

    def rules(low: int) -> None:
        shop.file(
            "promos.yaml",
            f"spring: {{generate: {{}}}}\nvip: {{file: vip.txt}}\nautumn: {{file: autumn.txt, low: {low}}}\n",
        )

    rules(30)
    shop.customer()
    shop.event("vip", at())
    assert (value("low"), value("left", partition="0")) == (30, 0)
    rules(40)
    applied = parse(shop.files)
    shop.source.publish(applied)
    shop.marker(applied.version, at(hours=1))
    assert value("low") == 40


def test_partitions_give_codes_of_their_own(shop: Lab) -> None:
    shop._line = MemoryLine([JourneysStage(shop.source, shop.codec)], shop.clock, partitions=4)
    for number in range(40):
        record = PromoCode(promo="vip", code=f"C{number}", at=at())
        shop.line.publish(topics.PROMOS, f"vip/C{number}", shop.codec.encode(record), number % 4)
    shop.line.drain()
    people(shop, "vip", 20)
    codes = [code for _, code in given(shop)]
    assert len(codes) == len(set(codes)) == 20


# --- made codes -------------------------------------------------------------------------------------------------------


def test_made_codes_are_of_their_form_and_all_different(shop: Lab) -> None:
    people(shop, "spring", 500)
    codes = [code for _, code in given(shop)]
    assert len(set(codes)) == 500
    assert all(code.startswith("SP-") and len(code) == 11 and set(code[3:]) <= set(ALPHABET) for code in codes)


def test_made_codes_are_the_same_on_any_run_and_others_under_another_secret() -> None:
    def run(secret: bytes) -> list[tuple[str, str]]:
        class Stage(JourneysStage):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, secret=lambda: secret)  # type: ignore[arg-type]

        class Here(Lab):
            stage = Stage

        lab = Here()
        lab.file("promos.yaml", "spring: {generate: {}}\n")
        lab.file("templates/hello.yaml", TEMPLATE)
        lab.journey("j", ISSUE.replace("P", "spring"))
        people(lab, "Go", 5)
        return given(lab)

    assert run(b"one") == run(b"one")
    assert not {code for _, code in run(b"one")} & {code for _, code in run(b"two")}


# --- one person -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "again"), [(1, True), (14, False)])
def test_who_has_a_code_that_holds_gets_it_again(shop: Lab, days: int, again: bool) -> None:
    shop.pool("vip", "A1", "B2")
    shop.customer()
    shop.event("vip", at())
    shop.event("vip", at(days=days))
    assert [code for _, code in given(shop)] == ["A1", "A1" if again else "B2"]
    assert "vip: A1 again" in [d.detail for d in shop.decisions()] or not again


def test_or_one_for_each_entry(shop: Lab) -> None:
    shop.file("promos.yaml", "vip: {file: promos/vip.txt, one_per: entry}\nspring: {generate: {}, one_per: entry}\n")
    shop.pool("vip", "A1", "B2")
    shop.customer()
    for name in ("vip", "vip", "spring", "spring"):
        shop.event(name, at(), properties={"n": 1})
    codes = [code for _, code in given(shop)]
    assert codes[:2] == ["A1", "B2"]
    assert codes[2] != codes[3]


def test_a_code_moves_with_the_person_and_is_forgotten_with_it(shop: Lab) -> None:
    shop.pool("vip", "A1", "B2")
    shop.customer("anonymous_id:a")
    shop.customer()
    shop.event("vip", at(), "anonymous_id:a")
    shop.move({"anonymous_id:a": 2}, "anonymous_id:a", "user_id:u1", at(hours=1))
    shop.arrived({"anonymous_id:a": 2}, "user_id:u1", at(hours=1))
    shop.event("vip", at(hours=2))
    assert [code for _, code in given(shop)] == ["A1", "A1"]
    both = ["user_id:u1", "anonymous_id:a"]
    erasure = Erasure(identifiers=both, slots=[slot_of(one) for one in both], at=at(hours=3))
    shop.publish(Update(kind="erasure", person_id=person_id("user_id:u1"), at=at(hours=3), erasure=erasure))
    assert "A1" not in str(shop.person())
    shop.customer("user_id:u2")
    shop.event("vip", at(hours=4), "user_id:u2")
    assert given(shop)[-1] == ("u2", "B2"), "a code is given once, whoever is forgotten"


def test_nobody_in_the_control_group_uses_up_codes(shop: Lab) -> None:
    shop.file("project.yaml", "name: shop\nholdout: {share: 99}\n")
    shop.pool("vip", *(f"C{n}" for n in range(50)))
    people(shop, "vip", 50)
    assert reasons(shop).count("issued") == len(shop.sends()) < 10


# --- in messages and conditions ---------------------------------------------------------------------------------------


def test_a_message_says_the_code_and_until_when_it_holds(shop: Lab) -> None:
    shop.pool("vip", "A1")
    people(shop, "vip", 1)
    assert orjson.loads(shop.sends()[0].content)["html"] == "<p>Code A1 until 16.03.</p>"


def test_a_branch_can_ask_whether_there_is_one(shop: Lab) -> None:
    branch = '  - branch:\n    - when: {cel: "size(code) > 0"}\n      steps: [{exit: "has one"}]\n'
    shop.journey("vip", "enter: {event: vip}\nsteps:\n  - issue: {promo: vip}\n" + branch + "  - exit: none\n")
    shop.pool("vip", "A1")
    people(shop, "vip", 2)
    assert [d.detail for d in shop.decisions() if d.reason == "exited"] == ["has one", "none"]


def test_the_line_hears_of_each_code_once(shop: Lab) -> None:
    shop.pool("vip", "A1")
    shop.customer()
    shop.event("vip", at())
    shop.event("vip", at(hours=1))
    (event,) = [e for e in shop.events() if e.name == "Promo Code Issued"]
    assert orjson.loads(event.properties) == {
        "promo": "vip",
        "code": "A1",
        "journey": "vip",
        "step": "1",
        "expires_at": "2026-03-16T12:00:00.000Z",
    }


# --- redeemed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coupon", ["A1", " a1 ", ["X", "A1"]])
def test_an_order_that_shows_the_code_redeems_it(shop: Lab, coupon: object) -> None:
    shop.pool("vip", "A1", "B2")
    shop.customer()
    shop.event("vip", at())
    shop.event("Order Completed", at(days=1), properties={"coupon": coupon})
    shop.event("Order Completed", at(days=2), properties={"coupon": coupon})
    found = [d for d in shop.decisions() if d.reason == "redeemed"]
    assert [(d.at, d.journey, d.step, d.detail) for d in found] == [(at(days=1), "vip", "1", "vip: A1")]
    assert found[0].instance_id == shop.decisions("vip")[0].instance_id
    shop.event("vip", at(days=3))
    assert given(shop)[-1] == ("u1", "B2"), "a code that was used is not given again"


@pytest.mark.parametrize(
    "properties", [{}, {"coupon": "B2"}, {"coupon": None}, {"coupon": {"code": "A1"}}, {"code": "A1"}]
)
def test_other_orders_do_not(shop: Lab, properties: dict[str, object]) -> None:
    shop.pool("vip", "A1")
    shop.customer()
    shop.event("vip", at())
    shop.event("Order Completed", at(days=1), properties=properties)
    assert "redeemed" not in reasons(shop)


def test_what_shows_the_use_is_up_to_the_promo_and_a_late_use_is_told(shop: Lab) -> None:
    shop.file(
        "promos.yaml",
        "vip: {file: vip.txt, redeemed: {event: [Till Receipt], code: properties.voucher}}\nspring: {generate: {}}\n",
    )
    shop.pool("vip", "A1")
    shop.customer()
    shop.event("vip", at())
    shop.event("Order Completed", at(days=1), properties={"coupon": "A1", "voucher": "A1"})
    shop.event("Till Receipt", at(days=14), properties={"voucher": "A1"})
    assert [(d.at, d.detail) for d in shop.decisions() if d.reason == "redeemed"] == [
        (at(days=14), "vip: A1 after it expired")
    ]


# --- the command line -------------------------------------------------------------------------------------------------


def test_a_simulation_gives_the_codes_in_the_project(tmp_path: object) -> None:
    lab = whole.Lab(tmp_path)  # type: ignore[arg-type]
    lab.files(
        {
            "promos.yaml": "vip: {file: promos/vip.csv, column: code}\n",
            "promos/vip.csv": "number,code\n1,A1\n2,B2\n",
        }
    )
    lab.journey("j", ISSUE.replace("P", "vip"))
    events = []
    for user in ("u1", "u2", "u3"):
        traits = {"email": f"{user}@example.com"}
        events.append(identify(whole.at(days=-1), user, traits=traits, context=granted("email")))
        events.append(track("Go", whole.at(), user))
    events.append(track("Order Completed", whole.at(days=1), "u2", properties={"coupon": "b2"}))
    done = lab.simulate(sorted(events, key=lambda e: e["timestamp"]), whole.at(days=2))
    told = [(d["reason"], d["detail"]) for d in done.decisions if d["reason"] in ("issued", "no code", "redeemed")]
    assert told == [
        ("issued", "vip: A1"),
        ("issued", "vip: B2"),
        ("no code", "vip: none is left"),
        ("redeemed", "vip: B2"),
    ]


@pytest.mark.parametrize(
    ("promos", "step", "message"),
    [
        ("vip: {}", "issue: {promo: vip}", "either generates its codes or has a file"),
        ("vip: {generate: {}, low: 5}", "issue: {promo: vip}", "column and low belong to a file"),
        ("vip: {generate: {length: 4}}", "issue: {promo: vip}", "8"),
        ("vip: {file: ../codes.txt}", "issue: {promo: vip}", "lies outside the project"),
        ("vip: {generate: {}}", "issue: {promo: vpi}", "there is no promo 'vpi'"),
        ("vip: {generate: {}}", "issue: {promo: vip, as: event}", "already stands for something else"),
        ("vip: {generate: {}, redeemed: {event: X, code: coupon}}", "issue: {promo: vip}", "an event has no 'coupon'"),
    ],
)
def test_mistakes_are_told(promos: str, step: str, message: str) -> None:
    told = problems(promos=promos, journeys__j=journey(f"- {step}"))
    assert any(message in str(problem) for problem in told), told


def test_a_template_may_say_a_code_where_the_journey_gives_one() -> None:
    files = {
        "promos": "vip: {generate: {}}",
        "templates__hello": "subject: '{{ code }}'\nbody: '{{ code.expires_at }}'\n",
    }
    send = "- send: {template: hello, channels: [email]}"
    assert not problems(**files, journeys__j=journey(f"- issue: {{promo: vip}}\n{send}"))
    assert any("there is no 'code' here" in str(p) for p in problems(**files, journeys__j=journey(send)))
