"""Ids of what journeys make."""

from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from processors.journeys import ids


@given(st.text(), st.text(), st.integers(), st.text())
def test_ids_are_name_based_uuids(instance: str, step: str, visit: int, channel: str) -> None:
    name = "\0".join(("send", instance, step, str(visit), channel))
    assert ids.send_id(instance, step, visit, channel) == str(uuid5(ids._SPACE, name))


@given(st.text(), st.text())
def test_a_share_is_a_number_from_0_up_to_1(of: str, person: str) -> None:
    assert 0 <= ids.share(of, person) < 1
    assert ids.share(of, person) == ids.share(of, person)
