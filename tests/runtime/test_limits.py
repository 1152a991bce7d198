"""Dead letters are single records; many of them stop the reader, and a restart does not make it forget."""

from collections.abc import Sequence

import pytest

from schemas.limits import Limits, Tally, TooMany, after

FIVE = Limits(share=1, run=5)
SHARE = Limits(share=0.2, run=1_000)


def one(tally: Tally, records: int, bad: Sequence[int], limits: Limits) -> Tally:
    """The same for a reader of one partition."""
    return after({0: tally}, {0: records}, {0: bad}, limits)[0]


def test_single_bad_records_are_fine() -> None:
    tally = Tally()
    for _ in range(50):
        tally = one(tally, 100, [3, 50, 51], Limits(share=0.2, run=10))
    assert tally.run == 0


def test_a_run_counts_over_transactions_and_restarts() -> None:
    tally = one(Tally(), 4, [1, 2, 3], FIVE)
    restarted = one(Tally.read(f"5120-5200 {tally.metadata}"), 2, [0, 1], FIVE)
    with pytest.raises(TooMany, match="more than 5 records in a row can't be used"):
        one(Tally.read(restarted.metadata), 3, [0], FIVE)


def test_a_good_record_ends_a_run_and_a_transaction_without_records_does_not() -> None:
    three = Limits(share=1, run=3)
    full = one(one(Tally(), 3, [0, 1, 2], three), 0, [], three)
    assert one(full, 4, [1, 2, 3], three).run == 3
    with pytest.raises(TooMany):
        one(full, 1, [0], three)


def test_a_run_adds_up_over_the_partitions_it_is_spread_over() -> None:
    spread = after(dict.fromkeys(range(3), Tally()), {0: 2, 1: 2}, {0: [0, 1], 1: [0, 1]}, FIVE)
    full = after(spread, {2: 1}, {2: [0]}, FIVE)
    with pytest.raises(TooMany, match="more than 5 records in a row, over 3 partitions, can't be used"):
        after(full, {0: 1}, {0: [0]}, FIVE)
    # a good record ends what its partition has of it
    assert after(full, {0: 2}, {0: [1]}, FIVE)[0].run == 1
    ended = after(full, {0: 1, 1: 2}, {0: [0], 1: [1]}, FIVE)
    assert [ended[place].run for place in range(3)] == [3, 1, 1]
    # workers that had too many together are not stopped by what is good
    assert after(dict.fromkeys(range(3), Tally(run=4)), {0: 1}, {}, FIVE)[0].run == 0


def test_a_share_counts_from_a_thousand_records_on() -> None:
    tally, half = Tally(), list(range(0, 100, 2))
    for _ in range(9):
        tally = Tally.read(one(tally, 100, half, SHARE).metadata)
    with pytest.raises(TooMany, match=r"500 of the last 1000 records can't be used \(limit 20%\)"):
        one(tally, 100, half, SHARE)


def test_a_share_counts_over_all_partitions() -> None:
    places = range(5)
    tallies, half = dict.fromkeys(places, Tally()), list(range(0, 180, 2))
    tallies = after(tallies, dict.fromkeys(places, 180), dict.fromkeys(places, half), SHARE)
    with pytest.raises(TooMany, match="450 of the last 1000 records can't be used"):
        after(tallies, {3: 100}, {}, SHARE)
    # one that is fine begins anew for all of them
    few = after(tallies, {0: 1_800}, {}, SHARE)
    assert set(few.values()) == {Tally()}


def test_old_records_are_forgotten() -> None:
    tally = Tally()
    for _ in range(20):
        tally = one(tally, 1_000, [], SHARE)
    with pytest.raises(TooMany):
        one(tally, 1_000, range(0, 1_000, 3), SHARE)


def test_nothing_is_written_down_while_all_is_fine() -> None:
    assert one(Tally(), 900, [], SHARE).metadata == ""
    assert Tally.read(None) == Tally.read("") == Tally.read("5120-5200") == Tally()
