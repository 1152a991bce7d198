"""Where and when people answer most, as SQL."""

from __future__ import annotations

from pathline.members.clocks import zones
from pathline.members.collecting import called
from pathline.members.query import Query, array, texts
from pathline.members.receipts import receipts
from processors.segments.affinity import CLICK, HALF_LIFE_MS, NEWEST, OPEN, PURCHASE, REPLY
from processors.segments.plan import PURCHASE as BOUGHT
from schemas.receipts import CLICKED, ENDINGS, OPENED, REACH_MS
from sinks.clickhouse.paths.filters import quoted


def preferred(query: Query, channel: str) -> str:
    """SQL that is true of people who answer in a channel more than in any other."""
    return f"person_id IN (SELECT person_id FROM {best_channels(query)} WHERE value = text_json({quoted(channel)}))"


def best_channels(query: Query) -> str:
    """The part with the channel that people answer in most (`value`, JSON)."""
    return query.part(
        "best_channel",
        "the channel with the highest score; each answer and purchase is worth half after 30 days, a purchase elsewhere"
        " counts where the person answered last, within 72 hours before it",
        f"""
        SELECT person_id, text_json(argMin(channel, (-score, channel))) AS value
        FROM
        (
            SELECT person_id, placed.2 AS channel,
                   sum(placed.3 * exp2((toUnixTimestamp64Milli(placed.1) - toUnixTimestamp64Milli(past[-1].1))
                                       / {HALF_LIFE_MS})) AS score
            FROM
            (
                SELECT person_id, arrayFilter(e -> e.1 <= instant, newest) AS past,
                       arrayFold((state, e) -> (
                           if(e.3 != '' AND NOT e.2, (e.1, e.3), state.1),
                           arrayConcat(state.2, multiIf(e.3 != '', [(e.1, e.3, e.4)], state.1.2 != ''
                               AND toUnixTimestamp64Milli(e.1) - toUnixTimestamp64Milli(state.1.1) <= {REACH_MS},
                               [(e.1, state.1.2, e.4)], nowhere(0)))), past, ((toDateTime64(0, 3, 'UTC'), ''),
                           nowhere(0))).2 AS every
                FROM {_newest(query)}
            )
            ARRAY JOIN every AS placed
            GROUP BY person_id, channel
        )
        GROUP BY person_id
        """,
        "preferred",
    )


def best_hours(query: Query) -> str:
    """The part with the hour of the local day in which people answer most (`value`, JSON): an answer speaks half as
    much for the hours beside its own."""
    return query.part(
        "best_hour",
        "the hour in which people answer most, on their clocks",
        f"""
        SELECT person_id, toString(argMin(at_hour, (-score, at_hour))) AS value
        FROM
        (
            SELECT person_id, spoken.1 AS at_hour, sum(spoken.2) AS score
            FROM
            (
                SELECT person_id, toInt8(formatDateTime(answer.1, '%H', zone)) AS hour,
                       answer.4 * exp2((toUnixTimestamp64Milli(answer.1) - toUnixTimestamp64Milli(answers[-1].1))
                                       / {HALF_LIFE_MS}) AS faded
                FROM
                (
                    SELECT n.person_id AS person_id, z.zone AS zone,
                           arrayFilter(e -> e.1 <= instant AND NOT e.2, n.newest) AS answers
                    FROM {_newest(query)} AS n INNER JOIN {zones(query)} AS z ON n.person_id = z.person_id
                )
                ARRAY JOIN answers AS answer
            )
            ARRAY JOIN [(hour, faded), ((hour + 23) % 24, faded / 2), ((hour + 1) % 24, faded / 2)] AS spoken
            GROUP BY person_id, at_hour
        )
        GROUP BY person_id
        """,
        "best_hour",
    )


def _newest(query: Query) -> str:
    """The engagements of everybody that decide, as (when, bought, channel, worth)."""
    return query.part(
        "newest_engagements",
        f"the newest {NEWEST} answers and purchases of everybody",
        f"""
        SELECT person_id, arraySlice(arraySort(groupArray((at, bought, channel, worth))), -{NEWEST}) AS newest
        FROM {_engagements(query)}
        GROUP BY person_id
        """,
        "newest_engagements",
    )


def _engagements(query: Query) -> str:
    """Answers and purchases."""
    project = query.project
    purchases = sorted({BOUGHT, *(name for name, rule in project.events.items() if rule.revenue is not None)})
    sending = texts(name for name, channel in project.channels.items() if channel.kind == "send")
    words = {word: {CLICKED: CLICK, OPENED: OPEN}.get(depth, 0) for word, depth in ENDINGS.items()} | {"Replied": REPLY}
    worth = {word: points for word, points in words.items() if points}
    return query.part(
        "engagements",
        "what people did in channels, each with its worth; answers before purchases of the same instant",
        f"""
        SELECT person_id, occurred_at AS at, false AS bought, arrayJoin(channels) AS channel,
               toFloat64(transform(word, {array(worth)}, {list(worth.values())}, 0)) AS worth
        FROM (SELECT * FROM {receipts(query)} LIMIT 1 BY person_id, event_id)
        WHERE worth > 0 AND name NOT IN {texts(purchases)} AND NOT by_machine(properties)
        UNION ALL
        SELECT person_id, min(occurred_at) AS at, true, argMin(if(channel IN {sending}, toString(channel), ''),
               (occurred_at, toString(event_id))), {float(PURCHASE)}
        FROM (SELECT *, {called(query, purchases)} AS called FROM known WHERE name IN {texts(purchases)})
        GROUP BY person_id, called
        """,
        "engagements",
    )
