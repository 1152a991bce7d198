from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.definitions.published import FOLDER, schemas, texts
from schemas.definitions.yaml12 import read
from tests.definitions.files import journey

EXAMPLE = Path(__file__).parents[2] / "definitions"
KIND_OF = {"segments": "segment", "journeys": "journey", "templates": "template"}


def test_the_published_schemas_are_fresh() -> None:
    written = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    assert written == texts(), "run: python -m schemas.definitions.published"


@pytest.mark.parametrize("file", sorted(path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.rglob("*.yaml")))
def test_editors_accept_the_example_project(file: str) -> None:
    kind = KIND_OF.get(file.split("/")[0], file.removesuffix(".yaml"))
    jsonschema.validate(value(file, (EXAMPLE / file).read_text("utf-8")), schemas()[kind])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("segment", "when: {did: A, wihtin: 1d}"),
        ("segment", "when: {did: A, within: 1y}"),
        ("segment", "when: {dd: A}"),
        ("journey", journey("- wiat: 1h")),
        ("journey", journey("- wait: 1h", "{evnt: A}")),
        ("channels", "email: {consent: optin}"),
        ("identity", "identifiers: {email: {limit: none}}"),
        ("sources", "- {source: a, refferer: b}"),
        ("project", "nam: x"),
        ("template", "subject: 5"),
    ],
)
def test_editors_mark_what_check_refuses(kind: str, text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value("f.yaml", text), schemas()[kind])


def test_editors_accept_every_step() -> None:
    steps = """
    - {wait: 1h, restart_on: A}
    - wait: {until: "09:00", days: [mon]}
    - {wait_for: [{event: A, as: a}, {left: b}], timeout: 1h, then: [{exit: x}]}
    - {branch: [{when: {any: [{in: a}, {cel: "true"}]}, steps: []}, {otherwise: []}]}
    - {send: {template: a, channels: [email]}}
    - {split: {a: 50, b: 50}, a: [{exit: x}], b: []}
    - {update: {traits.a: 1}}
    """
    jsonschema.validate(value("f.yaml", journey(steps)), schemas()["journey"])


def value(file: str, text: str) -> Any:
    return read(file, text)
