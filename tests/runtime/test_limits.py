"""Dead letters are single records; many of them stop the worker."""

from processors.runtime.limits import Limits


def test_single_bad_records_are_fine() -> None:
    limits = Limits(ratio=0.2, run=10)
    assert [limits.judge(100, [3, 50, 51]) for _ in range(50)] == [None] * 50


def test_a_run_counts_over_transactions() -> None:
    limits = Limits(ratio=1, run=5)
    assert limits.judge(4, [1, 2, 3]) is None
    assert limits.judge(2, [0, 1]) is None
    assert limits.judge(3, [0]) == "more than 5 records in a row could not be used"


def test_a_good_record_ends_a_run_and_a_transaction_without_records_does_not() -> None:
    limits = Limits(ratio=1, run=3)
    assert limits.judge(3, [0, 1, 2]) is None
    assert limits.judge(0, []) is None
    assert limits.judge(4, [1, 2, 3]) is None
    assert limits.judge(1, [0]) is not None


def test_a_share_counts_from_a_thousand_records_on() -> None:
    limits = Limits(ratio=0.2, run=1_000)
    half = list(range(0, 100, 2))
    assert [limits.judge(100, half) for _ in range(9)] == [None] * 9
    assert limits.judge(100, half) == "500 of the last 1000 records could not be used (limit 20%)"


def test_old_records_are_forgotten() -> None:
    limits = Limits(ratio=0.2, run=1_000)
    for _ in range(20):
        limits.judge(1_000, [])
    assert limits.judge(1_000, list(range(0, 1_000, 3))) is not None
