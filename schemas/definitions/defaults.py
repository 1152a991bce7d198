"""What holds when a project does not say otherwise."""

from __future__ import annotations

from collections.abc import Collection

from schemas.definitions.model import Channel, IdentifierType, IdentityRules, SourceRule

#: Values that identify nobody, seen in real data of several companies.
BLOCKED = frozenset(
    {"", "null", "none", "nil", "undefined", "unknown", "anonymous", "guest", "not_authenticated", "unidentified"}
    | {"nan", "n/a", "true", "false", "0", "-1", "id", "distinct_id", "email", "[object object]"}
    | {"Null", "NULL", "None", "NONE", "Nil", "NIL", "Undefined", "Unknown", "UNKNOWN", "Anonymous", "Guest", "NaN"}
    | {"N/A", "True", "False", "[object Object]", "invalid"}
)
#: Nothing but zeros, dashes and quotes.
BLOCKED_PATTERNS: tuple[str, ...] = (r"^[0\-'\"\s]*$",)

_TYPES = (
    IdentifierType("user_id", 0, limit=1),
    IdentifierType("loyalty_card", 1, limit=1),
    IdentifierType("email", 2, limit=5, normalize="email"),
    IdentifierType("phone", 3, limit=5, normalize="phone"),
    IdentifierType("telegram", 4, limit=5),
    IdentifierType("push_token", 5, limit=20),
    IdentifierType("device_id", 6, limit=20),
    IdentifierType("anonymous_id", 7, limit=100),
)

#: Types of identifiers that are addresses in a channel of this name when there is none of the channel's own name.
_ADDRESSES = {
    "sms": ("phone",),
    "viber": ("phone",),
    "whatsapp": ("phone",),
    "call": ("phone",),
    "step_task": ("phone",),
    "push": ("push_token", "device_token"),
    "mobile_push": ("push_token", "device_token"),
    "web_push": ("push_token", "device_token"),
    "webhook": ("user_id", "loyalty_card", "email", "phone"),
    "app_inbox": ("user_id",),
    "in_app": ("user_id",),
}

#: What advertising networks know people by.
_MEMBERS = ("email", "phone")

#: Sources of a project without sources.yaml: what is tagged says it itself, then paid clicks, searches, other sites.
SOURCES = (
    SourceRule(None, utm={"source": ("*",)}),
    SourceRule("google_ads", click_ids=("gclid", "gbraid", "wbraid", "dclid")),
    SourceRule("microsoft_ads", click_ids=("msclkid",)),
    SourceRule("facebook", click_ids=("fbclid",)),
    SourceRule("tiktok", click_ids=("ttclid",)),
    SourceRule(
        "organic_search",
        referrers=("google.*", "bing.com", "duckduckgo.com", "yahoo.*", "baidu.com", "ecosia.org", "yandex.*"),
    ),
    SourceRule(None, referrers=("*",)),
)


def identity() -> IdentityRules:
    """Rules of a project without identity.yaml."""
    return IdentityRules({t.name: t for t in _TYPES}, BLOCKED, BLOCKED_PATTERNS)


def channels() -> dict[str, Channel]:
    """Channels of a project without channels.yaml."""
    return {
        "email": Channel("email", 0.0004, "smtp", "opt_in", identifiers=("email",)),
        "sms": Channel("sms", 0.05, "", "opt_in", identifiers=("phone",)),
    }


def members(types: Collection[str]) -> tuple[str, ...]:
    """Identifier types that audiences are told of."""
    return tuple(name for name in _MEMBERS if name in types)


def addresses(channel: str, types: Collection[str]) -> tuple[str, ...]:
    """Identifier types that are addresses in a channel when channels.yaml names none: the first that the project has
    of the channel's own name (`telegram`, `telegram_id`, `telegram_token`) and of those usual for it."""
    usual = _ADDRESSES.get(channel, ())
    known = (channel, f"{channel}_id", f"{channel}_token", *usual)
    return next(((name,) for name in known if name in types), usual[:1] or (channel,))
