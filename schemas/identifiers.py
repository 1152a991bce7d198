"""Identifiers as they travel: `type:value`, normalised, usable ones only; and what is derived from them.

The edge removes blocked and invalid values before an event gets its key, so that one `userId: "null"` never becomes a
key that all such visitors share. The same functions run in the collector, the file loaders and the simulation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b, sha256

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from schemas.definitions.model import IdentifierType, IdentityRules

#: Longest value of an identifier, in characters (Adobe's Identity Service draws the line at the same length).
LONGEST = 1024
#: Separates person ids from other hashes of the same identifiers. Not a secret: ids have to be the same everywhere.
_PERSON_KEY = b"pathline.person"
_DIGEST = re.compile("[0-9a-fA-F]{64}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PLAIN = re.compile(
    r"(?=[^@]{1,64}@)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9]|-(?!-)){0,60}(?<!-)\.)+[a-z]{2,63}",
    re.IGNORECASE | re.ASCII,
)
_LONGEST_EMAIL = 254
_RESERVED = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)


class Refused(ValueError):
    """A value can't be an identifier; the message is the reason, readable by who sent it."""


def normalise(rules: IdentityRules, type: str, value: object) -> str:
    """The usable form of a value of an identifier type.

    Trimmed, Unicode NFKC; e-mail addresses in lower case, phone numbers in E.164, and only a SHA-256 of it kept, where
    the type says so. A number counts as its text; what is hashed already, its digest in hexadecimal, stays as it is.
    Raises Refused when the type is unknown or the value blocked or invalid.
    """
    known = rules.types.get(type)
    if known is None:
        raise Refused("unknown identifier type")
    text = _text(value)
    if _blocked(rules.blocked, rules.blocked_patterns, text):
        raise Refused("blocked value")
    if known.hash and _DIGEST.fullmatch(text):
        return text.lower()
    usable = _normalised(known, text)
    if usable != text and _blocked(rules.blocked, rules.blocked_patterns, usable):
        raise Refused("blocked value")
    return sha256(usable.encode()).hexdigest() if known.hash else usable


def usable(rules: IdentityRules, pairs: Iterable[tuple[str, object]]) -> tuple[list[str], list[tuple[str, str]]]:
    """Identifiers of (type, value) pairs: the usable ones as `type:value`, strongest first, and (`type:value`, reason)
    of each refused one. Values of one type keep the order in which they were given."""
    given = tuple(pairs)
    for _, value in given:
        if value.__class__ is not str:
            # 1, 1.0 and True are one key of a cache and three values
            return _usable(rules, given)
    accepted, refused = _memory(rules).usable(given)
    return accepted.copy(), refused.copy()


def keeps_hashes(rules: IdentityRules) -> bool:
    """Whether values of some type are kept as their hashes only."""
    return _memory(rules).hashes


class _Memory:
    """What was found under some rules. The same few identifiers come together over and over."""

    def __init__(self, rules: IdentityRules) -> None:
        self.rules = rules
        self.hashes = any(type.hash for type in rules.types.values())
        self.usable = lru_cache(maxsize=65_536)(lambda given: _usable(rules, given))


#: by the id of the rules, which a memory keeps from being used again
_MEMORIES: dict[int, _Memory] = {}
_MOST_MEMORIES = 8


def _memory(rules: IdentityRules) -> _Memory:
    found = _MEMORIES.get(id(rules))
    if found is None:
        if len(_MEMORIES) >= _MOST_MEMORIES:
            _MEMORIES.clear()
        found = _MEMORIES[id(rules)] = _Memory(rules)
    return found


def _usable(rules: IdentityRules, pairs: Iterable[tuple[str, object]]) -> tuple[list[str], list[tuple[str, str]]]:
    accepted: dict[str, int] = {}
    refused: list[tuple[str, str]] = []
    for type, value in pairs:
        try:
            identifier = f"{type}:{normalise(rules, type, value)}"
        except Refused as reason:
            secret = type in rules.types and rules.types[type].hash
            refused.append((f"{type}:{'(not shown)' if secret else value}"[:LONGEST], str(reason)))
        else:
            accepted.setdefault(identifier, rules.types[type].rank)
    return sorted(accepted, key=accepted.__getitem__), refused


