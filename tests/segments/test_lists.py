"""Static lists: who is in them, whichever identifier was listed, and that being listed makes nobody a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.errors import UserError
from pathline.lists.files import read
from processors.segments.model import Listed, newer_listed
from schemas import lists
from schemas.definitions.defaults import identity
from schemas.definitions.model import Did, InList, Not, TraitIs
from schemas.erasure import mark
from schemas.identifiers import slot_of
from schemas.records import Erasure, PersonEnvelope
from tests.segments.lab import D, H, Line, event, identify, project

T = 1_700_000_000_000
STAFF = {"staff": InList("staff"), "others": Not(InList("staff"))}


def say(line: Line, member: bool, at: int, who: str = "user_id:u1", person: str = "P", name: str = "staff") -> None:
    line.happen(lists.change(name, who, member, at), person=person, slot=slot_of(who))


def test_people_join_and_leave_a_list_at_once() -> None:
    line = Line(project(STAFF))
    line.happen(event("View", T))
    say(line, True, T + 1)
    say(line, True, T + 2, name="bots")
    say(line, False, T + 3)
    assert line.story("staff") == [(T + 1, "entered", "event"), (T + 3, "left", "event")]
    assert line.story("others") == [(T, "entered", "event"), (T + 1, "left", "event"), (T + 3, "entered", "event")]
    assert [change.reason for _, change in line.changes][1:3] == ["List Joined; in list staff"] * 2


def test_to_be_listed_is_nothing_that_the_person_did() -> None:
    line = Line(project(STAFF))
    say(line, True, T)
    line.until(T + 9 * D)
    assert [(update.kind, update.changes, update.profile) for update in line.updates] == [("list", [], None)]
    line.happen(event("View", T + 10 * D))
    assert line.story("staff") == [(T + 10 * D, "entered", "event")]
    say(line, False, T + 11 * D)
    assert [update.kind for update in line.updates] == ["list", "event", "list"], "no event to count"
    assert line.profile()["first_seen"] == T + 10 * D


def test_what_was_said_last_counts_in_whatever_order_it_comes() -> None:
    line = Line(project(STAFF))
    line.happen(event("View", T))
    for change in (lists.change("staff", "user_id:u1", False, T + 5), lists.change("staff", "user_id:u1", True, T + 3)):
        line.happen(msgspec.structs.replace(change, received_at=T + 9))
    assert line.story("staff") == []


def test_a_person_is_in_a_list_by_any_of_its_identifiers_and_a_split_takes_it_along() -> None:
    line = Line(project(STAFF))
    mail = slot_of("email:a@example.com")
    line.happen(event("View", T), event("View", T + 1))
    say(line, True, T + 2, "email:a@example.com", "M")
    line.move("M", "P", {mail: 2}, at=T + 3)
    assert line.story("staff") == [(T + 3, "entered", "merge")]
    say(line, False, T + 4)  # another identifier: the address is still in it
    assert "staff" in line.person().member
    line.move("P", "M", {mail: 3}, at=T + 5, reason="split")
    assert "staff" not in line.person().member


def test_erasure_takes_it_away() -> None:
    line = Line(project(STAFF))
    say(line, True, T)
    erasure = Erasure(identifiers=["user_id:u1"], slots=["user_id:u1#0"], at=T + H)
    line.publish(PersonEnvelope(kind="erasure", person_id="P", erasure=erasure))
    assert not line.person().slots.held
    assert mark("user_id:u1#0") in line.person().erased


@given(st.lists(st.builds(Listed, st.booleans(), st.integers(0, 3)), min_size=3, max_size=3))
def test_what_is_said_of_lists_joins_in_any_order(said: list[Listed]) -> None:
    a, b, c = said
    assert newer_listed(a, newer_listed(b, c)) == newer_listed(newer_listed(c, a), b)
    assert newer_listed(a, a) == a


def test_who_is_excluded_is_in_no_segment_until_it_is_not() -> None:
    segments = {"recent": Did(("View",)), "idle": Not(Did(("Buy",)))}
    line = Line(replace(project(segments), exclude=InList("staff")))
    line.happen(event("View", T))
    say(line, True, T + 1)
    line.happen(event("View", T + 2))
    say(line, False, T + 3)
    expected = [(T, "entered", "event"), (T + 1, "left", "event"), (T + 3, "entered", "event")]
    assert line.story("recent") == line.story("idle") == expected
    assert "excluded by project.yaml" in next(c.reason for _, c in line.changes if c.change == "left")


def test_an_exclusion_may_begin_by_time() -> None:
    line = Line(replace(project({"any": Did(("View",))}), exclude=TraitIs("tester", "held_for", D)))
    line.happen(identify(T, traits={"tester": True}), event("View", T + 1))
    line.until(T + 2 * D)
    line.happen(identify(T + 2 * D, traits={"tester": False}))
    assert line.story("any") == [
        (T + 1, "entered", "event"),
        (T + D, "left", "timer"),
        (T + 2 * D, "entered", "event"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "options", "expected"),
    [
        ("a.txt", "email:Ann@Example.com\n\n# a comment\nuser_id:7\nemail:ann@example.com\n", (), "email user_id"),
        ("a.txt", "ann@example.com\n", ("", "email"), "email"),
        ("a.csv", "identifier,since\nemail:ann@example.com,2020\nuser_id:7,2021\n", (), "email user_id"),
        ("a.csv", "name;email;user_id\nAnn;ann@example.com;\nBo;b@example.com;7\n", (), "email user_id"),
        ("a.csv", "\ufeffE-Mail\tname\nann@example.com\tAnn\n", ("E-Mail", "email"), "email"),
        ("a.csv", "email\n", (), ""),
    ],
)
def test_files_of_lists(tmp_path: Path, name: str, text: str, options: Iterable[str], expected: str) -> None:
    known = {"email": "email:ann@example.com", "user_id": "user_id:7"}
    path = tmp_path / name
    path.write_text(text, "utf-8")
    found = read(path, identity(), *options)
    assert list(found.identifiers) == [known[kind] for kind in expected.split()]
    assert not found.rejected


def test_what_is_no_identifier_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("email:ann@example.com\nann@example.com\nemail:ann\nmail:ann@example.com\nuser_id:null\n", "utf-8")
    told = dict(read(path, identity()).rejected)
    assert told.keys() == {2, 3, 4, 5}
    assert "write type:value" in told[2]
    assert "known are user_id" in told[4]
    table = tmp_path / "a.csv"
    table.write_text("Name,E-Mail\nAnn,ann@example.com\n", "utf-8")
    with pytest.raises(UserError, match="no column is named as an identifier"):
        read(table, identity())
    with pytest.raises(UserError, match=r"no column 'Mail' \(did you mean E-Mail"):
        read(table, identity(), "Mail", "email")
    with pytest.raises(UserError, match="no identifier type 'mail'"):
        read(table, identity(), "E-Mail", "mail")
