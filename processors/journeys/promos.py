"""The step `issue`: a person gets a promo code; and the events by which it is redeemed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from processors.journeys import effects
from processors.journeys.happening import Happening
from processors.journeys.model import Instance, Issued
from processors.journeys.working import Working
from schemas import reasons
from schemas.definitions.expressions import iso, lookup
from schemas.definitions.model import Issue, Promo

#: the event that tells the line of a code
ISSUED_EVENT = "Promo Code Issued"


def issue(person: Working, instance: Instance, step: Issue, at: int) -> Instance:
    """The instance with a code under the step's name, or as it was when there is none for the person."""
    project, journey = person.project(instance), person.journey(instance)
    promo = project.promos[step.promo]
    if person.excluded or person.held_out(project, journey, at):
        why = reasons.SUPPRESSED if person.excluded else reasons.HOLDOUT
        _decide(person, instance, step, at, why, f"no code of {promo.name}")
        return instance
    held = _held(person, promo, at) if promo.once else None
    given = held or _given(person, instance, step, promo, at)
    if given is None:
        _decide(person, instance, step, at, reasons.NO_CODE, f"{promo.name}: none is left")
        return instance
    _decide(person, instance, step, at, reasons.ISSUED, f"{promo.name}: {given.code}{' again' if held else ''}")
    told = {"code": given.code, "promo": given.promo, "expires_at": _expiry(given)}
    return msgspec.structs.replace(instance, codes={**instance.codes, step.name: orjson.dumps(told)})


def redeem(person: Working, happening: Happening, promos: tuple[Promo, ...], at: int) -> None:
    """Take note that an event shows the use of codes that the person was given."""
    for slot, own in list(person.belongings()):
        used = [given for given in own.codes.values() if _shows(happening, promos, given)]
        if used:
            person.note(slot, codes={key: given for key, given in own.codes.items() if given not in used})
        for given in used:
            late = given.expires_at is not None and at >= given.expires_at
            person.decide(
                at,
                reasons.REDEEMED,
                f"{given.promo}: {given.code}{' after it expired' if late else ''}",
                journey=given.journey,
                subject=given.code,
                step=given.step,
                instance_id=given.instance_id,
            )


def _held(person: Working, promo: Promo, at: int) -> Issued | None:
    """The newest code of a promo that the person has and that still holds."""
    held = (given for _, own in person.belongings() for given in own.codes.values() if given.promo == promo.name)
    return max((given for given in held if _holds(given, at)), key=lambda given: (given.at, given.code), default=None)


def _given(person: Working, instance: Instance, step: Issue, promo: Promo, at: int) -> Issued | None:
    code = person.codes.take(promo, instance.id, step.id, str(instance.visit))
    if code is None:
        return None
    given = Issued(
        promo=promo.name,
        code=code,
        at=at,
        expires_at=None if step.expires is None else at + step.expires,
        journey=instance.journey,
        instance_id=instance.id,
        step=step.id,
    )
    slot = person.slot_of(instance)
    kept = {key: one for key, one in person.own(slot).codes.items() if _holds(one, at)}
    person.note(slot, codes={**kept, f"{promo.name}\0{code}": given})
    properties = {"promo": promo.name, "code": code, "journey": instance.journey, "step": step.id}
    expiry = _expiry(given)
    told = properties if expiry is None else {**properties, "expires_at": expiry}
    effects.tell(person, instance, step.id, at, type="track", name=ISSUED_EVENT, properties=orjson.dumps(told))
    return given


def _shows(happening: Happening, promos: tuple[Promo, ...], given: Issued) -> bool:
    """Whether an event names a code as used."""
    paths = (promo.code for promo in promos if promo.name == given.promo)
    return any(_folded(given.code) == _folded(code) for path in paths for code in _texts(happening, path))


def _texts(happening: Happening, path: str) -> Iterator[str]:
    found: Any = lookup(happening.document, path)
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, str | int) and not isinstance(one, bool):
            yield str(one)


def _folded(code: str) -> str:
    """As people type it, in whatever case and with blanks around."""
    return code.strip().casefold()


def _holds(given: Issued, at: int) -> bool:
    return given.expires_at is None or at < given.expires_at


def _expiry(given: Issued) -> str | None:
    return None if given.expires_at is None else iso(given.expires_at)


def _decide(person: Working, instance: Instance, step: Issue, at: int, reason: str, detail: str) -> None:
    person.decide(at, reason, detail, journey=instance.journey, instance=instance, step=step.id)
