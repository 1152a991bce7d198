"""Where an event came from: the rules of `sources.yaml` over its tags, click ids and referrer, in SQL.

The first rule that fits names the source, `direct` where none does. A referrer on the same host as the page is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from schemas.definitions.model import SourceRule
from sinks.clickhouse.paths.filters import quoted
from sinks.clickhouse.paths.touches import DIRECT

#: tags as rules name them and where they are in the column `utm`
_TAGS = {"source": "source", "medium": "medium", "campaign": "name", "term": "term", "content": "content"}
#: a host or any below it
_BELOW = r"(?:.*\.)?"
_REFERRER = "lower(domainWithoutWWW(referrer))"
_HOST = f"if({_REFERRER} = lower(domainWithoutWWW(page_url)), '', {_REFERRER})"


def source_of(rules: Sequence[SourceRule]) -> str:
    """An expression on rows of `pathline.events`."""
    parts = [part for rule in rules for part in (" AND ".join(_fits(rule)), _name(rule))]
    return f"multiIf({', '.join([*parts, quoted(DIRECT)])})" if parts else quoted(DIRECT)


def pattern(texts: Iterable[str], before: str = "") -> str:
    """A regular expression for lower-case texts in which `*` stands for anything, alone for anything but nothing."""
    choices = (".+" if text == "*" else ".*".join(re.escape(part) for part in text.split("*")) for text in texts)
    return f"^{before}(?:{'|'.join(choices)})$"


def _fits(rule: SourceRule) -> Iterable[str]:
    for tag, texts in rule.utm.items():
        yield f"match(lower(utm.{_TAGS[tag]}), {quoted(pattern(texts))})"
    if rule.click_ids:
        yield f"({' OR '.join(_clicked(rule))})"
    if rule.referrers:
        yield f"match({_HOST}, {quoted(pattern(rule.referrers, _BELOW))})"


def _name(rule: SourceRule) -> str:
    if rule.source is not None:
        return quoted(rule.source)
    parts = ["utm.source != ''", "lower(utm.source)"] if rule.utm else []
    for id, clicked in zip(rule.click_ids, _clicked(rule), strict=True):
        parts += [clicked, quoted(id)]
    parts += [f"{_HOST} != ''", _HOST] if rule.referrers else []
    return f"multiIf({', '.join(parts)}, lower(utm.medium))"


def _clicked(rule: SourceRule) -> list[str]:
    return [f"extractURLParameter(page_url, {quoted(id)}) != ''" for id in rule.click_ids]
