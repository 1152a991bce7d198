"""What recordings look like in the world: `pathline simulate` reads them all the same."""

from __future__ import annotations

import codecs
import json

from pathline.simulation.run import read
from schemas.definitions import load
from tests.line.project import Lab, at, track

END = 4_000_000_000_000


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_are_no_mistakes(lab: Lab) -> None:
    first, second = (json.dumps(track("Order Completed", at(hours=hour))).encode() for hour in (0, 1))
    lines = [codecs.BOM_UTF8 + first + b"\r\n", b"  \r\n", second]
    found = read(lines, load(lab.folder), END)
    assert len(found.events) == 2
    assert found.rejected == []


def test_a_line_that_is_no_event_is_told_with_its_number(lab: Lab) -> None:
    lines = [b"\n", b"{bad\n", b"[]\n", b'{"type": "track"}\n', json.dumps(track("Order Completed", at())).encode()]
    found = read(lines, load(lab.folder), END)
    assert len(found.events) == 1
    assert [line.number for line in found.rejected] == [2, 3, 4]
