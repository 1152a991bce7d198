"""Projects with any mistake in them: parsed, or refused with what is wrong in which file and line."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions import Invalid, Problem, parse
from tests.badinput.test_stages import FILES

FOLDER = Path(__file__).parents[2] / "definitions"
EXAMPLE = {path.relative_to(FOLDER).as_posix(): path.read_text("utf-8") for path in sorted(FOLDER.rglob("*.yaml"))}
PROJECTS = [FILES, EXAMPLE]
#: what people and programs leave in YAML
WORDS = """
{} [] null ~ true -1 0 1e999 999999999999999999999999999999 0x .inf nan ' " # --- *a &a - | > : ! @
[[[[[[ {a:{a:{a: (((((((((((((((( 1d 0s -5m 99999w 25:00 event. event.properties.x== {{ {%if%} /(/
name steps: when: any not user_id Europe/Nowhere
"""
ODD = [
    *WORDS.split(),
    "",
    "<<: *a",
    "!!python/object:os.system x",
    "%YAML 1.1",
    "? a",
    "did: [A, A]",
    "1 +",
    "a" * 5_000,
]
ODD += ["{{ person.traits. }}", "{% for a in (1..1000000000) %}x{% endfor %}"]
ODD += ["\t", "\x00", "\ud800", "\ufeff", "\u2028"]
EDITS = ["replace", "value", "insert", "delete", "twice", "indent", "swap", "cut", "bytes"]


def mistakes(files: dict[str, str]) -> list[Problem]:
    """What is wrong with a project; what is sound stays so when it is published and read again."""
    try:
        project = parse(files)
    except Invalid as invalid:
        return invalid.problems
    assert parse(project.files) == project
    return []


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, str]:
    """A sound project after some edits gone wrong."""
    files = dict(draw(st.sampled_from(PROJECTS)))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        lines = files[name].split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        odd = draw(st.sampled_from(ODD) | st.text(max_size=12))
        match draw(st.sampled_from(EDITS)):
            case "replace":
                lines[at] = odd
            case "value":
                lines[at] = f"{lines[at].partition(':')[0]}: {odd}"
            case "insert":
                lines.insert(at, odd)
            case "delete":
                del lines[at]
            case "twice":
                lines.insert(at, lines[at])
            case "indent":
                lines[at] = " " * draw(st.integers(1, 6)) + lines[at]
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "bytes":
                place = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:place] + odd + lines[at][place:]
        files[name] = "\n".join(lines)
    if draw(st.booleans()):
        del files[draw(st.sampled_from(sorted(files)))]
    return files


@settings(max_examples=60)
@given(mutated())
def test_a_project_with_mistakes_is_refused_with_file_and_line(files: dict[str, str]) -> None:
    for problem in mistakes(files):
        assert problem.file in files
        # YAML knows more line breaks than one
        assert 1 <= problem.line <= len(files[problem.file].splitlines()) + 1, problem
        assert problem.message


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(FILES)) | st.text(max_size=8), st.text(max_size=60), max_size=4))
def test_files_with_any_text(files: dict[str, str]) -> None:
    assert all(problem.file in files for problem in mistakes(files))
