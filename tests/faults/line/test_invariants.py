"""The campaign is not blind: each invariant refuses what it is there to find."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import msgspec
import pytest

from processors.runtime.contract import Record
from processors.segments.marks import name_of
from schemas import reasons
from schemas.identifiers import person_id, slot_of
from schemas.records import Change, Decision, LedgerEntry, SendCommand
from schemas.topics import DEAD_LETTERS, EVENTS
from tests.faults.line import edges, invariants
from tests.faults.line.facts import Facts, Told
from tests.faults.line.invariants import Violation
from tests.faults.line.oracle import Expected
from tests.faults.line.project import ADDED, REMINDER_MS, VIEWED

ANN = "user_id:ann"
PERSON = person_id(ANN)
AT = 1_000_000
POISON = (EVENTS, 0, 7)


def send(id_: str, category: str, journey: str) -> SendCommand:
    return SendCommand(
        send_id=id_,
        person_id=PERSON,
        journey=journey,
        version="v",
        instance_id="i",
        step="0",
        channel="email",
        category=category,
        template="t",
        to="ann@example.com",
        identifier=ANN,
        at=AT,
        content=b"{}",
    )


def entry(id_: str, state: str, detail: str = "") -> LedgerEntry:
    return LedgerEntry(send_id=id_, person_id=PERSON, channel="email", state=state, at=AT, detail=detail)


def decision(reason: str, at: int) -> tuple[Decision, int]:
    told = Decision(
        decision_id=f"{reason} {at}", at=at, person_id=PERSON, journey="reminder", reason=reason, instance_id="i"
    )
    return told, at


def letter(value: bytes | None) -> Record:
    headers = {"topic": EVENTS, "partition": "0", "offset": "7", "app": "identity", "error": "BadRecord", "message": ""}
    return Record(DEAD_LETTERS, 0, 0, AT, None, value, tuple((name, text.encode()) for name, text in headers.items()))


def change(what: str, at: int, cause: str = "event") -> Told:
    return Told(Change(segment="fresh", change=what, cause=cause, at=at), at)


@pytest.fixture
def expected() -> Expected:
    slot = slot_of(ANN)
    return Expected(
        filed={"seen": slot, "added": slot},
        names={"seen": VIEWED, "added": ADDED},
        profiles={
            PERSON: {"traits": {}, "consents": [], "suppressed": {}, "addresses": {"user_id": ["ann"]}, "segments": []}
        },
        receipts={"receipt"},
    )


@pytest.fixture
def facts(expected: Expected) -> Facts:
    """A line at rest on which everything is as it should be."""
    facts = Facts(AT + 60_000, profiles=deepcopy(expected.profiles))
    facts.updated.update(list(expected.filed))
    facts.changes[PERSON, "fresh"] = [change("entered", AT), change("left", AT + 3_000, "timer")]
    facts.decisions = [decision(reasons.ENTERED, AT), decision(reasons.FINISHED, AT + REMINDER_MS)]
    facts.sends = [send("receipt", "transactional", "receipt"), send("thanks", "marketing", "reminder")]
    sent = [decision(reasons.SENT, AT)[0], decision(reasons.SENT, AT + 1)[0]]
    facts.decisions += [
        (msgspec.structs.replace(told, send_id=id_, journey="receipt"), AT)
        for told, id_ in zip(sent, ("receipt", "thanks"), strict=True)
    ]
    facts.ledger |= {id_: [entry(id_, "handed over"), entry(id_, "accepted")] for id_ in ("receipt", "thanks")}
    facts.poison[POISON] = b"poison"
    facts.letters = [letter(b"poison")]
    facts.counted |= {name_of(event): [PERSON] for event in expected.filed}
    return facts


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    for id_ in ("receipt", "thanks"):
        arrive(tmp_path, id_)
    return tmp_path


def arrive(mailbox: Path, id_: str, times: str = "once") -> None:
    (mailbox / f"{id_} {times}.eml").write_text(f"X-Pathline-Send-Id: {id_}\n\nHello\n")


def judge(facts: Facts, expected: Expected) -> None:
    invariants.updates_once(facts, expected, ["seen"])
    invariants.memberships_alternate(facts)
    invariants.sends_decided(facts, expected)
    invariants.persons_alike(facts, expected)
    invariants.letters_once(facts)
    invariants.timers_once(facts, expected)
    invariants.one_person(facts, expected)


Breaking = Callable[[Facts], object]
BROKEN: dict[str, Breaking] = {
    "events without an update": lambda facts: facts.updated.pop("seen"),
    "events with more than one update": lambda facts: facts.updated.update(["seen"]),
    "updates that no event explains": lambda facts: facts.updated.update(["never"]),
    "moves with more than one update": lambda facts: (
        facts.moves.update([("s", 2)]),
        facts.moved.update([("s", 2)] * 2),
    ),
    "moves without their update": lambda facts: facts.moves.update([("s", 2)]),
    "memberships that don't alternate": lambda facts: facts.changes[PERSON, "fresh"].append(change("left", AT)),
    "decisions taken twice": lambda facts: facts.decisions.append(facts.decisions[0]),
    "sends commanded twice": lambda facts: facts.sends.append(facts.sends[0]),
    "sends without a decision": lambda facts: facts.sends.pop(),
    "owners": lambda facts: facts.owners.update({ANN: ((0, "somebody"),)}),
    "profiles": lambda facts: facts.profiles[PERSON].update(traits={"vip": True}),
    "persons in one of the runs only": lambda facts: facts.profiles.pop(PERSON),
    "poison without a dead letter": lambda facts: facts.letters.pop(),
    "dead letters that are there twice": lambda facts: facts.letters.append(facts.letters[0]),
    "the bytes of the dead letter": lambda facts: facts.letters.__setitem__(0, letter(b"other")),
    "a dead letter that is no poison": lambda facts: facts.poison.clear(),
    "timers that are due and did not fire": lambda facts: facts.wakes.append(("segments", PERSON, AT)),
    "memberships ended before their time": lambda facts: facts.changes[PERSON, "fresh"].__setitem__(
        1, Told(change("left", AT + 3_000, "timer").change, AT + 2_999)
    ),
    "visitors who stay fresh for ever": lambda facts: facts.changes[PERSON, "fresh"].pop(),
    "instances that did not end once, in time": lambda facts: facts.decisions.__setitem__(
        1, decision(reasons.FINISHED, AT + REMINDER_MS - 1)
    ),
    "instances taken over to the same version twice": lambda facts: facts.decisions.extend(
        decision(reasons.MIGRATED, at) for at in (AT, AT + 1)
    ),
    "instances of the journeys that wait": lambda facts: facts.decisions.__delitem__(slice(2)),
    "events that nobody's state counts": lambda facts: facts.counted.pop(name_of("seen")),
    "events that count twice": lambda facts: facts.counted[name_of("seen")].append("somebody"),
    "events that count for somebody else": lambda facts: facts.counted.update({name_of("seen"): ["somebody"]}),
    "something is still on its way": lambda facts: facts.incomplete.append(PERSON),
}


def test_a_line_on_which_nothing_went_wrong_passes(facts: Facts, expected: Expected, mailbox: Path) -> None:
    judge(facts, expected)
    edges.delivered_as_promised(mailbox, facts)


@pytest.mark.parametrize("what", BROKEN)
def test_what_went_wrong_is_found(what: str, facts: Facts, expected: Expected) -> None:
    BROKEN[what](facts)
    with pytest.raises(Violation, match=what):
        judge(facts, expected)


@pytest.mark.parametrize(
    ("id_", "states", "times"),
    [
        ("thanks", ["handed over", "accepted"], 2),
        ("thanks", ["handed over", "accepted"], 0),
        ("thanks", ["handed over", "unknown"], 2),
        ("thanks", ["withheld"], 1),
        ("thanks", ["handed over"], 1),
        ("thanks", ["handed over", "accepted", "accepted"], 1),
        ("receipt", ["handed over", "accepted"], 0),
        ("receipt", ["handed over", "accepted"], 2),
        ("receipt", ["handed over", "unknown"], 1),
    ],
)
def test_messages_that_break_the_promise_of_their_category_are_found(
    id_: str, states: list[str], times: int, facts: Facts, mailbox: Path
) -> None:
    (mailbox / f"{id_} once.eml").unlink()
    for number in range(times):
        arrive(mailbox, id_, str(number))
    facts.ledger[id_] = [entry(id_, state) for state in states]
    with pytest.raises(Violation, match=id_):
        edges.delivered_as_promised(mailbox, facts)


def test_a_doubt_allows_a_marketing_message_to_be_missing_and_a_transactional_one_to_come_twice(
    facts: Facts, mailbox: Path
) -> None:
    (mailbox / "thanks once.eml").unlink()
    facts.ledger["thanks"] = [entry("thanks", "handed over"), entry("thanks", "unknown")]
    arrive(mailbox, "receipt", "twice")
    doubt = entry("receipt", "deferred", "in doubt: the process ended while the message was at the provider")
    facts.ledger["receipt"] = [entry("receipt", "handed over"), doubt, entry("receipt", "accepted")]
    assert edges.delivered_as_promised(mailbox, facts)["transactional twice"] == 1
