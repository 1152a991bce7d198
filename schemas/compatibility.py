"""Whether every version of a schema can be read with every other one, both ways (FULL_TRANSITIVE).

Both ways, as workers of two versions run side by side during an upgrade; transitive, as topics are replayed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse

from schemas.codec import FOLDER, IdFile, versions

Versions = Mapping[int, Mapping[str, Any]]


def check() -> list[str]:
    """What is wrong with the schemas of the line, empty when nothing is."""
    names = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
    return [problem for name in names for problem in [*incompatible(name, versions(name)), *_without_id(name)]]


def incompatible(name: str, found: Versions) -> list[str]:
    """Pairs of versions of one schema that can't be read with each other."""
    try:
        parsed = {number: parse(json.dumps(schema)) for number, schema in found.items()}
    except AvroException as error:
        return [f"{name}: not an Avro schema: {error}"]
    problems = []
    for older, newer in combinations(sorted(parsed), 2):
        for reader, writer in ((older, newer), (newer, older)):
            result = ReaderWriterCompatibilityChecker().get_compatibility(parsed[reader], parsed[writer])
            if result.compatibility is not SchemaCompatibilityType.compatible:
                why = "; ".join(
                    f"{message} at {place}" for message, place in zip(result.messages, result.locations, strict=False)
                )
                problems.append(f"{name}: what v{writer} writes can't be read with v{reader}: {why}")
    return problems


def _without_id(name: str) -> list[str]:
    ids, problems = IdFile(), []
    for version in versions(name):
        try:
            ids.id_of(name, version)
        except KeyError:
            problems.append(f"{name}: v{version} has no id in ids.json")
    return problems
