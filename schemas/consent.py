"""May a message go to an address? Pure functions over the lists in the profile JSON (`Update.profile`).

Segments, journeys and dispatch ask the same functions, so that a choice means the same at every stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NotRequired, TypedDict


class Choice(TypedDict):
    """A choice of a person. Address "" is the person, channel "" is every channel, purpose "" is every purpose; `at` is
    milliseconds since 1970 UTC, `proof` what the person saw or ticked, where that was told."""

    address: str
    channel: str
    purpose: str
    granted: bool
    at: int
    source: NotRequired[str]
    proof: NotRequired[str]


#: policies under which silence allows; on opt_in and double_opt_in it forbids
SILENCE_ALLOWS = frozenset({"opt_out", "none"})


def allowed(consents: Sequence[Choice], policy: str, channel: str, purpose: str, address: str) -> tuple[bool, str]:
    """Whether consent lets a message of this purpose ("" for none) go to this address ("" for any), and why.

    The newest explicit choice about the channel counts, be it of the address or of the person, for the purpose or for
    all; at equal times the refusal. A purpose refused in all channels forbids too, unless a newer choice grants it for
    this channel; a purpose granted in all channels does not open a channel. Silence allows on `opt_out` and `none`.
    With `double_opt_in` the grant is the confirmation: whoever records it does so once the person confirmed.
    """
    ours = [choice for choice in consents if choice["address"] in ("", address)]
    if purpose:
        about_purpose = newest(c for c in ours if c["purpose"] == purpose and c["channel"] in ("", channel))
        if about_purpose is not None and not about_purpose["granted"]:
            return False, f"{_named(about_purpose)} refused"
    about_channel = newest(
        choice
        for choice in ours
        if (choice["channel"] == channel and choice["purpose"] in ("", purpose))
        or (choice["channel"] == "" and choice["purpose"] == "")
    )
    if about_channel is not None:
        granted = bool(about_channel["granted"])
        return granted, f"{_named(about_channel)} {'granted' if granted else 'refused'}"
    if policy in SILENCE_ALLOWS:
        return True, f"{channel} not refused"
    return False, f"{channel} not granted"


def suppression(suppressed: Mapping[str, str], address: str, category: str) -> bool:
    """Whether an address may not be used for a category (marketing or transactional): after a hard bounce ("all") for
    none, after a spam complaint ("marketing") not for marketing."""
    scope = suppressed.get(address)
    return scope == "all" or (scope is not None and scope == category)


def newest(choices: Iterable[Choice]) -> Choice | None:
    """The newest choice; at equal times the refusal, then by value so that any order gives the same."""
    return max(
        choices,
        key=lambda c: (c["at"], not c["granted"], c["address"], c["channel"], c["purpose"]),
        default=None,
    )


def _named(choice: Choice) -> str:
    what = " ".join(part for part in (choice["channel"], choice["purpose"]) if part) or "everything"
    return f"{what} for {choice['address']}" if choice["address"] else what
