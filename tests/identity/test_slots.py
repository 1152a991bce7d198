"""The slot protocol under arbitrary interleaving of everything that can overtake: nothing lost, nothing doubled.

Channels are FIFO per pair of sender and receiver and nothing else is ordered, which is weaker than what Kafka gives.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from processors.runtime.slots import Handed, Slots, arrive, join, leave, redirect_of, with_state
from schemas.records import HandedSlot, SlotVersion

State = Counter[str]


@dataclass(frozen=True)
class Applied:
    """An event stamped with its slot and version."""

    name: str
    slot: str
    version: int


@dataclass(frozen=True)
class Moved:
    """Slots that leave the receiver for `to`."""

    to: str
    slots: list[SlotVersion]


@dataclass(frozen=True)
class Given:
    """State on its way."""

    slots: list[Handed[State]]


@dataclass(frozen=True)
class Placed:
    """The resolver of a slot learns where it is."""

    person: str
    version: int


def merged(one: State, other: State) -> State:
    return one + other


def travelling(one: Handed[State]) -> HandedSlot:
    """What a handoff says of a slot beside its state."""
    return HandedSlot(slot=one.slot, version=one.version, complete=one.complete, gathered=one.gathered)


@dataclass
class World:
    """Resolvers, a graph that places slots as it likes, persons, and what is under way between them."""

    random: Random
    homes: dict[str, str]
    people: dict[str, Slots[State]] = field(default_factory=lambda: defaultdict(Slots))
    channels: dict[tuple[str, str], deque[Applied | Moved | Given | Placed]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    sent: int = 0
    #: slot -> name of each event applied to it -> version of the slot where that happened
    applied: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        self.placed = {slot: Placed(home, 1) for slot, home in self.homes.items()}
        self.resolved = dict(self.placed)

    def event(self) -> None:
        slot = self.random.choice(sorted(self.homes))
        known = self.resolved[slot]
        self.sent += 1
        self.channels[f"resolver {slot}", known.person].append(Applied(f"e{self.sent}", slot, known.version))

    def decide(self) -> None:
        """The graph moves some slots to some persons; one move for each pair of persons."""
        targets = sorted(set(self.homes.values()))
        moves: dict[tuple[str, str], list[SlotVersion]] = defaultdict(list)
        for slot in self.random.sample(sorted(self.homes), self.random.randint(1, len(self.homes))):
            was, to = self.placed[slot], self.random.choice(targets)
            if was.person != to:
                self.placed[slot] = Placed(to, was.version + 1)
                moves[was.person, to].append(SlotVersion(slot=slot, version=was.version + 1))
                self.channels["graph", f"resolver {slot}"].append(self.placed[slot])
        for (origin, to), slots in moves.items():
            self.channels["graph", origin].append(Moved(to, slots))

    def deliver(self) -> bool:
        """Some channel hands over its oldest record."""
        ready = sorted(channel for channel, records in self.channels.items() if records)
        if not ready:
            return False
        channel = self.random.choice(ready)
        self._take(channel[1], self.channels[channel].popleft())
        return True

    def _take(self, at: str, record: Applied | Moved | Given | Placed) -> None:
        if isinstance(record, Placed):
            self.resolved[at.removeprefix("resolver ")] = record
        elif isinstance(record, Applied):
            redirect = redirect_of(self.people[at], record.slot, record.version)
            if redirect is not None:
                onward = Applied(record.name, record.slot, redirect.version)
                self.channels[f"events {at}", redirect.to].append(onward)
                return
            slots = arrive(self.people[at], record.slot, record.version)
            state = slots.held[record.slot].state or Counter()
            self.people[at] = with_state(slots, record.slot, state + Counter([record.name]))
            self.applied[record.slot][record.name] = slots.held[record.slot].version
        elif isinstance(record, Moved):
            self.people[at], handed = leave(self.people[at], record.to, record.slots)
            self.channels[f"handoff {at}", record.to].append(Given(handed))
        else:
            for one in record.slots:
                self.people[at], onward = join(self.people[at], travelling(one), one.state, merged)
                if onward is not None:
                    self.channels[f"handoff {at}", onward.to].append(Given([onward]))


def world(seed: int, slots: int, people: int, steps: int, eager: float) -> World:
    """A world at rest after `steps` random steps; `eager` is the share of deliveries among them."""
    random = Random(seed)
    made = World(random, {f"s{n}": f"p{random.randrange(people)}" for n in range(slots)})
    for _ in range(steps):
        if random.random() < eager:
            made.deliver()
        else:
            random.choice([made.event, made.event, made.decide])()
    while made.deliver():
        pass
    return made


worlds = given(
    seed=st.integers(0, 2**32),
    slots=st.integers(1, 4),
    people=st.integers(2, 4),
    steps=st.integers(1, 60),
    eager=st.sampled_from([0.2, 0.5, 0.8]),
)


@worlds
@settings(max_examples=600, deadline=None)
@example(seed=1, slots=4, people=4, steps=400, eager=0.5)
def test_each_event_counts_once_and_ends_with_the_person_its_slot_belongs_to(
    seed: int, slots: int, people: int, steps: int, eager: float
) -> None:
    at_rest = world(seed, slots, people, steps, eager)
    counted: State = Counter()
    for person, held in at_rest.people.items():
        for slot, kept in held.held.items():
            assert at_rest.placed[slot].person == person
            counted += kept.state or Counter()
    assert counted == Counter(f"e{number}" for number in range(1, at_rest.sent + 1))


@worlds
@settings(max_examples=600, deadline=None)
def test_at_rest_every_slot_that_moved_is_complete_where_it_belongs(
    seed: int, slots: int, people: int, steps: int, eager: float
) -> None:
    at_rest = world(seed, slots, people, steps, eager)
    for slot, placed in at_rest.placed.items():
        kept = at_rest.people[placed.person].held.get(slot)
        if placed.version > 1:
            assert kept is not None
            assert kept.version == placed.version
        assert kept is None or kept.complete
    assert all(held.complete for held in at_rest.people.values())


@worlds
@settings(max_examples=300, deadline=None)
def test_a_complete_slot_lacks_nothing_counted_before_it_came(
    seed: int, slots: int, people: int, steps: int, eager: float
) -> None:
    """Also when slots move on while their state is still under way."""
    random = Random(seed)
    made = World(random, {f"s{n}": f"p{random.randrange(people)}" for n in range(slots)})
    for _ in range(steps):
        if random.random() < eager:
            made.deliver()
        else:
            random.choice([made.event, made.event, made.decide])()
    while made.deliver():
        for slot, placed in made.placed.items():
            kept = made.people[placed.person].held.get(slot)
            if kept is not None and kept.version == placed.version and kept.complete:
                before = {name for name, version in made.applied[slot].items() if version < placed.version}
                assert before <= set(kept.state or Counter())


def test_a_slot_is_incomplete_while_its_earlier_state_is_under_way() -> None:
    at_y = arrive(Slots[State](), "s", 2)
    at_y = with_state(at_y, "s", Counter(["after"]))
    assert not at_y.complete
    at_x, (handed,) = leave(
        with_state(arrive(Slots[State](), "s", 1), "s", Counter(["before"])), "y", [SlotVersion(slot="s", version=2)]
    )
    at_y, _ = join(at_y, travelling(handed), handed.state, merged)
    assert at_y.complete
    assert at_y.held["s"].state == Counter(["before", "after"])
    redirect = redirect_of(at_x, "s", 1)
    assert redirect is not None
    assert (redirect.to, redirect.version) == ("y", 2)


def test_a_slot_that_moves_on_before_its_state_came_is_complete_only_once_that_followed() -> None:
    at_x = with_state(arrive(Slots[State](), "s", 1), "s", Counter(["before"]))
    _, (first,) = leave(at_x, "y", [SlotVersion(slot="s", version=2)])
    at_y, (second,) = leave(Slots[State](), "z", [SlotVersion(slot="s", version=3)])
    at_z, _ = join(Slots[State](), travelling(second), second.state, merged)
    assert not at_z.complete
    _, onward = join(at_y, travelling(first), first.state, merged)
    assert onward is not None
    assert (onward.to, onward.version) == ("z", 3)
    at_z, _ = join(at_z, travelling(onward), onward.state, merged)
    assert at_z.complete
    assert at_z.held["s"].state == Counter(["before"])
