from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.yaml12 import Unreadable, read


def test_words_and_times_stay_text() -> None:
    value = read("f.yaml", "country: NO\nquiet: 21:00\nday: 2024-05-01\nanswer: yes\nnumber: 1_000\n")
    assert value == {"country": "NO", "quiet": "21:00", "day": "2024-05-01", "answer": "yes", "number": "1_000"}


def test_numbers_bools_and_null() -> None:
    assert read("f.yaml", "[1, -2, 0x10, 1.5, 1e3, true, FALSE, null, ~, '7', !!str 7]") == [
        *(1, -2, 16, 1.5, 1000.0, True, False, None, None, "7", "7")
    ]


def test_keys_are_text() -> None:
    assert list(read("f.yaml", "404: a\nNO: b\n1.0: c\n")) == ["404", "NO", "1.0"]


def test_places_of_keys_and_values() -> None:
    value = read("f.yaml", "a: 1\nb:\n  - x\n  - y: 2\n")
    assert (value.values_at["a"].line, value.values_at["a"].column) == (1, 4)
    assert value["b"].items_at[1].line == 4
    assert value["b"][1].keys_at["y"].column == 5


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [1\n", 3, "not YAML"),
        ("a: 1\na: 2\n", 2, "'a' stands here twice, first in line 1"),
        ("a: 1\n\tb: 2\n", 2, "tabs"),
        ("a: *x\n", 1, "quotes"),
        ("? [a]\n: b\n", 1, "a key must be text"),
        ("a: b: c\n", 1, "quotes"),
        ("--- a\n--- b\n", 2, "one definition a file"),
        ("a: 12345678901234567890\n", 1, "too long for a number"),
        ("a: &a [*a]\n", 1, "nested too deeply"),
        ("a: \x07\n", 1, "the character U+0007 is not allowed"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read("f.yaml", text)
    assert refused.value.problem.line == line
    assert message in str(refused.value.problem)


def test_a_file_that_grows_without_end_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(Unreadable, match="too large"):
        read("f.yaml", "\n".join(lines))


@settings(deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="-:?[]{},&*!|>'\"%@# \n\tab1~", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Unreadable):
        read("f.yaml", text)
