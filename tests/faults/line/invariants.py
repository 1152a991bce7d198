"""What must be true of a line at rest, whatever happened to it before.

Each function raises Violation with what is wrong, or returns its figures; the first word of its docstring is the number
under which the campaign's table shows it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from processors.segments.marks import name_of
from schemas import reasons
from schemas.definitions.model import Did
from schemas.records import Decision
from tests.faults.line import poison
from tests.faults.line.facts import Facts
from tests.faults.line.oracle import Expected, refused, shared
from tests.faults.line.project import ADDED, COUNTED, TRIED, WAITING, project

#: what a check found, by name
Figures = Mapping[str, int | str]
_SHOWN = 3
_ENDS = frozenset({reasons.FINISHED, reasons.EXITED, reasons.MERGED})
#: a timer that became due just before it was looked for may be on its way, milliseconds
_SLACK_MS = 2_000


class Violation(AssertionError):
    """An invariant does not hold; the text says where."""


def none(wrong: Collection[object], what: str) -> None:
    """Raises Violation if there is anything wrong."""
    if wrong:
        examples = [each for each, _ in zip(wrong, range(_SHOWN), strict=False)]
        raise Violation(f"{what}: {len(wrong)}, such as {examples}")


def same(found: object, wanted: object, what: str) -> None:
    """Raises Violation unless what was found is what was wanted."""
    if found != wanted:
        raise Violation(f"{what}: {found}, not {wanted}")


def updates_once(facts: Facts, expected: Expected, given: Collection[str]) -> Figures:
    """1. Each event, all that the edge acknowledged among them, is in exactly one update; so is each move."""
    none([event for event in given if event not in expected.filed], "events acknowledged at the edge and gone")
    none(expected.filed.keys() - facts.updated.keys(), "events without an update")
    none(facts.updated.keys() - expected.filed.keys(), "updates that no event explains")
    none(_twice(facts.updated), "events with more than one update")
    none(_twice(facts.moves), "moves that the graph told more than once")
    none(_twice(facts.moved), "moves with more than one update")
    none(facts.moves.keys() ^ facts.moved.keys(), "moves without their update, or the other way round")
    return {"events": len(facts.updated), "moves": len(facts.moves)}


def persons_alike(facts: Facts, expected: Expected) -> Figures:
    """2. Who every identifier belongs to, and every profile in the end, are those of an undisturbed run."""
    wrong = {name for name in facts.owners.keys() | expected.owners.keys() if not _owned_alike(facts, expected, name)}
    none([(name, facts.owners.get(name), expected.owners.get(name)) for name in wrong], "owners")
    found, wanted = _alive(facts.profiles), _alive(expected.profiles)
    none(found.keys() ^ wanted.keys(), "persons in one of the runs only")
    none([person for person in wanted if _comparable(found[person]) != _comparable(wanted[person])], "profiles")
    return {"identifiers": len(facts.owners), "persons": len(found)}


def letters_once(facts: Facts) -> Figures:
    """4. Each record that can't be used is a dead letter of each of its readers once, as it was; nothing else is."""
    wanted = {(*place, app): value for place, value in facts.poison.items() for app in poison.readers(place[0])}
    found = Counter[tuple[str, int, int, str]]()
    for letter in facts.letters:
        headers = {name: (value or b"").decode() for name, value in reversed(letter.headers)}
        place = headers["topic"], int(headers["partition"]), int(headers["offset"]), headers["app"]
        found[place] += 1
        if place in wanted:
            same(letter.value, wanted[place], f"the bytes of the dead letter of {place}")
        else:
            raise Violation(f"a dead letter that is no poison: {place}, {headers['error']}: {headers['message']}")
    none(wanted.keys() - found.keys(), "poison without a dead letter")
    none(_twice(found), "dead letters that are there twice")
    return {"poisoned": len(facts.poison), "dead letters": found.total()}


