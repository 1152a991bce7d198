"""Everything the warehouse knows about one person: who it is, where it is in segments and journeys, what happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from schemas.definitions.expressions import iso
from schemas.identifiers import person_id
from schemas.reasons import ENTERED, EXITED, FINISHED, MERGED
from sinks.clickhouse.engine import Warehouse

Row = dict[str, Any]
_ENDS = frozenset({EXITED, FINISHED, MERGED})


@dataclass(frozen=True, slots=True)
class Story:
    """One person. Times are UTC in ISO 8601; the timeline has the newest entries, oldest of them first."""

    person_id: str
    earlier_ids: list[str]
    identifiers: list[str]
    traits: Row
    sources: dict[str, str]
    consents: list[Row]
    segments: list[str]
    memberships: list[Row]
    journeys: list[Row]
    refused_links: list[Row]
    timeline: list[Row]


def story(
    warehouse: Warehouse, who: str, limit: int = 50, since: int | None = None, until: int | None = None
) -> Story | None:
    """The person of an identifier (`type:value`, normalised) or of a person id, also one it had earlier; None when
    nobody is known by it. `limit` bounds the timeline, as do times in milliseconds, `since <= at < until`."""
    current = find(warehouse, who)
    if current is None:
        return None
    ids = _ids(warehouse, current)
    homes = _homes(warehouse, current, ids)
    known = _profile(warehouse, current)
    profile = orjson.loads(known["profile"]) if known else {}
    identifiers = _identifiers(warehouse, current, homes, known)
    memberships = warehouse.rows(
        "SELECT segment, since FROM pathline.members WHERE person_id = {id:UUID} ORDER BY segment", {"id": current}
    )
    return Story(
        person_id=str(current),
        earlier_ids=sorted(str(earlier) for earlier in ids if earlier != current),
        identifiers=identifiers,
        traits=profile.get("traits", {}) if known else _traits(warehouse, current, homes),
        sources=profile.get("sources", {}),
        consents=profile.get("consents", []),
        segments=[row["segment"] for row in memberships],
        memberships=[{"segment": row["segment"], "since": _iso(row["since"])} for row in memberships],
        journeys=_journeys(warehouse, ids),
        refused_links=_refused(warehouse, identifiers),
        timeline=_timeline(
            warehouse,
            {"ids": ids, "homes": homes, "id": current, "limit": limit}
            | {"since": _EVER[0] if since is None else since, "until": _EVER[1] if until is None else until},
        ),
    )


def find(warehouse: Warehouse, who: str) -> UUID | None:
    """The current person of an identifier or of a person id."""
    try:
        return _current(warehouse, UUID(who))
    except ValueError:
        pass
    owners = warehouse.rows(
        "SELECT person_id FROM pathline.owners WHERE identifier = {who:String} ORDER BY since DESC LIMIT 1",
        {"who": who},
    )
    if owners:
        return UUID(str(owners[0]["person_id"]))
    # never moved: the derived person; else, its link having been refused, the person of the newest event with it
    derived = _current(warehouse, UUID(person_id(who)))
    if derived is not None:
        return derived
    seen = warehouse.rows(
        "SELECT person_id FROM pathline.events WHERE has(identifiers, {who:String})"
        " ORDER BY occurred_at DESC, toUInt128(event_id) DESC LIMIT 1",
        {"who": who},
    )
    return UUID(str(seen[0]["person_id"])) if seen else None


def _current(warehouse: Warehouse, id: UUID) -> UUID | None:
    """Who a person id belongs to now; None when nothing is known by it."""
    if _profile(warehouse, id) is not None:
        return id
    # history that was loaded has no profiles
    rows = warehouse.rows(
        "SELECT person_id FROM pathline.earlier_ids WHERE earlier_id = {id:UUID}", {"id": id}
    ) or warehouse.rows(
        "SELECT person_id FROM pathline.events WHERE person_at = {id:UUID} ORDER BY occurred_at DESC LIMIT 1",
        {"id": id},
    )
    return UUID(str(rows[0]["person_id"])) if rows else None


def _ids(warehouse: Warehouse, current: UUID) -> list[UUID]:
    """The person's id and all others that lead to it now."""
    rows = warehouse.rows(
        "SELECT earlier_id FROM pathline.earlier_ids WHERE person_id = {id:UUID} ORDER BY earlier_id", {"id": current}
    )
    return [current, *(UUID(str(row["earlier_id"])) for row in rows)]


def _homes(warehouse: Warehouse, current: UUID, ids: list[UUID]) -> list[UUID]:
    """Every person that something of this one was filed under, also one that is somebody else today."""
    rows = warehouse.rows(
        "SELECT DISTINCT from_person FROM pathline.moves"
        " WHERE slot IN (SELECT slot FROM pathline.owners WHERE person_id = {id:UUID})",
        {"id": current},
    )
    return sorted({*ids, *(UUID(str(row["from_person"])) for row in rows)}, key=str)


def _profile(warehouse: Warehouse, id: UUID) -> Row | None:
    rows = warehouse.rows("SELECT identifiers, profile FROM pathline.people WHERE person_id = {id:UUID}", {"id": id})
    return rows[0] if rows else None


def _identifiers(warehouse: Warehouse, current: UUID, homes: list[UUID], known: Row | None) -> list[str]:
    """Those in the profile, and those that were linked without ever being used."""
    rows = warehouse.rows(
        "SELECT DISTINCT identifier FROM pathline.owners WHERE person_id = {id:UUID} ORDER BY identifier",
        {"id": current},
    )
    used: Iterable[str] = known["identifiers"] if known else _used(warehouse, current, homes)
    return list(dict.fromkeys([*used, *(row["identifier"] for row in rows)]))


