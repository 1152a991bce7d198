"""May a message still go? What people allow, as their newest profile says, asked again at every hand-over."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from connectors.outbound.state import ALLOWED, Allowed
from processors.runtime.contract import BadRecord, Turn
from schemas import consent
from schemas.records import SendCommand, Update
from schemas.services import SERVICES


def learn(turn: Turn, update: Update) -> None:
    """Take note of what a profile says. Raises BadRecord when it can't be read."""
    # at a move the profile goes to another person; what was known here stays the measure for what is on its way
    if update.profile is None or update.kind == "move":
        return
    try:
        allowed = msgspec.json.decode(update.profile, type=Allowed)
    except msgspec.DecodeError as error:
        raise BadRecord(f"the profile can't be read: {error}") from error
    if turn.get(ALLOWED, update.person_id) != allowed:
        turn.put(ALLOWED, update.person_id, allowed)


def forbidden(turn: Turn, command: SendCommand, policy: Callable[[SendCommand], str]) -> str:
    """Why a message may not go now, empty when it may; `policy` says what silence means for marketing in its channel.
    Without a profile the decision of the journey stands; so it does for services, which are told about people and not
    people themselves."""
    if command.channel in SERVICES:
        return ""
    known = turn.get(ALLOWED, command.person_id)
    if known is None:
        return ""
    if consent.suppression(known.suppressed, command.to, command.category):
        return f"suppressed: {command.to} for {known.suppressed[command.to]}"
    meant = "none" if command.category == "transactional" else policy(command)
    may, why = consent.allowed(known.consents, meant, command.channel, command.purpose, command.to)
    return "" if may else f"no consent: {why}"
