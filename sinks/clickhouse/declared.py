"""Functions that compiled queries declare in their WITH clause, each where it is used.

A JSON value travels as its text (Nullable(String), as `JSONExtractRaw` gives it); NULL stands for what is not there.
"""

from __future__ import annotations

import re

#: (name, definition) in an order in which each stands after those it uses
_FUNCTIONS: tuple[tuple[str, str], ...] = (
    # JSON values as numbers, texts and truth values, NULL for those of another type: the first character tells it
    ("is_text", "(j) -> startsWith(j, '\"')"),
    ("is_list", "(j) -> startsWith(j, '[')"),
    ("is_object", "(j) -> startsWith(j, '{')"),
    ("is_truth", "(j) -> j IN ('true', 'false')"),
    ("is_number", "(j) -> toFloat64OrNull(j) IS NOT NULL"),
    ("as_number", "(j) -> toFloat64OrNull(j)"),
    ("as_text", "(j) -> if(is_text(j), JSONExtractString(j), NULL)"),
    ("as_truth", "(j) -> if(is_truth(j), j = 'true', NULL)"),
    # whether a JSON value equals another one: those of other types do not, what is not there is neither
    ("same_number", "(j, n) -> if(j IS NULL OR n IS NULL, NULL, ifNull(as_number(j) = n, false))"),
    ("same_text", "(j, t) -> if(j IS NULL OR t IS NULL, NULL, ifNull(as_text(j) = t, false))"),
    ("same_truth", "(j, b) -> if(j IS NULL OR b IS NULL, NULL, ifNull(as_truth(j) = b, false))"),
    (
        "same_value",
        "(a, b) -> arrayMap(p -> multiIf(p.1 IS NULL OR p.2 IS NULL, NULL, is_number(p.1) AND is_number(p.2),"
        " as_number(p.1) = as_number(p.2), is_object(p.1) AND is_object(p.2),"
        " arraySort(JSONExtractKeysAndValuesRaw(ifNull(p.1, '')))"
        " = arraySort(JSONExtractKeysAndValuesRaw(ifNull(p.2, ''))), p.1 = p.2), [(a, b)])[1]",
    ),
    # texts and truth values as JSON
    ("text_json", "(t) -> replaceAll(toJSONString(t), '\\\\/', '/')"),
    ("truth_json", "(b) -> multiIf(b IS NULL, NULL, b, 'true', 'false')"),
    # elements of a list, keys of an object
    ("elements", "(j) -> JSONExtractArrayRaw(ifNull(j, ''))"),
    (
        "entries",
        "(j) -> if(is_object(j), arrayMap(k -> text_json(k), JSONExtractKeys(ifNull(j, ''))), elements(j))",
    ),
    ("joined", "(a) -> concat('[', arrayStringConcat(a, ','), ']')"),
    # what stands in an object under a name, or in a list at a place (from 1 on)
    (
        "part",
        "(j, name, place) -> arrayMap(v -> multiIf(is_list(v) AND place > 0, nullIf(JSONExtractRaw(v, toInt64(place)),"
        " ''), is_object(v), nullIf(JSONExtractRaw(v, name), ''), NULL), [j])[1]",
    ),
    # a value as a name: 7 and "7" are one
    ("name_in", "(j) -> arrayMap(v -> multiIf(is_text(v), nullIf(as_text(v), ''), is_number(v), v, NULL), [j])[1]"),
    # the first of some values that is a number
    ("first_number", "(values) -> arrayFirst(n -> n IS NOT NULL, arrayMap(v -> as_number(v), values))"),
    # several objects as one: of each member the first that is not null
    (
        "object_of",
        "(pairs) -> arrayMap(of -> concat('{', arrayStringConcat(arrayMap(p -> concat(text_json(p.1), ':', p.2),"
        " arrayFilter((p, i) -> indexOf(of.1, p.1) = i, of, arrayEnumerate(of))), ','), '}'), [pairs])[1]",
    ),
    (
        "merged",
        "(texts) -> object_of(arraySort(p -> p.2 = 'null',"
        " arrayFlatten(arrayMap(t -> JSONExtractKeysAndValuesRaw(t), texts))))",
    ),
    # a receipt that a machine caused
    ("by_machine", "(properties) -> JSONExtractRaw(properties, 'machine') = 'true'"),
    # a JSON value in the order of values: first by type
    (
        "ordered",
        "(j) -> (multiIf(is_truth(j), 'bool', is_number(j), 'number', is_text(j), 'str', 'bytes'),"
        " ifNull(as_number(j), 0), ifNull(as_text(j), j))",
    ),
    # sums of decimal fractions as they were written, as long as they fit
    ("decimal", "(j) -> toDecimal256OrNull(j, 24)"),
    ("exact_sum", "(values) -> arraySum(arrayMap(v -> ifNull(decimal(v), 0), values))"),
    ("plain_sum", "(values) -> arraySum(arrayMap(v -> ifNull(as_number(v), 0), values))"),
    ("fit", "(values) -> arrayAll(v -> decimal(v) IS NOT NULL, values)"),
    (
        "sum_of",
        "(values) -> arrayMap(of -> if(fit(of), toString(exact_sum(of)), toString(plain_sum(of))), [values])[1]",
    ),
    (
        "average_of",
        "(values) -> arrayMap(of -> if(fit(of), toString(divideDecimal(exact_sum(of),"
        " toDecimal256(length(of), 0), 30)), toString(plain_sum(of) / length(of))), [values])[1]",
    ),
    (
        "lowered",
        "(j, taken) -> if(is_number(j) AND notEmpty(taken), ifNull(toString(decimal(j)"
        " - exact_sum(arrayMap(t -> toString(t), taken))), toString(as_number(j) - arraySum(taken))), j)",
    ),
    # whether somebody is not lost yet, e to the power of x less 1, and two digits (none below a hundredth)
    ("here", "(more, odds, silence) -> 1 / (1 + exp(least(log(odds) + more * log1p(silence), 709)))"),
    ("minus_one_exp", "(x) -> 2 * exp((x) / 2) * sinh((x) / 2)"),
    (
        "round_to_digits",
        "(x) -> if(x < 10, round(x, 2), round(x / exp10(floor(log10(x)) - 1)) * exp10(floor(log10(x)) - 1))",
    ),
    # sets of steps as bits: those that events can be with one event more, and how many steps are taken with them
    (
        "together",
        "(sets, steps) -> arrayDistinct(arrayConcat(sets, arrayFlatten(arrayMap(s -> arrayMap(n -> bitOr(s,"
        " bitShiftLeft(toUInt64(1), n)), arrayFilter(n -> NOT bitTest(s, n), steps)), sets))))",
    ),
    (
        "taken_after",
        "(taken, sets) -> arrayMax(arrayMap(s -> toUInt64(taken + bitCount(bitXor(bitShiftRight(s, taken),"
        " bitShiftRight(s, taken) + 1)) - 1), sets))",
    ),
    # the parts of an identifier, `type:value`
    ("type_of", "(i) -> substring(i, 1, position(i, ':') - 1)"),
    ("address_of", "(i) -> substring(i, position(i, ':') + 1)"),
    ("or_nobody", "(addresses) -> if(empty(addresses), [''], addresses)"),
    # of choices (address, channel, purpose, at, granted) the newest one, at one instant the refusal
    (
        "newest_choice",
        "(choices, silence) -> if(empty(choices), silence, NOT arrayMax(arrayMap(c -> (c.4, NOT c.5), choices)).2)",
    ),
    ("nowhere", "(x) -> CAST([], 'Array(Tuple(DateTime64(3, \\'UTC\\'), String, Float64))')"),
    # the first that is true or failed decides whether some are, the first that is not true whether all are
    (
        "some_of",
        "(tests) -> arrayMap(a -> if(arrayFirstIndex(v -> ifNull(v, true), a) = 0, false,"
        " a[arrayFirstIndex(v -> ifNull(v, true), a)]), [tests])[1]",
    ),
    (
        "all_of",
        "(tests) -> arrayMap(a -> if(arrayFirstIndex(v -> NOT ifNull(v, false), a) = 0, true,"
        " a[arrayFirstIndex(v -> NOT ifNull(v, false), a)]), [tests])[1]",
    ),
    # an instant as `event.timestamp` is written
    (
        "written_at",
        "(t) -> concat(formatDateTime(t, '%Y-%m-%dT%H:%i:%S.'),"
        " leftPad(toString(positiveModulo(toUnixTimestamp64Milli(t), 1000)), 3, '0'), 'Z')",
    ),
    ("short_time", "(t) -> replaceOne(written_at(t), '.000Z', 'Z')"),
    # a time as RFC 3339 writes it: what the clock there shows, and the instant; microseconds since 1970
    (
        "written_time",
        "(t) -> toDateTime64OrNull(concat(substring(t, 1, 10), ' ', substring(t, 12, 8), extract(t, '[.][0-9]+')), 6,"
        " 'UTC')",
    ),
    (
        "written_clock",
        "(t) -> if(match(t, '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?"
        "([Zz]|[+-][0-9]{2}:[0-9]{2})$') AND formatDateTime(written_time(t), '%Y-%m-%d %H:%i:%S') ="
        " concat(substring(t, 1, 10), ' ', substring(t, 12, 8)), toUnixTimestamp64Micro(written_time(t)), NULL)",
    ),
    (
        "written_instant",
        "(t) -> written_clock(t) - if(match(t, '[Zz]$'), 0, toInt64(concat(substring(t, -6, 1), '1'))"
        " * (toInt64OrZero(substring(t, -5, 2)) * 60 + toInt64OrZero(substring(t, -2, 2))) * 60000000)",
    ),
    # the instant a number names: seconds or milliseconds since 1970
    ("numbered", "(n) -> toInt64(roundBankers(if(abs(n) >= 1e11, n, n * 1000)))"),
    # days since 1970, of any year from 1 on
    (
        "day_number",
        "(y, m, d) -> 365 * (y - (m < 3)) + intDiv(y - (m < 3), 4) - intDiv(y - (m < 3), 100)"
        " + intDiv(y - (m < 3), 400) + intDiv(153 * ((m + 9) % 12) + 2, 5) + d - 719469",
    ),
    ("is_leap", "(y) -> (y % 4 = 0 AND y % 100 != 0) OR y % 400 = 0"),
    ("days_in", "(y, m) -> if(m = 2, if(is_leap(y), 29, 28), if(m IN (4, 6, 9, 11), 30, 31))"),
    ("first_monday", "(y) -> day_number(y, 1, 4) - positiveModulo(day_number(y, 1, 4) + 3, 7)"),
    # what the clock of a zone shows at an instant, and the other way round; milliseconds
    ("held_in", "(t) -> least(greatest(t, toInt64(-2208988800000)), toInt64(10413791999000))"),
    (
        "clock",
        "(t, zone) -> toUnixTimestamp64Milli(toDateTime64(formatDateTime(fromUnixTimestamp64Milli(toInt64(held_in(t)),"
        " 'UTC'), '%Y-%m-%d %H:%i:%S', zone), 3, 'UTC'))",
    ),
    ("ahead", "(t, zone) -> clock(t, zone) - intDiv(held_in(t), 1000) * 1000"),
    ("local_day", "(t, zone) -> toInt64(floor(clock(t, zone) / 86400000))"),
    # by how much the clock is ahead the day before and the day after: a time that comes twice is the first one, one
    # that is skipped the end of the gap
    (
        "local_instant",
        "(local, zone, before, after) -> multiIf(before = after, local - before,"
        " ahead(local - before, zone) = before, local - before, ahead(local - after, zone) = after, local - after,"
        " arrayFirst(t -> ahead(t, zone) = after,"
        " arrayMap(i -> (intDiv(local - after, 60000) + i) * 60000, range(1, 1500))))",
    ),
)


def declared(sql: str) -> list[tuple[str, str]]:
    """(name, definition) of the functions that a query uses, in the order in which they are declared."""
    wanted = _named(sql)
    for name, definition in reversed(_FUNCTIONS):
        if name in wanted:
            wanted |= _named(definition)
    return [(name, definition) for name, definition in _FUNCTIONS if name in wanted]


_CALL = re.compile(rf"\b({'|'.join(name for name, _ in _FUNCTIONS)})\(")


def _named(sql: str) -> set[str]:
    return set(_CALL.findall(sql))
