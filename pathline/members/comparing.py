"""The operators of `trait` conditions as SQL over JSON values."""

from __future__ import annotations

import json
from typing import Any

from sinks.clickhouse.paths.filters import quoted


def compared(op: str, value: str, wanted: Any) -> str:
    """SQL for whether a value that is there meets an operator that asks for no date of the person; NULL is no."""
    match op:
        case "equals":
            return _same(value, wanted)
        case "not_equals":
            return f"NOT ifNull({_same(value, wanted)}, false)"
        case "one_of":
            return f"({' OR '.join(_same(value, one) for one in wanted)})"
        case "at_least" | "at_most":
            if isinstance(wanted, bool):
                return "false"
            return f"as_number({value}) {'>=' if op == 'at_least' else '<='} {wanted!r}"
        case "exists":
            return f"{value} IS {'NOT ' if wanted else ''}NULL"
        case "contains":
            text = f"position(as_text({value}), {quoted(wanted)}) > 0" if isinstance(wanted, str) else "false"
            members = f"arrayExists(m -> ifNull({_same('m.2', wanted)}, false), JSONExtractKeysAndValuesRaw(e))"
            inside = f"if(is_object(e), {members}, {_same('e', wanted)})"
            return f"if(is_list({value}), arrayExists(e -> ifNull({inside}, false), elements({value})), {text})"
    raise ValueError(f"the trait operator {op} is not known")


def _same(value: str, wanted: Any) -> str:
    if isinstance(wanted, bool):
        return f"same_truth({value}, {'true' if wanted else 'false'})"
    if isinstance(wanted, int | float):
        return f"same_number({value}, {wanted!r})"
    if isinstance(wanted, str):
        return f"same_text({value}, {quoted(wanted)})"
    # as ClickHouse writes it
    return f"same_value({value}, JSONExtractRaw({quoted(json.dumps({'v': wanted}, ensure_ascii=False))}, 'v'))"
