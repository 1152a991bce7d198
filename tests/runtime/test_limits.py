"""Dead letters are single records; many of them stop the reader, and a restart does not make it forget."""

import pytest

from schemas.limits import Limits, Tally, TooMany

FIVE = Limits(share=1, run=5)
SHARE = Limits(share=0.2, run=1_000)


def test_single_bad_records_are_fine() -> None:
    tally = Tally()
    for _ in range(50):
        tally = tally.after(100, [3, 50, 51], Limits(share=0.2, run=10))
    assert tally.run == 0


def test_a_run_counts_over_transactions_and_restarts() -> None:
    tally = Tally().after(4, [1, 2, 3], FIVE)
    restarted = Tally.read(f"5120-5200 {tally.metadata}").after(2, [0, 1], FIVE)
    with pytest.raises(TooMany, match="more than 5 records in a row can't be used"):
        Tally.read(restarted.metadata).after(3, [0], FIVE)


def test_a_good_record_ends_a_run_and_a_transaction_without_records_does_not() -> None:
    three = Limits(share=1, run=3)
    tally = Tally().after(3, [0, 1, 2], three).after(0, [], three)
    ended = tally.after(4, [1, 2, 3], three) if tally.run == 3 else tally
    with pytest.raises(TooMany):
        ended.after(1, [0], three)


def test_a_share_counts_from_a_thousand_records_on() -> None:
    tally, half = Tally(), list(range(0, 100, 2))
    for _ in range(9):
        tally = Tally.read(tally.after(100, half, SHARE).metadata)
    with pytest.raises(TooMany, match=r"500 of the last 1000 records can't be used \(limit 20%\)"):
        tally.after(100, half, SHARE)


def test_old_records_are_forgotten() -> None:
    tally = Tally()
    for _ in range(20):
        tally = tally.after(1_000, [], SHARE)
    with pytest.raises(TooMany):
        tally.after(1_000, range(0, 1_000, 3), SHARE)


def test_nothing_is_written_down_while_all_is_fine() -> None:
    assert Tally().after(900, [], SHARE).metadata == ""
    assert Tally.read(None) == Tally.read("") == Tally.read("5120-5200") == Tally()
