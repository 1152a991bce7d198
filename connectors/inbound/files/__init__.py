"""Sources that are loaded rather than received, one file per format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from glob import glob, has_magic
from importlib.metadata import entry_points
from pathlib import Path

from connectors.inbound.files.base import BadSource, Source
from connectors.inbound.files.complete_journey import CompleteJourney
from connectors.inbound.files.csv_rows import CsvRows
from connectors.inbound.files.mapping import Mapping, read_mapping
from connectors.inbound.files.parquet_rows import ParquetRows
from connectors.inbound.files.reading import Input
from connectors.inbound.files.segment_jsonl import SegmentJsonl
from connectors.inbound.files.several import Several

__all__ = ["open_source", "open_sources", "read_mapping"]

GROUP = "pathline.formats"
FORMATS: dict[str, Callable[[str], Source]] = {"segment": SegmentJsonl, "complete_journey": CompleteJourney}


def open_source(text: str, mapping: Mapping | None = None) -> Source:
    """The source in `KIND:SOURCE`, else a file, `-` (standard input) or a pattern of files. Raises BadSource."""
    kind, colon, rest = text.partition(":")
    plugged = {entry.name: entry for entry in entry_points(group=GROUP)}
    if mapping is None and kind in FORMATS:
        return FORMATS[kind](rest)
    if mapping is None and kind in plugged:
        made: Source = plugged[kind].load()(rest)
        return made
    if has_magic(text) and not Path(text).exists():
        found = sorted(path for path in glob(text, recursive=True) if Path(path).is_file())
        if not found:
            raise BadSource(f"no file fits {text}")
        return Several([_file(name, mapping) for name in found], f"files:{Path(text).absolute()}")
    if mapping is None and colon and not Path(text).exists():
        raise BadSource(f"unknown format {kind!r}; there are {', '.join(sorted({*FORMATS, *plugged}))} (FORMAT:SOURCE)")
    return _file(text, mapping)


def open_sources(texts: Sequence[str], mapping: Mapping | None = None) -> Source:
    """One source of one or several. Raises BadSource."""
    if len(texts) == 1:
        return open_source(texts[0], mapping)
    parts = [open_source(text, mapping) for text in texts]
    return Several(parts, " ".join(part.id for part in parts))


def _file(name: str, mapping: Mapping | None) -> Source:
    input = Input(name)
    if input.kind == "parquet":
        return ParquetRows(input, mapping)
    if input.kind == "csv" or mapping is not None:
        return CsvRows(input, mapping)
    return SegmentJsonl(name)
