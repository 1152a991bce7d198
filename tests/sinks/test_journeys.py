"""How far people are in a journey, against a count by hand over the same decisions."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

from schemas.records import Decision
from schemas.topics import DAY_MS
from sinks.clickhouse.engine import Warehouse
from sinks.clickhouse.journeys import END, ENDS, START, JourneyFigures, journeys, steps, ways
from tests.journeys.lab import Lab, at
from tests.sinks.made import event, fill, update

PEOPLE = 40
JOURNEY = """
enter: {event: Product Added, at_most_every: 30d}
exit: {event: Order Cancelled}
goal: {event: Order Completed, within: 30d}
steps:
  - id: pause
    wait: 1h
  - id: city
    branch:
      - when: {trait: city, equals: Kyiv}
        steps: [{id: first, send: {template: hello, channels: [email]}}]
      - otherwise: []
  - id: later
    wait: {until: "09:00"}
  - id: last
    send: {template: hello, channels: [sms, email]}
  - id: end
    wait: 10d
"""


def lived() -> Lab:
    """People at all places of a journey: some leave it, some reach the goal, some are turned away."""
    lab = Lab()
    lab.journey("cart", JOURNEY)
    lab.journey("other", "enter: {event: Product Added}\nsteps: [{exit: at once}]")
    for number in range(PEOPLE):
        who = f"user_id:u{number}"
        lab.customer(who, consent=["email"] if number % 3 else [], city="Kyiv" if number % 2 else "Lviv")
    for number in range(PEOPLE):
        who, begin = f"user_id:u{number}", at(hours=number)
        lab.event("Product Added", begin, who)
        if number % 5 == 0:
            lab.event("Product Added", begin + 1, who)
        if number % 7 == 3:
            lab.event("Order Cancelled", begin + 1_800_000, who)
    for number in range(0, PEOPLE, 4):
        lab.event("Order Completed", at(hours=PEOPLE + number), f"user_id:u{number}")
    lab.until(at(hours=45))
    return lab


def by_hand(decisions: list[Decision]) -> tuple[dict[str, Counter[str]], Counter[tuple[str, str]]]:
    """Figures by step, and ways, of one instance after the other."""
    stories = defaultdict(list)
    for decision in decisions:
        if decision.instance_id:
            stories[decision.instance_id].append(decision)
    figures: dict[str, Counter[str]] = defaultdict(Counter)
    taken: Counter[tuple[str, str]] = Counter()
    for story in stories.values():
        way = [START]
        for decision in story:
            if decision.step and decision.reason != "goal" and decision.step != way[-1]:
                way.append(decision.step)
            if decision.reason == "sent":
                figures[decision.step]["sent"] += 1
            if decision.reason == "goal" and decision.step:
                figures[decision.step]["converted"] += 1
        for step in set(way[1:]):
            figures[step]["came"] += 1
        ended = [decision.reason for decision in story if decision.reason in ENDS]
        if not ended:
            figures[way[-1]]["here"] += 1
        elif ended == ["exited"]:
            figures[way[-1]]["ended"] += 1
        way += [END] if ended else []
        taken.update(pairwise(way))
    return figures, taken


def test_each_step_has_the_figures_of_a_count_by_hand(warehouse: Warehouse) -> None:
    lab = lived()
    decisions = sorted([*lab.decisions("cart"), *lab.traces("cart")], key=lambda d: d.at)
    decided = lab.decided("cart")
    assert len(decided) == len(decisions)
    fill(warehouse, lab.decided())
    fill(warehouse, lab.sends())
    opened = [send for send in lab.sends() if send.journey == "cart"][::3]
    fill(warehouse, [update(event("Email Opened", s.at + 60_000, send_id=s.send_id, channel="email")) for s in opened])
    figures, taken = by_hand(decided)
    found = steps(warehouse, "cart")
    assert set(found) == {"pause", "city", "first", "later", "last", "end"} == set(figures)
    for step, told in found.items():
        counted = {name: getattr(told, name) for name in ("came", "here", "ended", "sent", "converted")}
        assert counted == {name: figures[step][name] for name in counted}, step
        assert told.left == told.came - told.here - told.ended
    assert sum(told.opened for told in found.values()) == len(opened)
    assert found["last"].skipped["unreachable"] == sum(
        1 for d in decided if d.reason == "unreachable" and d.step == "last"
    )
    assert ways(warehouse, "cart") == taken


def test_a_journey_as_a_whole(warehouse: Warehouse) -> None:
    lab = lived()
    fill(warehouse, lab.decided())
    decided = Counter(decision.reason for decision in lab.decided("cart"))
    assert journeys(warehouse)["cart"] == JourneyFigures(
        journey="cart",
        entered=PEOPLE,
        inside=PEOPLE - decided["finished"] - decided["exited"],
        finished=decided["finished"],
        exited=decided["exited"],
        sent=decided["sent"],
        goals=decided["goal"],
        refused=decided["not entered"],
    )
    assert journeys(warehouse)["other"].exited == PEOPLE + PEOPLE // 5


def test_only_who_entered_in_the_time_asked_about(warehouse: Warehouse) -> None:
    lab = lived()
    fill(warehouse, lab.decided())
    since, until = at(hours=10), at(hours=10) + DAY_MS
    assert journeys(warehouse, since, until)["cart"].entered == 24
    assert steps(warehouse, "cart", since, until)["pause"].came == 24
    assert ways(warehouse, "cart", since, until)[START, "pause"] == 24
    assert journeys(warehouse, until=0) == {}
    assert steps(warehouse, "nothing") == {}
