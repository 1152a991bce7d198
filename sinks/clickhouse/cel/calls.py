"""Functions of the engine; one that it does not have for a type fails."""

from __future__ import annotations

from datetime import timedelta

from schemas.definitions import cel_engine
from sinks.clickhouse.cel.values import FAILED, TYPES, Inexpressible, Value, first_of, typed, unless_failed

#: parts of a time as the engine counts them: months, days of the month and of the year from 0
_PARTS = {
    "getFullYear": "toYear({at})",
    "getMonth": "toMonth({at}) - 1",
    "getDate": "toDayOfMonth({at})",
    "getDayOfMonth": "toDayOfMonth({at}) - 1",
    "getDayOfWeek": "toDayOfWeek({at}) % 7",
    "getDayOfYear": "toDayOfYear({at}) - 1",
    "getHours": "toHour({at})",
    "getMinutes": "toMinute({at})",
    "getSeconds": "toSecond({at})",
    "getMilliseconds": "toMillisecond({at})",
}
#: of a length of time, in microseconds
_LENGTHS = {"getHours": 3_600_000_000, "getMinutes": 60_000_000, "getSeconds": 1_000_000}


def called(function: str, on: bool, values: list[Value]) -> Value:
    """`function(values)`, or the first value's `.function(others)`. Raises Inexpressible."""
    first, *others = values
    match f".{function}" if on else function, len(values):
        case "dyn", 1:
            return first
        case "type", 1:
            return _type(first)
        case (("size" | ".size"), 1):
            return _size(first)
        case ((".contains" | ".startsWith" | ".endsWith"), 2):
            text, part = typed(first, "text"), typed(others[0], "text")
            if text is None or part is None:
                return FAILED
            test = f"position({text}, {part}) > 0" if function == "contains" else f"{function}({text}, {part})"
            return Value("truth", f"({test})")
        case (("int" | "uint"), 1):
            return _whole(first, function)
        case "double", 1:
            return _double(first)
        case "string", 1:
            return _text(first)
        case "timestamp", 1:
            text = typed(first, "text")
            if first.kind == "instant" or text is None:
                return first if first.kind == "instant" else FAILED
            return Value("instant", f"written_instant({text})", f"written_clock({text})")
        case "duration", 1:
            return _span(first)
        case _, 1 if on and function in _PARTS:
            return _part(first, function)
    if function == "bytes":
        raise Inexpressible("bytes")
    return FAILED


def _type(of: Value) -> Value:
    if of.kind == "type":
        raise Inexpressible("the type of a type")
    if of.kind != "any":
        return Value("type", unless_failed(of, f"'{TYPES[of.kind]}'"))
    names = "['Int64', 'UInt64', 'Double', 'String', 'Bool', 'Array', 'Object']"
    types = "['double', 'double', 'double', 'string', 'bool', 'list', 'map']"
    found = f"transform(ifNull(toString(JSONType({of.sql})), ''), {names}, {types}, 'null_type')"
    return Value("type", unless_failed(of, found))


def _size(of: Value) -> Value:
    # the engine counts the bytes of a text
    if of.kind == "text":
        return Value("int", f"toInt64(length({of.sql}))")
    if of.kind != "any":
        return FAILED
    text = f"startsWith({of.sql}, '\"'), toInt64(length(JSONExtractString({of.sql})))"
    inside = f"is_list({of.sql}) OR is_object({of.sql}), toInt64(JSONLength({of.sql}))"
    return Value("int", f"multiIf({text}, {inside}, NULL)")


def _whole(of: Value, function: str) -> Value:
    low, sign = ("0", "[+]?") if function == "uint" else ("-9223372036854775808", "[+-]?")
    if of.kind == "int":
        return Value("int", f"if({of.sql} >= {low}, {of.sql}, NULL)")
    number, text = typed(of, "double"), typed(of, "text")
    fits = f"if({number} >= {low} AND {number} < 9223372036854775808, toInt64(trunc({number})), NULL)"
    read = f"if(match({text}, '^{sign}[0-9]+$'), toInt64OrNull({text}), NULL)"
    return first_of("int", number and fits, text and read)


def _double(of: Value) -> Value:
    number, text = typed(of, "double"), typed(of, "text")
    shape = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"
    read = f"if(match({text}, '{shape}'), toFloat64OrNull({text}), NULL)"
    return first_of("double", number and f"toFloat64({number})", text and read)


def _text(of: Value) -> Value:
    if of.kind in ("instant", "span"):
        raise Inexpressible(f"the text of a {TYPES[of.kind]}")
    number = typed(of, "double")
    return first_of("text", typed(of, "text"), number and f"toString({number})")


def _span(of: Value) -> Value:
    if of.kind == "span":
        return of
    if of.kind != "text" or not of.sql.startswith("'"):
        raise Inexpressible("a duration that is not written out")
    try:
        length = cel_engine.program(f"duration({of.sql})").execute({})
    except Exception:  # the engine's own errors have no common type
        return FAILED
    return Value("span", str(length // timedelta(microseconds=1)))


def _part(of: Value, function: str) -> Value:
    if of.kind == "span" and function in _LENGTHS:
        return Value("int", f"intDiv({of.sql}, {_LENGTHS[function]})")
    if of.kind != "instant":
        return FAILED
    # the engine reads the clock of the offset that the time was written with
    at = f"fromUnixTimestamp64Micro({of.wall}, 'UTC')"
    return Value("int", f"toInt64({_PARTS[function].format(at=at)})")
