"""Where a touch came from: the rules of `sources.yaml` over the tags, click ids and referrer of an event, in SQL.

The first rule that fits names the source. A referrer on the same host as the page is none. Where no rule fits, a visit
came directly (`direct`), and what happened in another channel, such as a call, came by that channel.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from schemas.definitions.model import SourceRule
from sinks.clickhouse.paths.filters import Condition, Parameters

DIRECT = "direct"
#: tags as rules name them and where they are in the column `utm`
_TAGS = {"source": "source", "medium": "medium", "campaign": "name", "term": "term", "content": "content"}
_REFERRER = "lower(domainWithoutWWW(referrer))"
_HOST = f"if({_REFERRER} = lower(domainWithoutWWW(page_url)), '', {_REFERRER})"


def of_events(rules: Sequence[SourceRule], sessions: Collection[str]) -> Condition:
    """The source as an expression on rows of `pathline.events`; `sessions` are the channels that are visited."""
    parameters: Parameters = {"visited": sorted(sessions)}
    parts = []
    for number, rule in enumerate(rules):
        parts += [" AND ".join(_fits(rule, f"source{number}", parameters)), _name(rule, f"source{number}", parameters)]
    visit = "channel = '' OR page_url != '' OR type IN ('page', 'screen') OR has({visited:Array(String)}, channel)"
    parts += [visit, f"'{DIRECT}'", "toString(channel)"]
    return Condition(f"multiIf({', '.join(parts)})", parameters)


def pattern(texts: Iterable[str], before: str = "") -> str:
    """A regular expression for lower-case texts in which `*` stands for anything, alone for anything but nothing."""
    choices = (".+" if text == "*" else ".*".join(re.escape(part) for part in text.split("*")) for text in texts)
    return f"^{before}(?:{'|'.join(choices)})$"


def _fits(rule: SourceRule, name: str, parameters: Parameters) -> Iterable[str]:
    for tag, texts in rule.utm.items():
        parameters[f"{name}_{tag}"] = pattern(texts)
        yield f"match(lower(utm.{_TAGS[tag]}), {{{name}_{tag}:String}})"
    if rule.click_ids:
        parameters |= {f"{name}_id{number}": id for number, id in enumerate(rule.click_ids)}
        yield f"({' OR '.join(_clicked(rule, name))})"
    if rule.referrers:
        parameters[f"{name}_hosts"] = pattern(rule.referrers, r"(?:.*\.)?")
        yield f"match({_HOST}, {{{name}_hosts:String}})"


def _name(rule: SourceRule, name: str, parameters: Parameters) -> str:
    if rule.source is not None:
        parameters[f"{name}_is"] = rule.source
        return f"{{{name}_is:String}}"
    parts = ["utm.source != ''", "lower(utm.source)"] if rule.utm else []
    for number, clicked in enumerate(_clicked(rule, name)):
        parts += [clicked, f"{{{name}_id{number}:String}}"]
    parts += [f"{_HOST} != ''", _HOST] if rule.referrers else []
    return f"multiIf({', '.join(parts)}, lower(utm.medium))"


def _clicked(rule: SourceRule, name: str) -> list[str]:
    return [f"extractURLParameter(page_url, {{{name}_id{n}:String}}) != ''" for n in range(len(rule.click_ids))]
