from __future__ import annotations

import re
from pathlib import Path

from schemas.definitions import parse
from schemas.definitions.advice import advice
from schemas.definitions.grammar.conditions import KINDS, OPERATORS, DidThis
from schemas.definitions.grammar.entries import ApiEntry, EventEntry, SegmentEntry
from schemas.definitions.grammar.journeys import STEPS, JourneyFile
from schemas.definitions.grammar.measures import COMPUTED
from schemas.definitions.grammar.project import ChannelRules, IdentifierRules, IdentityFile, TemplateParts

DOCS = Path(__file__).parents[2] / "docs"
PAGE, SEGMENTS = ((DOCS / name).read_text("utf-8") for name in ("definitions.md", "segments.md"))


def test_the_examples_of_the_reference_are_one_sound_project() -> None:
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    made = parse(dict(blocks))
    assert {made.journeys["abandoned_cart"].steps[i].id for i in (0, 1)} == {"pause", "2"}
    assert not [note for note in advice(made) if "template" in note]


def test_the_examples_of_segments_are_one_sound_project_and_show_every_condition() -> None:
    parse(dict(re.findall(r"```yaml\n# (\S+\.yaml)[^\n]*\n(.*?)```", SEGMENTS, re.DOTALL)))
    assert not {kind for kind in (*KINDS, *COMPUTED) if not re.search(rf"\b{kind}: ", SEGMENTS + PAGE)}


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
