"""The profile that travels in updates: JSON, and the same bytes for the same profile."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import orjson

from processors.segments.affinity import best_hours, ranked
from processors.segments.view import View


def profile(person_id: str, view: View, segments: Iterable[str], now: int) -> bytes:
    """The profile of a person: traits and where they were told, segments, consents, addresses, suppressions, time zone,
    first event, channels and hours of its day in the order in which the person prefers them."""
    return orjson.dumps(
        {
            "person_id": person_id,
            "traits": view.values,
            "sources": view.sources,
            "segments": sorted(segments),
            "consents": view.consents,
            "addresses": view.addresses,
            "suppressed": view.suppressed,
            "timezone": view.zone,
            "first_seen": view.first_seen,
            "affinity": ranked(view.engagements, now),
            "hours": best_hours(view.engagements, view.clock, now),
        },
        option=orjson.OPT_SORT_KEYS,
    )


def digest(data: bytes) -> bytes:
    """Short, to tell whether a profile changed."""
    return blake2b(data, digest_size=8).digest()
