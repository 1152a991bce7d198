from __future__ import annotations

import re
from pathlib import Path

from schemas.definitions import parse
from schemas.definitions.advice import advice
from schemas.definitions.grammar.conditions import OPERATORS, DidThis
from schemas.definitions.grammar.entries import ApiEntry, EventEntry, SegmentEntry
from schemas.definitions.grammar.journeys import STEPS, JourneyFile
from schemas.definitions.grammar.project import ChannelRules, IdentifierRules, IdentityFile, TemplateParts

PAGE = (Path(__file__).parents[2] / "docs/definitions.md").read_text("utf-8")


def test_the_examples_of_the_reference_are_one_sound_project() -> None:
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    made = parse(dict(blocks))
    assert {made.journeys["abandoned_cart"].steps[i].id for i in (0, 1)} == {"pause", "2"}
    assert not [note for note in advice(made) if "template" in note]


def test_every_key_is_in_the_reference() -> None:
    parts = (
        DidThis,
        ApiEntry,
        EventEntry,
        SegmentEntry,
        JourneyFile,
        ChannelRules,
        IdentifierRules,
        IdentityFile,
        TemplateParts,
    )
    keys = {key for part in parts for key in part.names()} | {*OPERATORS, *STEPS}
    assert not {key for key in keys if not re.search(rf"[`&;\n {{]{key}[`:,}} ]", PAGE)}
