"""The same answers as the analyses, found slowly by going through everything one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, permutations, product
from statistics import median

from schemas.records import Event, SendCommand
from sinks.clickhouse.paths.funnel import Attempt, Hit, Question
from sinks.clickhouse.paths.touches import END, START, TouchRules
from sinks.clickhouse.paths.transitions import Transition

SHOWS = {
    "Email Sent": 0,
    "Email Delivered": 1,
    "Email Opened": 2,
    "Email Link Clicked": 3,
    "Email Bounced": 0,
    "Unsubscribed": 0,
}


@dataclass(frozen=True, order=True)
class Touch:
    at: int
    id: str
    node: str


def touches(events: Sequence[Event], sends: Sequence[SendCommand], rules: TouchRules) -> dict[str, list[Touch]]:
    """Touches by who (the first identifier) in order; here a channel's receipts are all of e-mail."""
    found: dict[str, list[Touch]] = defaultdict(list)
    last_hit: dict[tuple[str, str], int] = {}
    receipts: dict[str, list[tuple[int, str, str, int]]] = defaultdict(list)
    known = {send.send_id: send for send in sends}
    for happened in sorted(events, key=lambda e: (e.occurred_at, e.event_id)):
        who, at = happened.identifiers[0], happened.occurred_at
        if happened.name in SHOWS:
            depth = min(SHOWS[happened.name], 1) if b"machine" in happened.properties else SHOWS[happened.name]
            key = send_of(happened, sends) or happened.event_id
            receipts[key].append((at, happened.event_id, who, depth))
        elif happened.channel in rules.sessions:
            if at - last_hit.get((who, happened.channel), -rules.gap) >= rules.gap:
                found[who].append(Touch(at, happened.event_id, happened.channel))
            last_hit[who, happened.channel] = at
        elif happened.channel:
            found[who].append(Touch(at, happened.event_id, happened.channel))
    for key, shown in receipts.items():
        if rules.depth == 0 and key in known:
            continue
        deep = [receipt for receipt in shown if receipt[3] >= rules.depth]
        if deep:
            at, event_id, who, _ = min(deep)
            found[who].append(Touch(at, event_id, "email"))
    if rules.depth == 0:
        for send in sends:
            found[owner(send)].append(Touch(send.at, send.send_id, send.channel))
    return {who: sorted(some) for who, some in found.items()}


def owner(send: SendCommand) -> str:
    return f"user_id:{send.to.partition('@')[0]}"


def send_of(receipt: Event, sends: Iterable[SendCommand]) -> str | None:
    if receipt.send_id:
        return receipt.send_id
    there = [
        send
        for send in sends
        if owner(send) == receipt.identifiers[0] and 0 <= receipt.occurred_at - send.at < 72 * 3_600_000
    ]
    newest = max(there, key=lambda send: (send.at, send.send_id), default=None)
    other = b"elsewhere" in receipt.properties
    return newest.send_id if newest is not None and not other else None


def transitions(paths: Iterable[Sequence[Touch]]) -> list[Transition]:
    counted: Counter[tuple[str, str]] = Counter()
    people: dict[tuple[str, str], set[int]] = defaultdict(set)
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for person, path in enumerate(paths):
        nodes = [START, *(touch.node for touch in path), END]
        for index, edge in enumerate(pairwise(nodes)):
            counted[edge] += 1
            people[edge].add(person)
            if 0 < index < len(path):
                seconds[edge].append((path[index].at - path[index - 1].at) / 1000)
    rows = [
        Transition(edge[0], edge[1], count, len(people[edge]), median(seconds[edge]) if seconds[edge] else None)
        for edge, count in counted.items()
    ]
    return sorted(rows, key=lambda row: (-row.count, row.origin, row.target))


def best(question: Question, hits: Sequence[Hit]) -> Attempt | None:
    """The best attempt among all ways to choose events for steps."""
    candidates = []
    for length in range(1, len(question.steps) + 1):
        for chosen in product(range(len(hits)), repeat=length):
            if len(set(chosen)) == length and _allowed(question, hits, chosen):
                times = tuple(sorted(hits[index].at for index in chosen))
                opener = min(index for index, hit in enumerate(hits) if hit.at == times[0] and _opens(question, hit))
                candidates.append((-length, times, opener))
    if not candidates:
        return None
    _, times, opener = min(candidates)
    return Attempt(times, hits[opener].channel)


def _opens(question: Question, hit: Hit) -> bool:
    return hit.name in (question.steps if question.order == "any" else question.steps[:1])


def _allowed(question: Question, hits: Sequence[Hit], chosen: tuple[int, ...]) -> bool:
    names = [hits[index].name for index in chosen]
    times = [hits[index].at for index in chosen]
    if max(times) - min(times) >= question.within:
        return False
    if any(hit.name in question.exclude and min(times) < hit.at < max(times) for hit in hits):
        return False
    if question.order == "any":
        return not Counter(names) - Counter(question.steps)
    if names != list(question.steps[: len(names)]) or times != sorted(times):
        return False
    return question.order == "ordered" or _adjacent(hits, chosen)


def _adjacent(hits: Sequence[Hit], chosen: tuple[int, ...]) -> bool:
    """Whether in some order of events at equal instants the chosen ones follow one another directly."""
    instants = [list(group) for _, group in groupby(range(len(hits)), key=lambda index: hits[index].at)]
    for orders in product(*(permutations(instant) for instant in instants)):
        line = [index for order in orders for index in order]
        if any(tuple(line[start : start + len(chosen)]) == chosen for start in range(len(line))):
            return True
    return False
