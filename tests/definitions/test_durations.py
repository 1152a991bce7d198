from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.durations import day_span, duration, spoken, time_of_day


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("30s", 30_000),
        ("5m", 300_000),
        ("6h", 21_600_000),
        ("1d", 86_400_000),
        ("2w", 1_209_600_000),
        ("1h30m", 5_400_000),
        ("0s", 0),
    ],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "h", "1.5h", "-1h", "1 h", "5y", "1h 30m", "9999999w", "٣d"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        duration(text)


@settings(deadline=None)
@given(st.integers(0, 10**10))
def test_a_spoken_duration_is_read_back(seconds: int) -> None:
    milliseconds = seconds * 1000
    if milliseconds <= 36_525 * 86_400_000:
        assert duration(spoken(milliseconds)) == milliseconds


def test_times_and_spans_of_the_day() -> None:
    assert time_of_day("09:00") == 540
    assert time_of_day("9:05") == 545
    assert day_span("21:00-08:00") == (1260, 480)


@pytest.mark.parametrize("text", ["24:00", "9", "09:60", "9am", ""])
def test_what_is_not_a_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time of day"):
        time_of_day(text)


@pytest.mark.parametrize("text", ["21:00", "21:00-21:00", "21:00-25:00"])
def test_what_is_not_a_span_of_the_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|time of day|empty"):
        day_span(text)
