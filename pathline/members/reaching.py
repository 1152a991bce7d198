"""Addresses, consent, lists and lotteries as SQL."""

from __future__ import annotations

from pathline.members.happenings import at_path
from pathline.members.query import Query, texts
from pathline.members.receipts import receipts
from schemas.consent import SILENCE_ALLOWS
from schemas.definitions.model import Percent
from sinks.clickhouse.paths.filters import quoted


def reachable(query: Query, channel: str) -> str:
    """SQL that is true of people with a known address."""
    return f"person_id IN (SELECT person_id FROM {_addresses(query, channel)})"


def listed(query: Query, name: str) -> str:
    """SQL that is true of people of whom an identifier is in a static list."""
    found = query.part(
        f"list {name}",
        f"list:{name}: people of whom an identifier is in it, by the newest that was said of each",
        f"""
        SELECT DISTINCT person_id
        FROM
        (
            SELECT person_id, slot, identifier, argMax(member, (at, NOT member)) AS inside
            FROM pathline.listed WHERE list = {quoted(name)} AND ({query.heard("at")})
            GROUP BY person_id, slot, identifier
        )
        WHERE inside
        """,
        ("list", name),
    )
    return f"person_id IN {found}"


def lottery(query: Query, one: Percent) -> str:
    """SQL that is true of people whose number lies in a range; it hangs on the identifier they were seen by first."""
    found = query.part(
        f"lottery {one.of}",
        f"everybody's number in the lottery {one.of}, from 0 up to 100",
        f"""
        SELECT person_id, replaceRegexpOne(argMin(slot, (occurred_at, slot)), '#-?[0-9]+$', '') AS first,
               SHA256(concat({quoted(one.of)}, char(0), first)) AS drawn,
               toFloat64(reinterpretAsUInt64(reverse(substring(drawn, 1, 8)))) / 18446744073709551616 * 100 AS number
        FROM known
        GROUP BY person_id
        """,
        ("lottery", one.of),
    )
    return f"person_id IN (SELECT person_id FROM {found} WHERE number >= {one.low} AND number < {one.high})"


def consented(query: Query, channel: str, purpose: str) -> str:
    """SQL that is true of people who may be contacted: by any of their addresses, by the person's own choice when none
    is known."""
    silence = "true" if query.project.channels[channel].consent in SILENCE_ALLOWS else "false"
    ours = "c.1 IN ('', address)"
    about = f"(c.2 != '' AND c.3 IN ('', {quoted(purpose)})) OR (c.2 = '' AND c.3 = '')"
    allowed = f"newest_choice(arrayFilter(c -> {ours} AND ({about}), choices), {silence})"
    if purpose:
        # a purpose that was refused forbids, one that was granted does not open a channel
        allowed += f" AND newest_choice(arrayFilter(c -> {ours} AND c.3 = {quoted(purpose)}, choices), true)"
    addresses = _addresses(query, channel)
    unknown = f"person_id NOT IN (SELECT person_id FROM {addresses})"
    without = f"SELECT person_id, '' AS address FROM everybody WHERE {unknown}"
    every = f"SELECT person_id, address FROM {addresses} UNION ALL {without}"
    found = query.part(
        f"consent {channel} {purpose}",
        f"consent: {channel}{f', purpose {purpose}' if purpose else ''}: people with an address that may be used,"
        " by the newest choice about it or the person, at one instant the refusal",
        f"""
        SELECT DISTINCT person_id
        FROM
        (
            SELECT a.person_id AS person_id, a.address AS address,
                   groupArrayIf((c.address, c.channel, c.purpose, c.at, c.granted), c.told) AS choices
            FROM ({every}) AS a LEFT JOIN {_choices(query, channel)} AS c ON a.person_id = c.person_id
            GROUP BY person_id, address
        )
        WHERE {allowed}
        """,
        ("consent", channel, purpose),
    )
    return f"person_id IN {found}"


def _addresses(query: Query, channel: str) -> str:
    types = texts(query.project.channels[channel].identifiers)
    return query.part(
        f"addresses {channel}",
        f"known addresses for {channel}",
        f"""
        SELECT DISTINCT person_id, address_of(identifier) AS address
        FROM known ARRAY JOIN identifiers AS identifier
        WHERE type_of(identifier) IN {types}
        """,
        ("addresses", channel),
    )


def _choices(query: Query, channel: str) -> str:
    """What was chosen about a channel, or about a purpose in all channels."""
    types = texts(query.project.channels[channel].identifiers)
    channels = texts(query.project.channels)
    addresses = f"arrayMap(i -> address_of(i), arrayFilter(i -> type_of(i) IN {types}, identifiers))"
    return query.part(
        f"choices {channel}",
        f"choices about {channel}, for an address or the person (''), for a purpose or all ('')",
        f"""
        SELECT person_id, at, true AS told, granted, channel, purpose, address
        FROM
        (
            SELECT person_id, occurred_at AS at, choice.2 = 'true' AS granted,
                   splitByChar(':', choice.1)[1] AS first, first IN {channels} AS of_channel,
                   if(of_channel, first, '') AS channel,
                   if(of_channel, substring(choice.1, length(first) + 2), choice.1) AS purpose,
                   if(of_channel, or_nobody({addresses}), ['']) AS about
            FROM known
            ARRAY JOIN JSONExtractKeysAndValuesRaw(context, 'consent', 'categoryPreferences') AS choice
            WHERE position(context, '"categoryPreferences"') > 0 AND choice.2 IN ('true', 'false')
              AND channel IN ('', {quoted(channel)})
            UNION ALL
            SELECT person_id, occurred_at AS at, false AS granted, '' AS first, true AS of_channel,
                   {quoted(channel)} AS channel, {_purpose()} AS purpose, or_nobody(addresses) AS about
            FROM {receipts(query)}
            WHERE word = 'Unsubscribed' AND has(channels, {quoted(channel)})
        )
        ARRAY JOIN about AS address
        """,
        ("choices", channel),
    )


def _purpose() -> str:
    return f"ifNull(name_in({at_path('properties.purpose')}), '')"