def admissible(rules: IdentityRules, identifier: str) -> str:
    """Why a normalised identifier may not count under these rules; empty when it may.

    The rules may have changed since the edge let it in.
    """
    type, value = split(identifier)
    if type not in rules.types:
        return "unknown identifier type"
    return "blocked value" if _blocked(rules.blocked, rules.blocked_patterns, value) else ""


def split(identifier: str) -> tuple[str, str]:
    """(type, value) of `type:value`; the value may contain colons."""
    type, _, value = identifier.partition(":")
    return type, value


def slot_of(identifier: str, since: int = 0) -> str:
    """Name of the slot that keeps what an identifier contributed from `since` on (milliseconds; 0 is its first
    period). Named after the start of its period, so a period found later renames no other."""
    return f"{identifier}#{since}"


def identifier_of(slot: str) -> str:
    """The identifier a slot belongs to."""
    return slot.rpartition("#")[0]


@lru_cache(maxsize=65_536)
def person_id(identifier: str, generation: int = 0) -> str:
    """Id of the person whose strongest identifier this is; `generation` counts the erasures of the identifier.

    A uuid (version 8, RFC 9562) made of a keyed BLAKE2b hash: whoever sees an identifier first knows the id.
    """
    text = blake2b(f"{generation}\0{identifier}".encode(), digest_size=16, key=_PERSON_KEY).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:]}"


#: the two highest bits of a digit are 10 in UUIDs
_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Refused(f"not a text or a number: {_kind(value)}")
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value
    text = value if isinstance(value, str) else str(value)
    if len(text) > LONGEST:
        raise Refused(f"longer than {LONGEST} characters")
    text = unicodedata.normalize("NFKC", text).strip()
    if _CONTROL.search(text):
        raise Refused("contains control characters")
    return text


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "list" if isinstance(value, list | tuple) else "object"


def _blocked(exact: frozenset[str], patterns: tuple[str, ...], value: str) -> bool:
    return value in exact or any(pattern.search(value) for pattern in _compiled(patterns))


@lru_cache(maxsize=16)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


def _normalised(type: IdentifierType, text: str) -> str:
    if not text:
        raise Refused("empty value")
    if type.normalize is None:
        return text
    outcome = _cached(type.normalize, type.region, type.ignore, text)
    if isinstance(outcome, Refused):
        # a library's message may repeat the value
        raise Refused(str(outcome).partition(":")[0] if type.hash else str(outcome))
    return outcome


@lru_cache(maxsize=65_536)
def _cached(kind: str, region: str | None, ignore: frozenset[str], text: str) -> str | Refused:
    """E-mail and phone libraries take tens of microseconds a value; refusals are remembered as well."""
    try:
        return _email(text, ignore) if kind == "email" else _phone(text, region)
    except Refused as refused:
        return refused


def _email(text: str, ignore: frozenset[str]) -> str:
    address = text if _plain(text) else _checked(text)
    local, _, domain = address.lower().rpartition("@")
    if "plus_tags" in ignore:
        local = local.partition("+")[0] or local
    if "dots" in ignore:
        local = local.replace(".", "")
    return f"{local}@{domain}"


def _plain(text: str) -> bool:
    """Whether an address is of the kind that nearly all are, which is sound as it is; finding that with the library
    takes forty times as long."""
    return (
        _PLAIN.fullmatch(text) is not None
        and len(text) <= _LONGEST_EMAIL
        and text.rpartition(".")[2].lower() not in _RESERVED
    )


def _checked(text: str) -> str:
    try:
        # no look-ups in DNS; domains under .test are what development systems use
        checked = validate_email(text, check_deliverability=False, globally_deliverable=False, test_environment=True)
    except EmailNotValidError as error:
        raise Refused(f"not an e-mail address: {error}") from error
    if "." not in checked.domain:
        raise Refused("not an e-mail address: the domain has no dot")
    return str(checked.normalized)


def _phone(text: str, region: str | None) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise Refused(f"not a phone number: {error}") from error
    # numbering plans change faster than a library is updated, so only the length is judged
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise Refused("not a phone number: wrong length for its country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
