"""The files beside segments and journeys, as typed values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers

from schemas.definitions import defaults, durations
from schemas.definitions.grammar import project as written
from schemas.definitions.grammar.base import Findings
from schemas.definitions.grammar.promos import PromosFile
from schemas.definitions.grammar.sources import SourcesFile
from schemas.definitions.model import (
    Cap,
    Channel,
    EventRule,
    Holdout,
    IdentifierType,
    IdentityRules,
    Promo,
    Quiet,
    SourceRule,
    Timers,
    ZoneSource,
)
from schemas.definitions.names import event_path, refer
from schemas.definitions.problems import closest, nearest
from schemas.definitions.yaml12 import Mapping as Located
from schemas.definitions.yaml12 import Mark

_CATEGORIES = ("marketing", "transactional")
_UNIVERSAL = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT", "Universal"})


def timezone(part: written.ProjectFile, findings: Findings) -> str:
    """The project's time zone; UTC with a problem if there is none of that name."""
    try:
        ZoneInfo(part.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        findings.add(part.at("timezone"), f"there is no time zone {part.timezone!r}", "IANA names, such as Europe/Kyiv")
        return "UTC"
    return part.timezone


def zone_from(part: written.ProjectFile, zone: str) -> tuple[ZoneSource, ...]:
    """What tells a person's zone. A project in UTC has not said where its people are, so nothing is guessed there."""
    if part.zone_from is not None:
        return tuple(dict.fromkeys(part.zone_from))
    return () if zone in _UNIVERSAL else ("location", "phone")


def holdout(part: written.ProjectFile, journeys: Collection[str], findings: Findings) -> Holdout | None:
    """The global control group."""
    if part.holdout is None:
        return None
    exempt = part.holdout.except_
    named = [exempt] if isinstance(exempt, str) else exempt
    for name in named:
        # a slip of the pen would keep from them what everyone gets
        refer("category or journey", name, [*_CATEGORIES, *journeys], findings, part.holdout.at("except"))
    return Holdout(part.holdout.share, frozenset(named))


def identity(part: written.IdentityFile, raw: Located, findings: Findings) -> IdentityRules:
    """Identity rules; `raw` is the file as read, for places."""
    types = {}
    for rank, (name, type_) in enumerate(part.identifiers.items()):
        if type_.region is not None and type_.normalize != "phone":
            findings.add(type_.at("region"), "region belongs to normalize: phone")
        if type_.region is not None and not _is_region(type_.region):
            findings.add(type_.at("region"), f"there is no region {type_.region!r}", "two letters, such as UA or US")
        if type_.ignore and type_.normalize != "email":
            findings.add(type_.at("ignore"), "ignore belongs to normalize: email")
        if type_.per is not None and type_.limit is None:
            findings.add(type_.at("per"), "per belongs to a limit", "such as limit: 1, per: 30d")
        types[name] = IdentifierType(
            name=name,
            rank=rank,
            limit=type_.limit,
            per=type_.per,
            normalize=type_.normalize,
            region=type_.region,
            shared=type_.shared,
            ignore=frozenset(type_.ignore),
            hash=type_.hash,
        )
    if part.blocked is None:
        blocked, patterns = defaults.BLOCKED, defaults.BLOCKED_PATTERNS
    else:
        blocked, patterns = _blocked(part.blocked, raw, findings)
    rules = IdentityRules(types, blocked, patterns, part.hub)
    if part.remember_messages is None:
        return rules
    return IdentityRules(types, blocked, patterns, part.hub, part.remember_messages)


def events(part: written.EventsFile, findings: Findings) -> dict[str, EventRule]:
    """Rules of events by name."""
    rules = {}
    for name, rule in part.root.items():
        for key, path in (("same", rule.same), ("revenue", rule.revenue)):
            if path is not None:
                event_path(path, findings, rule.at(key))
        if rule.undo and name in rule.undo:
            findings.add(rule.at("undo"), f"{name!r} can't undo itself")
        rules[name] = EventRule(name, rule.same, rule.revenue, tuple(rule.undo or ()))
    return rules


def channels(part: written.ChannelsFile, types: Mapping[str, IdentifierType], findings: Findings) -> dict[str, Channel]:
    """Channels by name; `types` are the identifier types of the project."""
    built = {}
    for name, rules in part.root.items():
        for identifier in rules.identifiers or ():
            if identifier not in types:
                hint = nearest(identifier, types)
                findings.add(rules.at("identifiers"), f"there is no identifier type {identifier!r}", hint)
        usual = defaults.members(types) if rules.kind == "audience" else defaults.addresses(name, types)
        addresses = tuple(rules.identifiers) if rules.identifiers else usual
        if rules.kind == "audience" and not rules.connector:
            findings.add(rules.at(), "an audience needs a connector", "write connector: webhook")
        caps = tuple(Cap(cap.at_most, cap.per) for cap in rules.caps)
        built[name] = Channel(
            name,
            rules.cost,
            rules.connector,
            rules.consent,
            caps,
            _quiet(rules, findings),
            rules.kind,
            () if rules.kind == "session" else addresses,
            rules.monthly_fee,
            rules.rate,
            rules.rate_per_recipient,
            rules.expires,
        )
    return built


def audiences(sync: tuple[str, ...], channels: Mapping[str, Channel], findings: Findings, mark: Mark) -> None:
    """Problems of what a segment is synced to."""
    known = [name for name, channel in channels.items() if channel.kind == "audience"]
    for name in sync:
        if name not in channels:
            # one that is declared nowhere is told of by a note: the segment itself is sound without its network
            if closest(name, known) is not None:
                findings.add(mark, f"there is no audience {name!r}", nearest(name, known))
        elif name not in known:
            findings.add(mark, f"channel {name!r} is no audience", "an audience has kind: audience in channels.yaml")


def _quiet(rules: written.ChannelRules, findings: Findings) -> Quiet | None:
    if rules.quiet is None:
        return None
    short = isinstance(rules.quiet, str)
    long = written.QuietRules(hours=rules.quiet) if isinstance(rules.quiet, str) else rules.quiet
    try:
        first, end = durations.day_span(long.hours)
    except ValueError as error:
        findings.add(rules.at("quiet") if short else long.at("hours"), str(error))
        return None
    if long.spread is not None and long.then == "skip":
        findings.add(long.at("spread"), "spread is about what waits, so not with then: skip")
    return Quiet(first, end, long.then, long.spread or 0)


def timers(part: written.ProjectFile) -> Timers:
    """How late timers are dealt with."""
    rules, usual = part.timers or written.TimerRules(), Timers()
    return Timers(
        usual.late_after if rules.late_after is None else rules.late_after,
        usual.per_second if rules.per_second is None else rules.per_second,
    )


def caps(
    part: written.ProjectFile, channels: Mapping[str, Channel], journeys: Collection[str], findings: Findings
) -> tuple[Cap, ...]:
    """Caps over channels and journeys."""
    built = []
    for cap in part.caps:
        for channel in cap.channels or ():
            if refer("channel", channel, channels, findings, cap.at("channels")) and channels[channel].kind != "send":
                findings.add(cap.at("channels"), f"nothing is sent over {channel!r}, people visit it")
        for journey in cap.journeys or ():
            refer("journey", journey, journeys, findings, cap.at("journeys"))
        of = frozenset(cap.channels or ()), frozenset(cap.purpose or ()), frozenset(cap.journeys or ())
        built.append(Cap(cap.at_most, cap.per, *of))
    return tuple(built)


def promos(part: PromosFile, findings: Findings) -> dict[str, Promo]:
    """Promos by name."""
    built = {}
    for name, rules in part.root.items():
        made, shown = rules.generate, rules.redeemed
        if rules.file is not None and (rules.file.startswith("/") or ".." in rules.file.split("/")):
            findings.add(rules.at("file"), f"{rules.file!r} lies outside the project", "such as promos/welcome.csv")
        if shown is not None:
            event_path(shown.code, findings, shown.at("code"))
        usual = Promo(name)
        built[name] = Promo(
            name,
            prefix="" if made is None else made.prefix,
            length=None if made is None else made.length,
            file=rules.file or "",
            column=rules.column or "",
            low=rules.low or 0,
            once=rules.one_per == "person",
            redeemed=usual.redeemed if shown is None else tuple(shown.event),
            code=usual.code if shown is None else shown.code,
        )
    return built


def sources(part: SourcesFile) -> tuple[SourceRule, ...]:
    """Rules of sources in order. What they are compared with is lower case."""
    return tuple(
        SourceRule(
            rule.source,
            {tag: _lower(values) for tag, values in rule.utm or () if values is not None},
            tuple(rule.click_id or ()),
            _lower(rule.referrer or ()),
        )
        for rule in part.root
    )


def _lower(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text.lower() for text in texts)


def _blocked(values: Sequence[object], raw: Located, findings: Findings) -> tuple[frozenset[str], tuple[str, ...]]:
    exact: set[str] = set()
    patterns: list[str] = []
    for number, value in enumerate(values):
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        if len(text) > 1 and text.startswith("/") and text.endswith("/"):
            try:
                re.compile(text[1:-1])
            except (re.error, RecursionError, OverflowError) as error:
                mark = raw["blocked"].items_at[number]
                findings.add(mark, f"{text} is not a regular expression: {error}")
            else:
                patterns.append(text[1:-1])
        else:
            exact.add(text)
    return frozenset(exact), tuple(patterns)


def _is_region(region: str) -> bool:
    return region in phonenumbers.SUPPORTED_REGIONS