def _used(warehouse: Warehouse, current: UUID, homes: list[UUID]) -> list[str]:
    rows = warehouse.rows(
        "SELECT DISTINCT splitByChar('#', slot)[1] AS identifier FROM pathline.events"
        " WHERE person_at IN {homes:Array(UUID)} AND person_id = {id:UUID} ORDER BY identifier",
        {"homes": homes, "id": current},
    )
    return [row["identifier"] for row in rows]


def _traits(warehouse: Warehouse, current: UUID, homes: list[UUID]) -> Row:
    """Of people whose profile no processor keeps: the newest value of each trait."""
    rows = warehouse.rows(
        "SELECT traits FROM pathline.events WHERE person_at IN {homes:Array(UUID)} AND person_id = {id:UUID}"
        " AND traits NOT IN ('', '{}') ORDER BY occurred_at, toUInt128(event_id)",
        {"homes": homes, "id": current},
    )
    found: Row = {}
    for row in rows:
        found |= orjson.loads(row["traits"])
    return found


def _journeys(warehouse: Warehouse, ids: list[UUID]) -> list[Row]:
    """One entry per instance, from its decisions: when it was entered, the last decision, whether it still runs."""
    rows = warehouse.rows(
        "SELECT journey, instance_id, minIf(at, reason = {entered:String}) AS entered_at,"
        " argMax((at, step, reason, detail), (at, offset)) AS newest,"
        " countIf(has({ends:Array(String)}, reason)) > 0 AS ended, countIf(reason = 'sent') AS sends"
        " FROM pathline.decisions WHERE person_id IN {ids:Array(UUID)} AND instance_id != ''"
        " GROUP BY journey, instance_id HAVING countIf(reason = {entered:String}) > 0"
        " ORDER BY entered_at, journey, instance_id",
        {"ids": ids, "entered": ENTERED, "ends": sorted(_ENDS)},
    )
    found = []
    for row in rows:
        at, step, reason, detail = _values(row["newest"])
        found.append(
            {
                "journey": row["journey"],
                "instance_id": row["instance_id"],
                "state": "ended" if row["ended"] else "running",
                "entered_at": _iso(row["entered_at"]),
                "sends": row["sends"],
                "last": {"at": _iso(at), "step": step, "reason": reason, "detail": detail},
            }
        )
    return found


def _refused(warehouse: Warehouse, identifiers: list[str]) -> list[Row]:
    rows = warehouse.rows(
        "SELECT a, b, argMax(refused, offset) AS still, argMax(reason, offset) AS why, argMax(at, offset) AS seen_at"
        " FROM pathline.refusals WHERE a IN {ids:Array(String)} OR b IN {ids:Array(String)}"
        " GROUP BY a, b HAVING still ORDER BY a, b",
        {"ids": identifiers},
    )
    return [{"a": row["a"], "b": row["b"], "reason": row["why"], "at": _iso(row["seen_at"])} for row in rows]


_TIMELINE = """
SELECT * FROM
(
    SELECT occurred_at AS at, 0 AS rank, toUInt128(event_id) AS id, 'event' AS kind, toString(channel) AS channel,
           toString(name) AS what, properties AS detail
    FROM pathline.events WHERE person_at IN {homes:Array(UUID)} AND person_id = {id:UUID}
    UNION ALL
    SELECT at, 1, toUInt128(offset), 'segment', '', concat(change, ' ', segment), concat(cause, ' ', reason)
    FROM pathline.memberships WHERE person_id IN {ids:Array(UUID)} AND NOT startsWith(segment, '~')
    UNION ALL
    SELECT at, 2, toUInt128(offset), 'decision', toString(channel), concat(journey, ': ', reason),
           concat(step, if(detail = '', '', ' '), detail)
    FROM pathline.decisions WHERE person_id IN {ids:Array(UUID)}
    UNION ALL
    SELECT at, 3, toUInt128(0), 'send', toString(channel), concat(template, ' to ', address), send_id
    FROM pathline.sends_placed WHERE person_id = {id:UUID}
    UNION ALL
    SELECT at, 4, toUInt128(offset), 'dispatch', toString(channel), toString(state), detail
    FROM pathline.ledger WHERE person_id IN {ids:Array(UUID)}
)
WHERE at >= fromUnixTimestamp64Milli({since:Int64}) AND at < fromUnixTimestamp64Milli({until:Int64})
ORDER BY at DESC, rank DESC, id DESC LIMIT {limit:UInt32}
"""
#: milliseconds of the first and the last year that a row can have
_EVER = (-2_208_988_800_000, 10_413_792_000_000)


def _timeline(warehouse: Warehouse, asked: Row) -> list[Row]:
    rows = warehouse.rows(_TIMELINE, asked)
    return [
        {"at": _iso(row["at"]), **{name: str(row[name]).strip() for name in ("kind", "channel", "what", "detail")}}
        for row in reversed(rows)
    ]


def _values(named: Any) -> tuple[Any, ...]:
    """A tuple column: clients give it as a tuple or, when its parts have names, by name."""
    return tuple(named.values()) if isinstance(named, dict) else tuple(named)


def _iso(at: datetime) -> str:
    return iso(round(at.timestamp() * 1000))
