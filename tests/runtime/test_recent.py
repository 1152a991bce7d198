"""What a store remembers of the keys used last, against a plain dict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processors.runtime.recent import UNKNOWN, Recent

KEYS = st.integers(0, 30).map(lambda n: b"key-%d" % n)
VALUES = st.none() | st.binary(max_size=300)


@given(st.lists(st.tuples(KEYS, VALUES) | KEYS, max_size=300))
def test_what_is_remembered_is_what_was_written_last(steps: list[tuple[bytes, bytes | None] | bytes]) -> None:
    recent, written = Recent(limit=4_000), dict[bytes, bytes | None]()
    for step in steps:
        if isinstance(step, tuple):
            recent.keep(*step)
            written[step[0]] = step[1]
        else:
            assert recent.get(step) in (UNKNOWN, written.get(step, UNKNOWN))


def test_a_key_that_is_used_all_the_time_is_remembered_while_thousands_pass() -> None:
    recent = Recent(limit=100_000)
    recent.keep(b"always", b"1")
    for n in range(10_000):
        recent.keep(b"once-%d" % n, b"x" * 50)
        assert recent.get(b"always") == b"1"
    assert recent.get(b"once-0") is UNKNOWN


def test_what_is_remembered_stays_within_its_bytes() -> None:
    recent = Recent(limit=1_000_000)
    for n in range(100):
        recent.keep(b"key-%d" % n, b"x" * 100_000)
    assert sum(recent.get(b"key-%d" % n) is not UNKNOWN for n in range(100)) < 10


def test_a_value_that_grows_counts_as_what_it_became() -> None:
    recent = Recent(limit=1_000_000)
    for n in range(1_000):
        recent.keep(b"key-%d" % n, b"")
    for n in range(1_000):
        recent.keep(b"key-%d" % n, b"x" * 10_000)
    assert sum(recent.get(b"key-%d" % n) is not UNKNOWN for n in range(1_000)) < 200
