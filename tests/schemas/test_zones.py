"""Time zones of numbers and places."""

from __future__ import annotations

import pytest

from schemas.zones import of_phone, of_place


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+380501234567", "Europe/Kyiv"),
        ("+81312345678", "Asia/Tokyo"),
        ("+14155551234", "America/Los_Angeles"),
        ("+4915112345678", "Europe/Berlin"),
        ("+61412345678", None),  # mobile numbers are the whole country's, which has several
        ("+79161234567", None),
        ("+34612345678", None),
        ("not a number", None),
        ("+9999999999", None),
    ],
)
def test_the_zone_of_a_number_is_known_where_its_country_has_one(number: str, zone: str | None) -> None:
    assert of_phone(number) == zone


def test_zones_that_show_the_same_time_are_one() -> None:
    assert of_phone("+358401234567") in ("Europe/Helsinki", "Europe/Mariehamn")
    assert of_phone("+447700900123") in ("Europe/London", "Europe/Guernsey", "Europe/Jersey", "Europe/Isle_of_Man")


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ({"timezone": "Asia/Tokyo", "country": "UA"}, "Asia/Tokyo"),
        ({"timezone": "Mars/Olympus", "country": "UA"}, "Europe/Kyiv"),
        ({"latitude": 40.71, "longitude": -74.0, "country": "US"}, "America/New_York"),
        ({"lat": "50.45", "lon": "30.52"}, "Europe/Kyiv"),
        ({"latitude": 0, "longitude": -150, "country": "UA"}, "Europe/Kyiv"),  # at sea
        ({"latitude": 91, "longitude": 0}, None),
        ({"latitude": True, "longitude": False}, None),
        ({"country": "Japan"}, "Asia/Tokyo"),
        ({"country": "jp"}, "Asia/Tokyo"),
        ({"country": "United States"}, None),
        ({"country": "Atlantis"}, None),
        ({"city": "Kyiv"}, None),
        ({"country": 7, "latitude": {}}, None),
        ("Kyiv", None),
        (None, None),
    ],
)
def test_the_zone_of_a_place(place: object, zone: str | None) -> None:
    assert of_place(place) == zone
