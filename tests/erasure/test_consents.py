"""Consent through merges and splits, held against a slow reading of what the rules say."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.consent import Choice, allowed
from schemas.definitions.model import Did
from tests.segments.lab import Line, event, project

T = 1_700_000_000_000
SLOTS = ("user_id:u1#0", "anonymous_id:c#0")
ADDRESSES = ("a@x.com", "b@x.com")

#: (address or "" for the person, category, granted, when)
Said = tuple[str, str, bool, int]
#: the slot that is told, and what
said = st.tuples(
    st.sampled_from(SLOTS),
    st.sampled_from(("", *ADDRESSES)),
    st.sampled_from(("email", "email:promotions", "promotions", "push")),
    st.booleans(),
    st.integers(0, 3),
)
#: who the second slot is with after each of them: moved there and back
moves = st.sampled_from(((), ("P",), ("P", "Q"), ("P", "Q", "P"), ("P", "Q", "P", "Q")))


@given(choices=st.lists(said, min_size=1, max_size=7), places=moves, data=st.data())
def test_consent_is_what_the_newest_choice_says_wherever_slots_are(
    choices: list[tuple[str, str, str, bool, int]], places: tuple[str, ...], data: st.DataObject
) -> None:
    line = Line(project({"seen": Did(("View",))}))
    where, version, at = "Q", 1, T + 1_000
    plan = ["say"] * len(choices) + [*places]
    order = data.draw(st.permutations(plan))
    waiting = list(choices)
    told: dict[str, list[Said]] = {slot: [] for slot in SLOTS}
    line.happen(event("View", T), slot=SLOTS[0], person="P")
    line.happen(event("View", T + 1), slot=SLOTS[1], person=where)
    for step in order:
        at += 1_000
        if step == "say":
            slot, address, category, granted, when = waiting.pop()
            told[slot].append((address, category, granted, when))
            identifiers = ["user_id:u1", *([f"email:{address}"] if address else [])]
            context = {"consent": {"categoryPreferences": {category: granted}}}
            happened = event("View", T + when, received_at=at, identifiers=identifiers, context=context)
            second = slot == SLOTS[1]
            line.happen(happened, slot=slot, person=where if second else "P", version=version if second else 1)
        elif step != where:
            if where == "P":
                part(told)
            version += 1
            line.move(where, step, {SLOTS[1]: version}, at)
            where = step
    for person in {"P", where}:
        known: list[Choice] = line.profile(person)["consents"]
        theirs = [c for slot, at_home in zip(SLOTS, ("P", where), strict=True) if at_home == person for c in told[slot]]
        for channel in ("email", "push"):
            for purpose in ("", "promotions"):
                for address in ADDRESSES:
                    for policy in ("opt_in", "opt_out"):
                        may, _ = allowed(known, policy, channel, purpose, address)
                        assert may == slowly(theirs, policy, channel, purpose, address)


def part(told: dict[str, list[Said]]) -> None:
    """Before slots part, each keeps what was said last of an address that it knows, if that is a refusal."""
    together = [one for heard in told.values() for one in heard]
    for heard in told.values():
        for named in {one[0] for one in heard} - {""}:
            for category in ("email", "email:promotions"):
                about = [{"granted": one[2], "at": one[3]} for one in together if one[:2] == (named, category)]
                if _last(about) is False:
                    heard.append((named, category, False, max(one["at"] for one in about)))


def slowly(choices: list[Said], policy: str, channel: str, purpose: str, address: str) -> bool:
    """By the rules, one after another, over everything that was ever said."""
    heard: list[dict[str, Any]] = []
    for named, category, granted, when in choices:
        of, _, about = category.partition(":")
        if of == "promotions":
            of, about = "", "promotions"
        # only a choice about e-mail is about the e-mail address that the event names
        whose = named if of == "email" else ""
        heard.append({"whose": whose, "channel": of, "purpose": about, "granted": granted, "at": when})
    ours = [one for one in heard if one["whose"] in ("", address)]
    # a purpose that was refused last forbids, in all channels or in this one
    if purpose:
        last = _last([one for one in ours if one["purpose"] == purpose and one["channel"] in ("", channel)])
        if last is False:
            return False
    # else the last word about the channel; a purpose granted everywhere opens none
    last = _last([one for one in ours if one["channel"] == channel and one["purpose"] in ("", purpose)])
    return policy == "opt_out" if last is None else last


def _last(heard: list[dict[str, Any]]) -> bool | None:
    """The newest; of several at one time the refusal."""
    if not heard:
        return None
    newest = max(one["at"] for one in heard)
    return all(one["granted"] for one in heard if one["at"] == newest)
