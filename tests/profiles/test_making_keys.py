"""`pathline keys create` refuses what could never be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathline.commands.keys import create
from pathline.errors import UserError
from sinks.profiles.keys import KeyFile
from tests.line.project import Lab


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def made(home: Path) -> list[list[str]]:
    return [key.by for key in KeyFile(home / "api_keys.json").current()]


def test_a_key_asks_by_types_of_identifiers_that_there_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Lab(home.parent).folder)
    for by, why in (("user_id,phones", r"'phones' \(did you mean phone\?\)"), ("fax", r"'fax' \(allowed: .*user_id\)")):
        with pytest.raises(UserError, match=f"^--by: there is no identifier type {why}"):
            create("till", fields="segments", by=by)
    with pytest.raises(UserError, match="say by which"):
        create("till", fields="segments", by=" ,")
    create("till", fields="segments", by="phone, loyalty_card,person_id")
    assert made(home) == [["phone", "loyalty_card", "person_id"]]


def test_the_types_are_those_of_the_project_that_is_meant(home: Path) -> None:
    create("early", fields="segments", by="fax")  # no project is at hand
    lab = Lab(home.parent)
    with pytest.raises(UserError, match="'fax'"):
        create("till", fields="segments", by="fax", project=lab.folder)
    with pytest.raises(UserError, match="there is no such folder"):
        create("till", fields="segments", by="phone", project=home / "nowhere")
    lab.segment("broken", "{in: nowhere}")
    with pytest.raises(UserError, match=r"can't be read from .*there is no segment"):
        create("till", fields="segments", by="phone", project=lab.folder)
    create("any", fields="segments", project=lab.folder)
    assert made(home) == [["fax"], ["*"]]
