"""Receipts as rows: which channels each is about, and which addresses."""

from __future__ import annotations

import phonenumbers

from pathline.members.happenings import at_path
from pathline.members.query import Query, array, texts
from processors.segments.receipts import COMMON, FAMILIES, KINDS
from schemas.definitions.model import IdentifierType
from sinks.clickhouse.paths.filters import quoted

#: keys of properties that name an address, in this order
_WRITTEN = ("address", "email", "phone", "token")


def receipts(query: Query) -> str:
    """The part with receipts of all kinds: `word` is the last of its name, `channels` those it is about, `addresses`
    the bare addresses that it names, else those of these channels that it came by."""
    project = query.project
    sending = {name: channel for name, channel in project.channels.items() if channel.kind == "send"}
    families = texts(sorted({*project.channels, *COMMON}))
    named = texts(sending)
    by_key = [
        f"{_says(key)}, {array(name for name, channel in sending.items() if key in channel.identifiers)}"
        for key in ("email", "phone")
    ]
    pushing = array(name for name in sending if "push" in name)
    usual = array(["email"] if "email" in sending else [])
    types = ", ".join(f"{quoted(name)}, {array(channel.identifiers)}" for name, channel in sending.items())
    said = ", ".join(
        f"trimBoth(normalizeUTF8NFKC(ifNull(name_in({at_path(f'properties.{key}')}), ''))) AS written_{key}"
        for key in _WRITTEN
    )
    return query.part(
        "receipts",
        "receipts with the channels they are about and the addresses they name",
        f"""
        SELECT *, coalesce({", ".join(_written(query)) or "NULL"}, '') AS written,
               if(written != '', [written], arrayMap(i -> address_of(i),
                  arrayFilter(i -> has(types, type_of(i)), identifiers))) AS addresses
        FROM
        (
            SELECT *, multiIf(said IN {named}, [assumeNotNull(said)], channel IN {named}, [toString(channel)],
                              family IN {named}, [family], family = 'push', {pushing}, {", ".join(by_key)},
                              {usual}) AS channels,
                   arrayDistinct(arrayFlatten(arrayMap(c -> map({types})[c], channels))) AS types
            FROM
            (
                SELECT *, as_text({at_path("properties.channel")}) AS said, {said},
                       splitByChar(' ', toString(name))[-1] AS word,
                       replaceRegexpOne(name, '( Link Clicked)?( Marked as Spam)?$', '') AS noun,
                       lowerUTF8(if(noun = name, replaceRegexpOne(name, ' ?[^ ]*$', ''), noun)) AS spoken,
                       transform(spoken, {array(FAMILIES)}, {array(FAMILIES.values())},
                                 replaceAll(spoken, ' ', '_')) AS family
                FROM known
                WHERE match(name, {quoted(f"(^| )({'|'.join(sorted(KINDS))})$")})
            )
            WHERE name = 'Unsubscribed' OR family IN {families}
        )
        """,
        "receipts",
    )


def _says(key: str) -> str:
    """SQL for whether a property says something."""
    return f"JSONExtractRaw(properties, {quoted(key)}) NOT IN ('', 'null', '\"\"', '0', 'false', '[]', '{{}}')"


def _written(query: Query) -> list[str]:
    """SQL for each way in which a receipt may name an address, in the order in which they are tried."""
    rules = query.project.identity
    channels = [channel for channel in query.project.channels.values() if channel.kind == "send"]
    types = sorted({type for channel in channels for type in channel.identifiers} & rules.types.keys())
    found = []
    for key in _WRITTEN:
        value = f"written_{key}"
        for type in types:
            if key not in ("email", "phone") or key == type:
                usable = _normal(rules.types[type], value)
                found.append(
                    f"if(has(types, {quoted(type)}) AND {value} NOT IN {texts(rules.blocked)}, {usable}, NULL)"
                )
    return found


def _normal(type: IdentifierType, value: str) -> str:
    """SQL for an address as it is written elsewhere in the line, NULL for one that can't be one: as far as patterns go,
    the libraries at the edge know more."""
    match type.normalize:
        case "email":
            usable = f"lowerUTF8({value})"
            for ignored, pattern in (("plus_tags", "[+][^@]*@"), ("dots", "")):
                if ignored in type.ignore:
                    local = f"replaceAll(splitByChar('@', {usable})[1], '.', '')"
                    usable = (
                        f"replaceRegexpOne({usable}, '{pattern}', '@')"
                        if pattern
                        else f"concat({local}, '@', splitByChar('@', {usable})[2])"
                    )
            shape = "^[^@\\s]+@[^@\\s]+[.][^@\\s]+$"
        case "phone":
            usable, shape = _phone(value, type.region), "^[+(]?[0-9][0-9() .-]+$"
        case _:
            usable, shape = value, "."
    if type.hash:
        usable = f"if(match({value}, '^[0-9a-fA-F]{{64}}$'), lower({value}), lower(hex(SHA256({usable}))))"
        shape = f"{shape}|^[0-9a-fA-F]{{64}}$"
    return f"if(match({value}, {quoted(shape)}), {usable}, NULL)"


def _phone(value: str, region: str | None) -> str:
    """SQL for a number in E.164; one without + is a number of the region."""
    digits = f"replaceRegexpAll({value}, '[^0-9]', '')"
    known = phonenumbers.PhoneMetadata.metadata_for_region(region) if region else None
    if known is None:
        return f"if(startsWith({value}, '+'), concat('+', {digits}), NULL)"
    code = str(known.country_code)
    abroad, at_home = known.international_prefix or "(?!)", known.national_prefix or ""
    national_lengths = known.general_desc.possible_length if known.general_desc else ()
    lengths = f"({', '.join(str(length + len(code)) for length in national_lengths)})"
    national = f"replaceRegexpOne({digits}, '^{at_home}', '')" if at_home else digits
    return (
        f"multiIf(startsWith({value}, '+'), concat('+', {digits}),"
        f" match({digits}, '^{abroad}'), concat('+', replaceRegexpOne({digits}, '^{abroad}', '')),"
        f" startsWith({digits}, '{code}') AND length({digits}) IN {lengths}, concat('+', {digits}),"
        f" concat('+{code}', {national}))"
    )
