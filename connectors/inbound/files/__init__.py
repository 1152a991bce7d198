"""Sources that are loaded rather than received, one file per format."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from connectors.inbound.files.base import BadSource, Source
from connectors.inbound.files.complete_journey import CompleteJourney
from connectors.inbound.files.segment_jsonl import SegmentJsonl

GROUP = "pathline.formats"
FORMATS: dict[str, Callable[[str], Source]] = {"segment": SegmentJsonl, "complete_journey": CompleteJourney}


def open_source(text: str) -> Source:
    """The source in `KIND:SOURCE`; a text without a known kind is a file of Segment messages. Raises BadSource."""
    kind, colon, rest = text.partition(":")
    plugged = {entry.name: entry for entry in entry_points(group=GROUP)}
    if kind in FORMATS:
        return FORMATS[kind](rest)
    if kind in plugged:
        made: Source = plugged[kind].load()(rest)
        return made
    if colon and not Path(text).exists():
        raise BadSource(f"unknown format {kind!r}; there are {', '.join(sorted({*FORMATS, *plugged}))} (FORMAT:SOURCE)")
    return SegmentJsonl(text)
