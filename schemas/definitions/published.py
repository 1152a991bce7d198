"""JSON Schemas of the project's files, one per kind, for editors.

`python -m schemas.definitions.published` writes them beside this module; a test keeps them fresh. An editor finds one
by a first line such as `# yaml-language-server: $schema=<path or URL of segment.schema.json>`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.definitions.grammar.conditions import SegmentFile
from schemas.definitions.grammar.journeys import JourneyFile, WinnersFile
from schemas.definitions.grammar.measures import TraitFile
from schemas.definitions.grammar.predictions import PredictFile, PredictParametersFile
from schemas.definitions.grammar.project import ChannelsFile, EventsFile, IdentityFile, ProjectFile, TemplateParts
from schemas.definitions.grammar.promos import PromosFile
from schemas.definitions.grammar.rfm import RfmBoundsFile, RfmFile
from schemas.definitions.grammar.sources import SourcesFile

FOLDER = Path(__file__).parent / "json"
KINDS: dict[str, type[BaseModel]] = {
    "project": ProjectFile,
    "identity": IdentityFile,
    "events": EventsFile,
    "channels": ChannelsFile,
    "sources": SourcesFile,
    "promos": PromosFile,
    "segment": SegmentFile,
    "journey": JourneyFile,
    "trait": TraitFile,
    "rfm": RfmFile,
    "rfm_bounds": RfmBoundsFile,
    "predict": PredictFile,
    "predict_parameters": PredictParametersFile,
    "winners": WinnersFile,
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each kind of file."""
    made = {kind: {"$schema": _DIALECT, **part.model_json_schema()} for kind, part in KINDS.items()}
    return {**made, "template": _template()}


def texts() -> dict[str, str]:
    """File name -> content."""
    return {f"{kind}.schema.json": json.dumps(schema, indent=2) + "\n" for kind, schema in schemas().items()}


def _template() -> dict[str, Any]:
    parts = TemplateParts.model_json_schema()
    # what differs by channel or language has the same parts again; channels are named by the project
    variant = {"type": "object", "properties": parts["properties"], "additionalProperties": {"type": "object"}}
    return {
        "$schema": _DIALECT,
        "title": "Template",
        "description": parts.get("description", ""),
        "type": "object",
        "properties": {"name": {"type": "string"}, **parts["properties"]},
        "additionalProperties": variant,
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, "utf-8")
