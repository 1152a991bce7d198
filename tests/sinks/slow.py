"""The same answers as the analyses, found slowly by going through everything one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise, permutations, product
from statistics import median
from typing import NamedTuple

from schemas.records import Event, SendCommand
from sinks.clickhouse.paths.attempts import Question
from sinks.clickhouse.paths.attribution import Question as AttributionQuestion
from sinks.clickhouse.paths.flows import MORE, Flow
from sinks.clickhouse.paths.touches import END, OTHER, START, TouchRules
from sinks.clickhouse.paths.transitions import Transition
from sinks.clickhouse.paths.walks import Question as FlowsQuestion

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


class Conversion(NamedTuple):
    """An order: when, its id, its revenue."""

    at: int
    id: str
    revenue: float


def credit(
    model: str,
    touched: Mapping[str, Sequence[Touch]],
    converted: Mapping[str, Sequence[Conversion]],
    question: AttributionQuestion,
    direct: frozenset[str],
) -> tuple[dict[str, float], dict[str, float]]:
    """Conversions and revenue by node, each path by itself."""
    won: list[tuple[list[Touch], float]] = []
    lost: list[list[Touch]] = []
    number: dict[str, float] = defaultdict(float)
    worth: dict[str, float] = defaultdict(float)
    for who in {*touched, *converted}:
        for order in converted.get(who, []):
            path = [
                touch
                for touch in touched.get(who, [])
                if (touch.at, touch.id) < (order.at, order.id) and order.at - touch.at < question.lookback
            ]
            if question.steps is not None:
                path = path[-question.steps :]
            if path:
                won.append((path, order.revenue))
            else:
                number["(none)"] += 1
                worth["(none)"] += order.revenue
        if not converted.get(who) and touched.get(who):
            lost.append(list(touched[who]))
    if model == "markov":
        shares = removal(
            [[t.node for t in path] for path, _ in won], [[t.node for t in path] for path in lost], question.nulls
        )
        for node, share in shares.items():
            number[node] += share * len(won)
            worth[node] += share * sum(revenue for _, revenue in won)
    elif model == "shapley":
        for node, share in shapley([[t.node for t in path] for path, _ in won], [1.0] * len(won)).items():
            number[node] += share
        for node, share in shapley([[t.node for t in path] for path, _ in won], [r for _, r in won]).items():
            worth[node] += share
    else:
        for path, revenue in won:
            for touch, part in zip(path, _parts(model, path, question, direct), strict=True):
                number[touch.node] += part
                worth[touch.node] += part * revenue
    return number, worth


def _parts(model: str, path: Sequence[Touch], question: AttributionQuestion, direct: frozenset[str]) -> list[float]:
    last = len(path) - 1
    if model == "last_non_direct":
        chosen = max((n for n, touch in enumerate(path) if touch.node not in direct), default=last)
        return [float(n == chosen) for n in range(len(path))]
    if model == "position" and last > 1:
        return [0.4, *[0.2 / (last - 1)] * (last - 1), 0.4]
    if model == "time_decay":
        weights = [0.5 ** ((path[-1].at - touch.at) / question.half_life) for touch in path]
        return [weight / sum(weights) for weight in weights]
    if model in ("first", "last"):
        chosen = {"first": 0, "last": last}[model]
        return [float(n == chosen) for n in range(len(path))]
    return [1 / len(path)] * len(path)


def removal(won: Sequence[Sequence[str]], lost: Sequence[Sequence[str]], nulls: bool) -> dict[str, float]:
    """Shares by removal effect: the chain is solved again without each node, in fractions."""
    leaving: dict[str, Counter[str]] = defaultdict(Counter)
    for paths, end in ((won, "won"), (lost if nulls else [], "lost")):
        for path in paths:
            for origin, target in pairwise(["start", *path, end]):
                leaving[origin][target] += 1
    names = sorted(set(leaving) - {"start"})
    if not won:
        return {}
    whole = _wins(leaving, "")
    effects = {name: 1 - _wins(leaving, name) / whole for name in names}
    return {name: float(effect / sum(effects.values())) for name, effect in effects.items()}


def _wins(leaving: Mapping[str, Counter[str]], removed: str) -> Fraction:
    """The probability to get from start to won when nothing gets past one name."""
    states = sorted(set(leaving) - {removed})
    rows = []
    for state in states:
        total = sum(leaving[state].values())
        row = [Fraction(-leaving[state][other], total) + (state == other) for other in states]
        rows.append([*row, Fraction(leaving[state]["won"], total)])
    for index in range(len(states)):
        pivot = next(row for row in range(index, len(rows)) if rows[row][index])
        rows[index], rows[pivot] = rows[pivot], rows[index]
        rows[index] = [value / rows[index][index] for value in rows[index]]
        for other in range(len(rows)):
            if other != index and rows[other][index]:
                factor = rows[other][index]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[index], strict=True)]
    return rows[states.index("start")][-1]


def shapley(paths: Sequence[Sequence[str]], worth: Sequence[float]) -> dict[str, float]:
    """What each adds to the coalitions before it, on average over all orders in which they may come."""
    players = sorted({node for path in paths for node in path})

    def value(coalition: frozenset[str]) -> float:
        return sum(w for path, w in zip(paths, worth, strict=True) if coalition.issuperset(path))

    found: dict[str, float] = defaultdict(float)
    orders = list(permutations(players))
    for order in orders:
        for place, player in enumerate(order):
            found[player] += value(frozenset(order[: place + 1])) - value(frozenset(order[:place]))
    return {player: share / len(orders) for player, share in found.items()}


class Hit(NamedTuple):
    """An event of one person: when (milliseconds), and its name."""

    at: int
    name: str


class Attempt(NamedTuple):
    """Times of the steps that were satisfied, and the place of the event that opened it."""

    times: tuple[int, ...]
    opener: int


def flows(paths: Mapping[str, Sequence[Touch]], question: FlowsQuestion) -> list[Flow]:
    """Steps of the anchored parts of paths, each cut, anchored and shortened on its own."""
    walks: list[tuple[str, list[tuple[int | None, str]], int]] = []
    for who, path in paths.items():
        for run in _runs(path, question):
            kept = _anchored(run, question)
            if kept:
                steps = _shortened([(touch.at, touch.node) for touch in kept], question)
                skipped = question.depth + 1 - len(steps) if question.end and not question.start else 0
                walks.append((who, steps, skipped))
    at_place: dict[int, Counter[str]] = defaultdict(Counter)
    for _, steps, skipped in walks:
        for place, (_, node) in enumerate(steps, start=skipped + 1):
            at_place[place][node] += 1
    named = {
        (place, node)
        for place, counted in at_place.items()
        for node in sorted(counted, key=lambda node: (-counted[node], node))[: question.top]
    }
    always = {START, END, MORE, question.start, question.end}
    seconds: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    counted_: Counter[tuple[int, str, str]] = Counter()
    people: dict[tuple[int, str, str], set[str]] = defaultdict(set)
    for who, steps, skipped in walks:
        told = [
            (at, node if node in always or (place, node) in named else OTHER)
            for place, (at, node) in enumerate(steps, start=skipped + 1)
        ]
        for step, ((since, origin), (at, target)) in enumerate(pairwise(told), start=skipped + 1):
            edge = (step, origin, target)
            counted_[edge] += 1
            people[edge].add(who)
            if since is not None and at is not None:
                seconds[edge].append((at - since) / 1000)
    rows = [
        Flow(*edge, count, len(people[edge]), median(seconds[edge]) if seconds[edge] else None)
        for edge, count in counted_.items()
    ]
    return sorted(rows, key=lambda row: (row.step, -row.count, row.origin, row.target))


def _runs(path: Sequence[Touch], question: FlowsQuestion) -> list[list[Touch]]:
    pieces: list[list[Touch]] = []
    for touch in path:
        if pieces and (question.gap is None or touch.at - pieces[-1][-1].at <= question.gap):
            pieces[-1].append(touch)
        else:
            pieces.append([touch])
    if question.collapse:
        pieces = [
            [touch for n, touch in enumerate(piece) if not n or piece[n - 1].node != touch.node] for piece in pieces
        ]
    if not question.every or not (question.start or question.end):
        return pieces
    runs: list[list[Touch]] = []
    for piece in pieces:
        runs.append([])
        for touch in piece:
            if question.start and touch.node == question.start:
                runs.append([])
            runs[-1].append(touch)
            if not question.start and touch.node == question.end:
                runs.append([])
    return runs


def _anchored(run: list[Touch], question: FlowsQuestion) -> list[Touch]:
    names = [touch.node for touch in run]
    if question.start:
        if question.start not in names:
            return []
        run = run[names.index(question.start) :]
        names = [touch.node for touch in run]
    if question.end:
        if question.end not in names:
            return []
        run = run[: names.index(question.end) + 1]
    if question.within is None or not run:
        return run
    if question.end and not question.start:
        return [touch for touch in run if run[-1].at - touch.at < question.within]
    kept = [touch for touch in run if touch.at - run[0].at < question.within]
    return [] if question.end and kept[-1].node != question.end else kept


def _shortened(steps: list[tuple[int | None, str]], question: FlowsQuestion) -> list[tuple[int | None, str]]:
    most = question.depth + 1
    if question.start and question.end:
        if len(steps) <= most:
            return steps
        head = steps[:1] if most == 2 else [*steps[: most - 2], (None, MORE)]
        return [*head, steps[-1]]
    if question.end:
        return steps[-most:] if len(steps) >= most else [(None, START), *steps]
    before: list[tuple[int | None, str]] = [] if question.start else [(None, START)]
    return [*before, *steps, (None, END)][:most]


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
    return Attempt(times, opener)


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


def best_with_optional(question: Question, hits: Sequence[Hit]) -> list[int | None] | None:
    """Times by step of the best attempt at different steps some of which may be left out, None for those."""
    found: list[list[int | None]] = []
    for start in (hit for hit in hits if hit.name == question.steps[0]):
        ends = [hit.at for hit in hits if hit.name in question.exclude and hit.at > start.at]
        last = min([start.at + question.within - 1, *ends])
        times: list[int | None] = [start.at]
        waiting: list[str] = []
        for name in [*question.steps[1:], None]:
            if name in question.optional:
                waiting.append(str(name))
                continue
            since = max(time for time in times if time is not None)
            reached = _earliest(hits, name, since, last)
            for optional in waiting:
                taken = _earliest(hits, optional, since, last if reached is None else reached)
                times.append(taken)
                since = since if taken is None else taken
            waiting = []
            if name is not None:
                times.append(reached)
                last = last if reached is not None else -1
        found.append(times)
    return min(
        found,
        key=lambda times: (-max(step for step, time in enumerate(times) if time is not None), times[0]),
        default=None,
    )


def _earliest(hits: Sequence[Hit], name: str | None, since: int, until: int) -> int | None:
    return min((hit.at for hit in hits if hit.name == name and since <= hit.at <= until), default=None)