def timers_once(facts: Facts, expected: Expected) -> Figures:
    """5. Each timer fired once and never early: instances that wait, and segments left by time alone."""
    none([wake for wake in facts.wakes if wake[2] < facts.at - _SLACK_MS], "timers that are due and did not fire")
    none([place for place, told in facts.changes.items() if _early(told)], "memberships ended before their time")
    fresh = [told for (_, segment), told in facts.changes.items() if segment == "fresh"]
    none([told for told in fresh if len(told) % 2], "visitors who stay fresh for ever")
    instances: dict[str, list[tuple[Decision, int]]] = defaultdict(list)
    for decision, written in facts.decisions:
        if decision.journey in WAITING and decision.instance_id:
            instances[decision.instance_id].append((decision, written))
    none([told for told in instances.values() if not _one_life(told)], "instances that did not end once, in time")
    starting = Counter(expected.names.values())
    same(len(instances), starting[ADDED] + starting[TRIED], "instances of the journeys that wait")
    ended = Counter(decision.reason for told in instances.values() for decision, _ in told if decision.reason in _ENDS)
    taken = Counter(
        (decision.instance_id, decision.step) for decision, _ in facts.decisions if decision.reason == reasons.MIGRATED
    )
    none(_twice(taken), "instances taken over to the same version twice")
    return {
        "windows": sum(len(told) // 2 for told in fresh),
        "instances": len(instances),
        "taken over": len(taken),
    } | ended


def one_person(facts: Facts, expected: Expected) -> Figures:
    """6. After all merges the state of exactly one person counts each event, and it is the right one."""
    condition = project().segments[COUNTED].when
    assert isinstance(condition, Did)
    events = {name_of(event): event for event, name in expected.names.items() if name in condition.events}
    none(events.keys() - facts.counted.keys(), "events that nobody's state counts")
    none(facts.counted.keys() - events.keys(), "counted and no event")
    none([events[mark] for mark, persons in facts.counted.items() if len(persons) > 1], "events that count twice")
    placed = {mark: event for mark, event in events.items() if not shared(expected.filed[event])}
    wrong = [event for mark, event in placed.items() if facts.counted[mark] != [expected.person_of(event)]]
    none(wrong, "events that count for somebody else")
    none(facts.incomplete, "persons to whom something is still on its way")
    persons = {person for found in facts.counted.values() for person in found}
    return {"counted": len(events), "persons": len(persons)}


def memberships_alternate(facts: Facts) -> Figures:
    """1. Whoever leaves a segment was in it, whoever enters was not."""
    wrong = [
        place
        for place, told in facts.changes.items()
        if [each.change.change for each in told] != (["entered", "left"] * len(told))[: len(told)]
    ]
    none(wrong, "memberships that don't alternate")
    return {"changes": sum(map(len, facts.changes.values()))}


def sends_decided(facts: Facts, expected: Expected) -> Figures:
    """1. Every send and every decision is there once, and the determined ones are those of an undisturbed run."""
    none(_twice(Counter(decision.decision_id for decision, _ in facts.decisions)), "decisions taken twice")
    none(_twice(Counter(send.send_id for send in facts.sends)), "sends commanded twice")
    told = {decision.send_id for decision, _ in facts.decisions if decision.reason == reasons.SENT}
    none(told ^ {send.send_id for send in facts.sends}, "sends without a decision, or the other way round")
    kept = [send for send in facts.sends if not refused(send.to)]
    receipts = {send.send_id for send in kept if send.journey == "receipt"}
    none(receipts ^ expected.receipts, "receipts in one of the runs only")
    thanked = Counter(send.to for send in kept if send.journey == "thanks")
    none([to for to in {*thanked, *expected.thanked} if thanked[to] != expected.thanked[to]], "thanks in one run only")
    return {"decisions": len(facts.decisions), "sends": len(facts.sends)}


def _twice(counted: Counter[Any]) -> list[Any]:
    return [each for each, times in counted.items() if times > 1]


def _owned_alike(facts: Facts, expected: Expected, name: str) -> bool:
    return facts.owners.get(name) == expected.owners.get(name)


def _alive(profiles: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Profiles of those who have not moved to others as a whole."""
    return {person: profile for person, profile in profiles.items() if profile["addresses"]}


def _comparable(profile: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a profile does not depend on when the line got to an event."""
    lasting = {"traits": profile["traits"], "consents": profile["consents"], "suppressed": profile["suppressed"]}
    if "device_id" in profile["addresses"]:
        return lasting
    addresses = {kind: sorted(values) for kind, values in profile["addresses"].items()}
    return lasting | {"addresses": addresses, "segments": [name for name in profile["segments"] if name != "fresh"]}


def _early(told: Iterable[Any]) -> bool:
    return any(each.written < each.change.at for each in told if each.change.cause == "timer")


def _one_life(told: list[tuple[Decision, int]]) -> bool:
    """Whether an instance entered once, ended once, and not by time before its time."""
    entered = [decision for decision, _ in told if decision.reason == reasons.ENTERED]
    ends = [(decision, written) for decision, written in told if decision.reason in _ENDS]
    if len(entered) != 1 or len(ends) != 1:
        return False
    end, written = ends[0]
    by_time = end.reason == reasons.FINISHED
    return written >= end.at and (not by_time or end.at >= entered[0].at + WAITING[end.journey])
