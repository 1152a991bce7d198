"""Predictions seen through `pathline simulate`: in segments, branches, expressions and messages, fitted or given."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pathline.predictions import fitting
from schemas.definitions.model import Habits
from tests.line.project import START, Lab, at, granted, identify, track
from tests.predictions.made import people

EVENTS = "Order Completed: {same: properties.order_id, revenue: properties.total, undo: [Order Refunded]}\n"
FITTED = "purchases: {r: 0.6, alpha: 20, a: 0.8, b: 2.5}\nvalues: {p: 4, q: 3.5, gamma: 30}\n"


def order(when: str, number: int, total: float = 30, user: str = "u1") -> dict[str, object]:
    return track("Order Completed", when, user, properties={"order_id": f"o{number}", "total": total})


@pytest.fixture
def shop(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.files({"events.yaml": EVENTS, "predict_parameters.yaml": FITTED})
    return lab


def test_people_enter_and_leave_by_what_they_will_do_at_the_second(shop: Lab) -> None:
    """MBG/NBD by hand: after orders on days 0 and 1 (x = 1, tx = 1) and T days from the first on, the chance to buy
    within 30 days is (1 - (20 + T)^1.6 / (50 + T)^1.6) / (1 + 0.8 / 3.5 * ((20 + T) / 21)^1.6)."""

    def likely(seconds: int) -> float:
        passed = seconds / 86_400
        left = 1 / (1 + 0.8 / 3.5 * ((20 + passed) / 21) ** 1.6)
        return left * (1 - ((20 + passed) / (50 + passed)) ** 1.6)

    shop.segment("likely", "predicts: {purchase: 30d, at_least: 0.3}")
    shop.segment("silent", "predicts: {churn: 30d, at_least: 0.7}")
    shop.segment("nobody", "not: {any: [{in: likely}, {in: silent}]}")
    events = [track("Page Seen", at(days=-3)), order(at(), 1), order(at(days=1), 2)]
    done = shop.simulate(events, at(days=300))
    turn = next(second for second in range(86_400, 300 * 86_400) if likely(second) < 0.3)
    left = (START + timedelta(seconds=turn)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert turn > 10 * 86_400
    assert done.changes("likely") == [(at(), "entered", "event"), (left, "left", "timer")]
    assert done.changes("silent") == [(left, "entered", "timer")]
    assert done.changes("nobody") == [(at(days=-3), "entered", "event"), (at(), "left", "event")]


def test_an_order_that_was_taken_back_and_one_told_twice_are_no_reason(shop: Lab) -> None:
    shop.segment("dear", "predicts: {value: 90d, at_least: 100}")
    events = [order(at(), 1, 50), order(at(days=1), 2, 60), order(at(days=1, hours=1), 2, 60)]
    refund = track("Order Refunded", at(days=2), properties={"order_id": "o2"})
    done = shop.simulate([*events, refund], at(days=9))
    assert done.changes("dear") == [(at(days=1), "entered", "event"), (at(days=2), "left", "event")]


def test_journeys_read_predictions_in_branches_expressions_and_messages(shop: Lab) -> None:
    shop.files({"traits/chance.yaml": "predicts: {purchase: 30d}", "traits/hour.yaml": "best: hour"})
    shop.template("hello", "{{ person.traits.chance }}", "{{ person.traits.hour }}")
    shop.journey(
        "back",
        """
        enter: {event: Page Seen}
        steps:
          - branch:
              - when: {predicts: {churn: ever, at_least: 0.9}}
                steps: [{exit: lost}]
              - when: {cel: "person.traits.chance >= 0.2 && person.traits.hour == 12.0"}
                steps: [{send: {template: hello, channels: [email]}}]
              - otherwise: [{exit: unlikely}]
        """,
    )
    customer = identify(at(days=-1), traits={"email": "u1@example.com"}, context=granted("email"))
    events = [customer, track("Email Opened", at(days=-1)), order(at(), 1), order(at(days=1), 2)]
    seen = [track("Page Seen", at(days=day)) for day in (2, 60, 400)]
    done = shop.simulate([*events, *seen], at(days=500))
    assert [send["at"] for send in done.sends] == [at(days=2)]
    assert [d["detail"] for d in done.decisions if d["reason"] == "exited"] == ["unlikely", "lost"]
    assert 0 <= done.people[0]["traits"]["chance"] <= 0.01


def test_without_parameters_or_people_to_find_them_in_nothing_is_predicted_and_it_is_told(shop: Lab) -> None:
    (shop.folder / "predict_parameters.yaml").unlink()
    shop.segment("likely", "predicts: {purchase: 30d, at_least: 0.01}")
    done = shop.simulate([order(at(), 1)], at(days=3))
    assert done.changes("likely") == []
    assert "predict_parameters.yaml is not there, so nothing is predicted" in done.output.replace("\n", " ")


@pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="the extra `predict` is not there")
def test_what_the_project_does_not_say_is_fitted_to_the_events_given(
    shop: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.folder / "predict_parameters.yaml").unlink()
    shop.segment("likely", "predicts: {purchase: 30d, at_least: 0.3}")
    made = people(Habits(0.8, 20.0, 0.9, 3.0, (5.0, 4.0, 30.0)), 120, 120)
    told = sorted((moment, who, worth) for who, of in made.items() for moment, worth in of)
    events = [
        order(datetime.fromtimestamp(moment / 1_000, UTC).isoformat(), n, worth, who)
        for n, (moment, who, worth) in enumerate(told)
    ]
    end = datetime.fromtimestamp(told[-1][0] / 1_000, UTC).isoformat()
    done = shop.simulate(events, end)
    assert "of 120 people in events.jsonl" in done.output
    assert len(done.changes("likely")) > 20
    given = done.output[done.output.index("fitted:") : done.output.index("\n\n", done.output.index("fitted:"))]
    shop.files({"predict_parameters.yaml": given})
    again = shop.simulate(events, end)
    assert again.memberships == done.memberships
    monkeypatch.setattr(fitting, "find_spec", lambda name: None)
    (shop.folder / "predict_parameters.yaml").unlink()
    bare = shop.simulate(events, end)
    assert "pip install 'pathline[predict]'" in bare.output
    assert bare.changes("likely") == []
