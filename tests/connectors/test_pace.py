"""How fast a channel goes: rates, recipients, providers that want to be left alone, and what waits meanwhile."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.outbound.channel import Outcome, Traits
from connectors.outbound.health import FAILURES, OPEN_SECONDS
from connectors.outbound.pacing import pace_of
from schemas import topics
from schemas.definitions.model import Channel
from schemas.records import SendCommand
from tests.connectors.dispatching import Provider, command

PER_SECOND = 10


def paced(count: int = PER_SECOND, per: int = 1_000, **more: object) -> Channel:
    return Channel("email", consent="opt_in", identifiers=("email",), rate=(count, per), **more)  # type: ignore[arg-type]


def most_within(times: list[int], window: int) -> int:
    """The largest number of instants in any half-open window, slowly."""
    return max(sum(start <= at < start + window for at in times) for start in times)


def test_a_rate_is_kept_to_the_millisecond_and_used_in_full() -> None:
    provider = Provider()
    line = provider.line(written=paced())
    line.send(*(command(f"s{n:02}") for n in range(50)))
    line.after(10)
    assert provider.times == [n * 100 for n in range(50)]
    assert [send for _, send in provider.given] == [f"s{n:02}" for n in range(50)]


def test_a_rate_that_is_no_whole_number_of_milliseconds_is_neither_passed_nor_missed() -> None:
    provider = Provider()
    line = provider.line(written=paced(30))
    line.send(*(command(f"s{n}") for n in range(301)))
    line.after(60)
    assert most_within(provider.times, 1_000) == 30
    assert provider.times[-1] == 10_001  # 300 intervals, each rounded up by less than a microsecond


def test_what_waits_for_the_rate_is_reserved_in_the_ledger() -> None:
    line = Provider().line(written=paced(1, 60_000))
    line.send(command("s1"), command("s2"))
    assert line.states("s1") == ["handed over", "accepted"]
    assert line.states("s2") == ["reserved"]
    line.after(60)
    assert line.states("s2") == ["reserved", "handed over", "accepted"]


@pytest.mark.parametrize("partitions", [2, 3, 8])
def test_partitions_keep_a_rate_together(partitions: int) -> None:
    provider = Provider()
    line = provider.line(written=paced(24), spread=partitions, partitions=partitions)
    line.send(*(command(f"s{n}", person_id=f"p{n}") for n in range(500)))
    line.after(600)
    assert len(provider.given) == 500
    assert most_within(provider.times, 1_000) <= 24


def test_transactional_messages_take_their_place_from_marketing() -> None:
    provider = Provider()
    line = provider.line(written=paced(), lanes=("marketing", "transactional"))
    line.send(*(command(f"m{n:02}") for n in range(40)))
    line.after(1)
    line.send(*(command(f"t{n}") for n in range(10)), lane="transactional")
    line.after(20)
    order = [send[0] for _, send in provider.given]
    assert Counter(order) == {"m": 40, "t": 10}
    first = order.index("t")
    assert order[first : first + 18].count("t") >= 9, "marketing stands back"
    assert most_within(provider.times, 2_000) <= 2 * PER_SECOND + 1


def test_on_a_scaled_clock_a_rate_is_of_the_wall() -> None:
    provider = Provider()
    line = provider.line(written=paced(), pace=1_000.0)
    line.send(*(command(f"s{n}") for n in range(5)))
    line.after(3_600)
    assert provider.times == [n * 100_000 for n in range(5)]


def test_a_rate_that_is_changed_holds_for_what_waits() -> None:
    provider = Provider()
    line = provider.line(written=paced(1, 60_000))
    line.send(*(command(f"s{n}") for n in range(4)))
    line.project = dataclasses.replace(line.project, channels={"email": paced(1, 1_000)})
    line.restart()
    line.after(70)
    assert provider.times == [0, 60_000, 61_000, 62_000]


@given(
    count=st.integers(1, 3_000),
    per=st.sampled_from([1_000, 60_000, 3_600_000]),
    shares=st.integers(1, 8),
    waits=st.lists(st.integers(0, 500), min_size=1, max_size=80),
)
def test_no_window_holds_more_than_the_rate_but_for_what_may_go_early(
    count: int, per: int, shares: int, waits: list[int]
) -> None:
    pace, free, now, went = pace_of((count, per), 1.0, shares), 0, 0, []
    for wait in waits:
        now += wait
        while pace.ready(free, now):
            went.append(now)
            free = pace.taken(free, now, queued=False)
    early = pace.ahead // pace.interval + 1
    assert most_within(went, per) <= -(-count // shares) + early


def test_a_recipient_gets_its_messages_apart_and_in_order_and_holds_back_nobody() -> None:
    provider = Provider(Traits(rate_per_recipient=(1, 1_000)))
    line = provider.line()
    line.send(*(command(f"ann{n}") for n in range(4)), *(command(f"bob{n}", to="bob@example.com") for n in range(2)))
    line.after(10)
    assert [(at, send) for at, (_, send) in zip(provider.times, provider.given, strict=True)] == [
        (0, "ann0"),
        (0, "bob0"),
        (1_000, "ann1"),
        (1_000, "bob1"),
        (2_000, "ann2"),
        (3_000, "ann3"),
    ]


def test_a_busy_provider_is_left_alone_for_as_long_as_it_says_and_nothing_counts_as_a_try() -> None:
    provider = Provider()
    line = provider.line()
    provider.answer = lambda c: (
        Outcome("away", "429", retry_after=30) if provider.times[-1] < 90_000 else Outcome("accepted")
    )
    line.send(command("s1"), command("s2"))
    line.after(29.999)
    assert len(provider.given) == 1, "the second was not even tried"
    line.after(100)
    assert provider.times == [0, 30_000, 60_000, 90_000, 90_000]
    assert line.states("s1")[-1] == line.states("s2")[-1] == "accepted"
    assert [send for _, send in provider.given][-2:] == ["s1", "s2"]


def test_a_failing_provider_is_tried_by_one_message_at_a_time_and_then_gets_all() -> None:
    provider = Provider()
    line = provider.line()
    works = [False]
    provider.answer = lambda c: Outcome("accepted") if works[0] else Outcome("away", "no connection")
    line.send(*(command(f"s{n:02}") for n in range(50)))
    assert len(provider.given) == FAILURES, "the others are kept back"
    line.after(OPEN_SECONDS[0])
    assert len(provider.given) == FAILURES + 1
    line.after(OPEN_SECONDS[1])
    assert len(provider.given) == FAILURES + 2
    works[0] = True
    line.after(600)
    ends = Counter(line.states(f"s{n:02}")[-1] for n in range(50))
    assert ends == {"accepted": 50}


def test_an_outage_of_days_gives_up_nothing_that_may_still_be_sent() -> None:
    provider = Provider()
    line = provider.line(written=Channel("email", consent="opt_in", identifiers=("email",), expires=30 * topics.DAY_MS))
    works = [False]
    provider.answer = lambda c: Outcome("accepted") if works[0] else Outcome("away", "no connection")
    line.send(*(command(f"s{n}") for n in range(3)))
    line.after(5 * 86_400)
    assert {line.states(f"s{n}")[-1] for n in range(3)} <= {"deferred", "reserved"}
    works[0] = True
    line.after(86_400)
    assert {line.states(f"s{n}")[-1] for n in range(3)} == {"accepted"}


def test_a_message_that_could_not_be_handed_over_in_time_is_not_sent_any_more() -> None:
    provider = Provider()
    line = provider.line(written=Channel("email", consent="opt_in", identifiers=("email",), expires=3_600_000))
    provider.answer = lambda c: Outcome("away", "no connection")
    line.send(command())
    line.after(7_200)
    assert line.states()[-1] == "failed"
    assert line.ledger()[-1].detail == "not handed over within 3600 s of its decision"
    assert [receipt.name for receipt in line.receipts()] == ["Email Failed"]


def test_one_message_that_is_refused_for_now_says_nothing_about_the_provider() -> None:
    provider = Provider()
    line = provider.line()

    def answer(given: SendCommand) -> Outcome:
        return Outcome("temporary", "greylisted") if given.to.startswith("grey") else Outcome("accepted")

    provider.answer = answer
    line.send(*(command(f"g{n}", to=f"grey{n}@example.com") for n in range(20)), command("s1"))
    assert line.states("s1") == ["handed over", "accepted"]


def test_a_provider_that_says_when_to_try_one_message_again_is_obeyed() -> None:
    provider = Provider()
    line = provider.line()
    provider.answer = lambda c: Outcome("accepted") if len(provider.given) > 1 else Outcome("temporary", retry_after=7)
    line.send(command())
    line.after(60)
    assert provider.times == [0, 7_000]


def test_pauses_do_not_depend_on_when_a_worker_is_restarted() -> None:
    provider = Provider()
    line = provider.line(written=paced())
    line.send(*(command(f"s{n}") for n in range(20)))
    for _ in range(10):
        line.after(0.15)
        line.restart()
    line.after(10)
    assert provider.times == [n * 100 for n in range(20)]
    assert all(later - earlier == 100 for earlier, later in pairwise(provider.times))
