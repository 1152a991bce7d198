"""Conditions in words, as drawings of journeys and `pathline why` show them."""

from __future__ import annotations

import pytest

from pathline.journeys.conditions import condition
from pathline.journeys.words import arms
from schemas.definitions import parse
from schemas.definitions.grammar.conditions import KINDS

FILES = {
    "project.yaml": "name: shop\n",
    "channels.yaml": "email: {connector: smtp}\nsms: {connector: smpp}\n",
    "events.yaml": "Order: {revenue: properties.total}\n",
    "rfm_bounds.yaml": "recency: [180d, 90d, 30d, 7d]\nfrequency: [1, 2, 3, 6]\nmonetary: [20, 55.5, 120, 400]\n",
    "segments/vip.yaml": "when: {trait: vip, equals: true}\n",
    "segments/new.yaml": "when: {did: View}\n",
    "templates/hello.yaml": "subject: Hi\nbody: Hi\n",
}
WORDS = {
    "{did: [A, B], where: event.properties.total > 20, count: {at_least: 2}, within: 180d}": (
        "did A or B where event.properties.total > 20 at least 2 times within 180d"
    ),
    "{did: A, between: [180d, 40d], count: {exactly: 1}}": "did A exactly once between 180d and 40d ago",
    "{did: A, count: {at_least: 2, at_most: 3}, from: 2026-05-01}": "did A 2 to 3 times since 2026-05-01",
    "{not: {did: A, within: 40d}}": "not (did A within 40d)",
    "{did_in_order: [A, B], within: 1d, same: properties.id}": "did A, then B with the same properties.id within 1d",
    "{sum: {of: properties.total, event: A, within: 90d, at_least: 500}}": (
        "sum properties.total of A within 90d at least 500"
    ),
    "{average: {of: properties.total, event: A, at_most: 5.5}}": "average properties.total of A at most 5.5",
    "{min: {of: properties.total, event: A, at_most: 5}}": "min properties.total of A at most 5",
    "{max: {of: properties.total, event: A, at_least: 5}}": "max properties.total of A at least 5",
    "{distinct: {of: properties.store, event: A, at_least: 2}}": "distinct properties.store of A at least 2",
    "{most_frequent: {of: properties.tea, event: A, one_of: [oolong, puer]}}": (
        "most frequent properties.tea of A one of oolong, puer"
    ),
    "{first: {event: A, within: 30d}}": "first A within 30d",
    "{last: {event: A, at_most: 7d}}": "last A at most 7d ago",
    "{trait: vip, exists: false}": "vip is not known",
    "{trait: tier, held_for: 30d}": "tier unchanged for 30d",
    "{trait: expires, within: 14d, after: 0s}": "expires within 14d and expires to come",
    "{trait: birthday, anniversary: {within: 7d, after: 2d}}": "birthday anniversary 7d before to 2d after",
    "{all: [{any: [{in: vip}, {in: new}]}, {trait: age, at_least: 18}]}": "(in vip or in new) and age at least 18",
    "{in: list:staff}": "in list staff",
    "{consent: {channel: email, purpose: news}}": "consent to email for news",
    "{reachable: sms}": "reachable by sms",
    "{prefers: sms}": "prefers sms",
    "{rfm: {monetary: 5}}": "did Order and sum properties.total of Order at least 400",
    "{predicts: {purchase: 30d, at_least: 0.6}}": "predicted purchase within 30d at least 0.6",
    "{predicts: {churn: ever, at_least: 0.7}}": "predicted churn ever at least 0.7",
    '{time: {from: "09:00", to: "18:00", days: [mon, tue]}}': "from 09:00 to 18:00 on mon, tue",
    "{percent: [10, 20], of: vip}": "from 10 to 20 % of vip",
}


@pytest.mark.parametrize("when", WORDS)
def test_every_condition_is_told_in_words(when: str) -> None:
    made = parse({**FILES, "segments/asked.yaml": f"when: {when}\n"})
    assert condition(made.segments["asked"].when, made.segments) == WORDS[when]


def test_none_is_left_out() -> None:
    assert {kind for kind in KINDS if not any(f"{kind}: " in when for when in WORDS)} == {"cel"}, (
        "which only branches have"
    )


def test_an_arm_tells_what_it_asks_of_history() -> None:
    journey = """
    enter: {event: A}
    steps:
      - branch:
          - when:
              all:
                - any: [{did: B, within: 1d}, {cel: entry.properties.total > 5}]
                - predicts: {churn: 60d, at_least: 0.7}
            steps: [{send: {template: hello, channels: [email]}}]
    """
    made = parse({**FILES, "journeys/j.yaml": journey})
    (asked, _, _), (none, _, _) = arms(made.journeys["j"].steps[0], made.segments)
    assert asked == "(did B within 1d or entry.properties.total > 5) and predicted churn within 60d at least 0.7"
    assert none == "none"
