"""Codes of promos as a partition has them: pools that were loaded, and codes that are made.

A code of a pool stands in one partition only and is given by the worker that owns it, in the order in which codes were
loaded, in the transaction that decides; so it is given once. A made code hangs on the line's secret and on the step of
an instance it is for, so no two partitions have to agree about it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection
from typing import Any

import msgspec
import orjson

from processors.journeys.metrics import CODES_LEFT, CODES_LOW, CODES_MISSED
from processors.runtime.contract import Table, Turn
from schemas.definitions.model import Promo
from schemas.records import PromoCode

#: 32 characters that nobody takes for others
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class Pool(msgspec.Struct, frozen=True):
    """Numbers of the next code to give and of the next one to come."""

    next: int = 0
    end: int = 0


class Kept(msgspec.Struct, frozen=True):
    """A code by its number, or, by the code itself, that it has been in the pool."""

    code: str = ""


class NamedCode(str):
    """A code as templates and expressions see it: text, which knows its promo and when it expires (ISO 8601)."""

    _fields: dict[str, Any]

    @classmethod
    def of(cls, json: bytes) -> NamedCode:
        """From what an instance keeps."""
        fields = {name: value for name, value in orjson.loads(json).items() if value is not None}
        code = cls(fields["code"])
        code._fields = fields
        return code

    def __getitem__(self, key: Any) -> Any:
        return self._fields[key] if isinstance(key, str) else super().__getitem__(key)


POOLS = Table("pool", Pool)
CODES = Table("code", Kept)
KNOWN = Table("known", Kept)


def stock(turn: Turn, loaded: PromoCode) -> None:
    """A code has come into the pool; one that was there before is not given again."""
    known = f"{loaded.promo}\0{loaded.code}"
    if turn.get(KNOWN, known) is not None:
        return
    pool = turn.get(POOLS, loaded.promo) or Pool()
    turn.put(KNOWN, known, Kept())
    turn.put(CODES, _place(loaded.promo, pool.end), Kept(loaded.code))
    _put(turn, loaded.promo, Pool(pool.next, pool.end + 1))


def survey(turn: Turn, promos: Collection[Promo]) -> None:
    """Say how many codes are left in every pool, also in one that none was ever loaded into, and how many are few."""
    left = {promo.name: 0 for promo in promos if promo.length is None}
    left |= {name: pool.end - pool.next for name, pool in turn.scan(POOLS)}
    for name, count in left.items():
        CODES_LEFT.labels(name, str(turn.partition)).set(count)
    for promo in promos:
        if promo.length is None:
            CODES_LOW.labels(promo.name).set(promo.low)


class Codes:
    """What may be given in one turn."""

    def __init__(self, turn: Turn, secret: Callable[[], bytes]) -> None:
        self._turn = turn
        self._secret = secret

    def take(self, promo: Promo, *cause: str) -> str | None:
        """A code for what `cause` names; None when the pool is empty."""
        if promo.length is not None:
            return made(self._secret(), promo, *cause)
        pool = self._turn.get(POOLS, promo.name) or Pool()
        place = _place(promo.name, pool.next)
        kept = self._turn.get(CODES, place)
        if kept is None:
            CODES_MISSED.labels(promo.name).inc()
            return None
        self._turn.put(CODES, place, None)
        _put(self._turn, promo.name, Pool(pool.next + 1, pool.end))
        return kept.code


def made(secret: bytes, promo: Promo, *cause: str) -> str:
    """The code of a promo for a cause: nobody who lacks the secret can tell it."""
    assert promo.length is not None  # it has no pool
    digest = hmac.new(secret, "\0".join(("promo", promo.name, *cause)).encode(), hashlib.sha256).digest()
    bits = int.from_bytes(digest)
    return promo.prefix + "".join(ALPHABET[bits >> 5 * place & 31] for place in range(promo.length))


def _place(promo: str, number: int) -> str:
    return f"{promo}\0{number:012d}"


def _put(turn: Turn, promo: str, pool: Pool) -> None:
    turn.put(POOLS, promo, pool)
    CODES_LEFT.labels(promo, str(turn.partition)).set(pool.end - pool.next)
