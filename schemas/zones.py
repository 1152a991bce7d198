"""Time zones of places and phone numbers, where these say one.

A country with several zones says none, unless their clocks show the same. Numbers and calling codes by Google's
libphonenumber, coordinates by the boundaries of timezone-boundary-builder (package `tzfpy`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from phonenumbers.timezone import time_zones_for_geographical_number, time_zones_for_number

#: all there are on this machine
ZONES = frozenset(available_timezones())
#: winter and summer of a year whose rules are known everywhere
_SEASONS = (datetime(2025, 1, 15, 12), datetime(2025, 7, 15, 12))


@lru_cache(maxsize=65_536)
def of_phone(number: str) -> str | None:
    """The zone of a number in E.164; None when it lies in several, or in none that is known."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_valid_number(parsed):
        return _one(time_zones_for_number(parsed))
    # of a range newer than the library, or of one for examples: the country's
    return _of_code(parsed.country_code or 0)


def of_place(place: object) -> str | None:
    """The zone of `context.location` or `context.geo`: what `timezone` says, else where the coordinates lie, else that
    of the country (two letters, or its name in English); None when none of them says one."""
    if not isinstance(place, Mapping):
        return None
    for named in (place.get("timezone"), place.get("time_zone")):
        if isinstance(named, str) and named in ZONES:
            return named
    latitude, longitude = (_degrees(place, *names) for names in (("latitude", "lat"), ("longitude", "lon", "lng")))
    if latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180:
        # seldom needed, and its map takes 0.2 s and 10 MB at the first call
        from tzfpy import get_tz

        found = get_tz(longitude, latitude)
        # at sea there are offsets only, which nobody lives by
        if found in ZONES and not found.startswith("Etc/"):
            return found
    for country in (place.get("country_code"), place.get("countryCode"), place.get("country")):
        if isinstance(country, str) and (zone := _of_country(country.strip())) is not None:
            return zone
    return None


@lru_cache(maxsize=1_024)
def _of_country(country: str) -> str | None:
    region = country.upper() if len(country) == 2 else _codes().get(country.casefold(), "")
    return _of_code(phonenumbers.country_code_for_region(region))


def _of_code(calling_code: int) -> str | None:
    """The zone of a calling code; those that several countries share have several. No number begins with 0, so what is
    found for it is said of the code alone."""
    number = phonenumbers.PhoneNumber(country_code=calling_code, national_number=0)
    return _one(time_zones_for_geographical_number(number)) if calling_code else None


@lru_cache(maxsize=1)
def _codes() -> Mapping[str, str]:
    """Codes of countries by their names in English."""
    from babel import Locale

    return {str(name).casefold(): code for code, name in Locale("en").territories.items() if len(code) == 2}


def _degrees(place: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = place.get(name)
        try:
            if value is not None and not isinstance(value, bool):
                return float(value)
        except (TypeError, ValueError):
            continue
    return None


def _one(names: Iterable[str]) -> str | None:
    """The first of these zones if all of them show the same time."""
    known = sorted(name for name in names if name in ZONES)
    clocks = {tuple(moment.replace(tzinfo=ZoneInfo(name)).utcoffset() for moment in _SEASONS) for name in known}
    return known[0] if len(clocks) == 1 else None
