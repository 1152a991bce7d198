"""Splits with a winner: who has an arm keeps it, who comes once it is known gets the winner's, and so on any run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.journeys.words import told
from processors.journeys.lots import Lots
from processors.journeys.working import MILLION
from schemas import reasons
from schemas.definitions import Invalid, parse
from schemas.definitions.model import Split
from tests.journeys.lab import FILES, Lab, at
from tests.line.project import Lab as Shop
from tests.line.project import at as instant
from tests.line.project import track

JOURNEY = """
enter: {event: A}
goal: {event: B, within: 1d}
steps:
  - id: subject
    split: {a: 45, b: 45, holdout: 10}
    winner: {after: 100}
    a: [{exit: a}]
    b: [{exit: b}]
"""
PEOPLE = [f"user_id:u{number}" for number in range(90)]


def arms(lab: Lab, since: int = 0) -> dict[str, tuple[str, str]]:
    """By person: how it got its arm, and which."""
    given = (reasons.ARM, reasons.WINNER)
    return {d.person_id: (d.reason, d.detail) for d in lab.decisions() if d.reason in given and d.at >= since}


def test_who_comes_once_the_winner_is_known_gets_its_arm_and_who_has_one_keeps_it(lab: Lab) -> None:
    lab.journey("j", JOURNEY)
    for who in PEOPLE:
        lab.customer(who)
    for who in PEOPLE[:30]:
        lab.event("A", at(), who)
    before = arms(lab)
    assert {arm for _, arm in before.values()} == {"a", "b", reasons.HELD_OUT}
    lab.file("winners.yaml", "j/subject: b\n")
    decided = parse(lab.files)
    lab.source.publish(decided)
    lab.marker(decided.version, at(hours=1))
    for who in PEOPLE:
        lab.event("A", at(hours=2), who)
    after = arms(lab, at(hours=2))
    assert {who: after[who] for who in before} == before
    new = Counter(told for who, told in after.items() if who not in before)
    assert set(new) == {(reasons.WINNER, "b"), (reasons.ARM, reasons.HELD_OUT)}
    # when the winner is another one later, those that it was given to keep what they got
    lab.file("winners.yaml", "j/subject: a\n")
    changed = parse(lab.files)
    lab.source.publish(changed)
    lab.marker(changed.version, at(hours=3))
    for who in PEOPLE:
        lab.event("A", at(hours=4), who)
    assert arms(lab, at(hours=4)) == after


def test_a_winner_that_is_no_arm_any_more_changes_nothing(lab: Lab) -> None:
    lab.journey("j", JOURNEY)
    lab.file("winners.yaml", "j/subject: c\nj/gone: a\ngone/1: a\n")
    lab.customer()
    lab.event("A", at())
    assert [reason for reason, _ in arms(lab).values()] == [reasons.ARM]


def test_simulate_knows_the_winner(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.journey("j", JOURNEY)
    events = [track("A", instant(), f"u{number}") for number in range(20)]
    without = [d for d in shop.simulate(events, instant(days=1)).decisions if d["reason"] == reasons.EXITED]
    assert {d["detail"] for d in without} == {"a", "b"}
    shop.files({"winners.yaml": "j/subject: a\n"})
    found = [d for d in shop.simulate(events, instant(days=1)).decisions if d["reason"] == reasons.EXITED]
    assert {d["detail"] for d in found} == {"a"}
    assert {d["person_id"] for d in found} == {d["person_id"] for d in without}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (JOURNEY.replace("goal: {event: B, within: 1d}", "goal: {segment: vip}"), "needs a goal"),
        (JOURNEY.replace("goal: {event: B, within: 1d}", ""), "needs a goal"),
        (JOURNEY.replace("after: 100", "after: 0"), "greater than or equal to 1"),
        (JOURNEY.replace("after: 100", "then: 0"), "then"),
        (JOURNEY.replace("a: 45, b: 45,", "a: 90,").replace("    b: [{exit: b}]\n", ""), "one arm only"),
    ],
)
def test_check_finds_winners_that_can_not_be(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        parse({**FILES, "journeys/j.yaml": text})


@given(
    shares=st.lists(st.integers(1, 50), min_size=2, max_size=5),
    number=st.integers(0, MILLION - 1),
    place=st.integers(0, 4),
)
def test_a_number_stands_for_the_arm_in_whose_share_it_lies(shares: list[int], number: int, place: int) -> None:
    lots = Lots(Split("s", tuple((f"a{n}", float(share), ()) for n, share in enumerate(shares)), 1))
    edges = [sum(shares[: n + 1]) / sum(shares) * MILLION for n in range(len(shares))]
    assert lots.arm(number) == next((n for n, edge in enumerate(edges) if number < edge), len(shares) - 1)
    moved = lots.moved(number, f"a{place}")
    assert moved is None if place >= len(shares) else lots.arm(moved if moved is not None else -1) == place


def test_a_winner_is_told_in_words() -> None:
    (step,) = parse({"journeys/j.yaml": JOURNEY}).journeys["j"].steps
    assert told(step) == ("split", "a 45 %, b 45 %, holdout 10 %, the best after 100 people in each")
