"""Templates as written to templates as rendered, and whether they fit the sends that use them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from schemas.definitions.build_journeys import Use
from schemas.definitions.catching import never_caught, shown, sources_of
from schemas.definitions.checking import checked
from schemas.definitions.grammar.base import Findings
from schemas.definitions.grammar.project import TemplateParts
from schemas.definitions.liquid import TemplateError, plain
from schemas.definitions.liquid_check import check_syntax, inside, variables
from schemas.definitions.mjml import TAGS, is_mjml, page_of, unknown_tags
from schemas.definitions.model import Template
from schemas.definitions.names import JOURNEY_NAMES, readable
from schemas.definitions.problems import nearest
from schemas.definitions.templates import button_part, parts_for
from schemas.definitions.yaml12 import Mapping as Located
from schemas.definitions.yaml12 import Mark

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_PARTS = TemplateParts.names()
#: parts that are one text
_TEXTS = sorted(_PARTS - {"buttons", "from"})


class TemplateFile:
    """One file in templates/: the template, and where each source stands."""

    def __init__(self, file: str, name: str, raw: Any, channels: Collection[str], findings: Findings) -> None:
        self.file = file
        self._findings = findings
        self._channels = channels
        #: (source, place) of all parts and variants
        self.sources: list[tuple[str, Mark]] = []
        self.template = Template(name, {})
        if not isinstance(raw, Located):
            findings.add(Mark(1, 1), "a mapping is expected, with subject, body and what differs by channel")
            return
        parts: dict[str, str] = {}
        variants: dict[str, Mapping[str, str]] = {}
        for key, value in raw.items():
            if key == "name":
                if value != name:
                    findings.add(raw.at(key), f"the name of a template is the name of its file, {name!r}")
            elif key in _PARTS:
                parts.update(self._parts(_only(raw, [key])))
            elif key in channels or _LANGUAGE.fullmatch(key):
                self._variant(key, value, raw, variants)
            else:
                known = {*_PARTS, *channels}
                findings.add(raw.keys_at[key], f"unknown part, channel or language {key!r}", nearest(key, known))
        if not parts and not variants:
            findings.add(raw.mark, "the template has no parts", nearest("", _PARTS))
        self.template = Template(name, parts, variants)

    def said_by(self, channels: Iterable[str]) -> Iterable[str]:
        """The sources of what it may say by these channels."""
        return sources_of(self.template, channels, self._channels)

    def _variant(self, key: str, value: Any, raw: Located, variants: dict[str, Mapping[str, str]]) -> None:
        if not isinstance(value, Located):
            self._findings.add(raw.at(key), f"{key!r} is a mapping of parts, such as {{body: ...}}")
            return
        languages = [k for k in value if k not in _PARTS and key in self._channels and _LANGUAGE.fullmatch(k)]
        own = self._parts(_only(value, [k for k in value if k not in languages]))
        if own:
            variants[key] = own
        for language in languages:
            if isinstance(value[language], Located):
                variants[f"{key}.{language}"] = self._parts(value[language])
            else:
                self._findings.add(value.at(language), f"{language!r} is a mapping of parts, such as {{body: ...}}")

    def _parts(self, raw: Located) -> dict[str, str]:
        part = checked(TemplateParts, raw, self._findings)
        if part is None:
            return {}
        written = {"from": part.from_} | {name: getattr(part, name) for name in _TEXTS}
        found = {name: source for name, source in written.items() if source is not None}
        places = {name: raw.at(name) for name in found}
        for number, button in enumerate(part.buttons or ()):
            for name in ("text", "url"):
                found[button_part(number, name)] = getattr(button, name)
                places[button_part(number, name)] = button.at(name)
        for name, source in found.items():
            if check_syntax(source, self._findings, places[name]):
                self.sources.append((source, places[name]))
            if name == "body" and is_mjml(source):
                self._check_mjml(source, places[name])
        return found

    def _check_mjml(self, source: str, mark: Mark) -> None:
        try:
            unknown = unknown_tags(source)
            page_of(plain(source))
        except TemplateError as error:
            self._findings.add(mark, str(error))
            return
        for tag, index in unknown:
            self._findings.add(inside(mark, source, index), f"there is no MJML tag <{tag}>", nearest(tag, TAGS))


def check_uses(files: Mapping[str, TemplateFile], uses: Iterable[Use], findings: Mapping[str, Findings]) -> None:
    """Report variables a template shows that its journeys do not have, and parts its channels lack."""
    used: dict[str, list[Use]] = {}
    for use in uses:
        used.setdefault(use.template, []).append(use)
    for name, file in files.items():
        own = findings[file.file]
        allowed = [use.names for use in used.get(name, [])] or [frozenset(JOURNEY_NAMES)]
        common = frozenset.intersection(*allowed)
        for source, mark in file.sources:
            for path, index in variables(source):
                readable(path, common, own, inside(mark, source, index))
        for use in used.get(name, []):
            for channel in use.channels:
                _check_parts(file.template, channel, use, findings[use.file])
            for absent in shown(file.said_by(use.channels), use.absent):
                findings[use.file].add(use.mark, *never_caught(absent, f"template {name!r}"))


def _check_parts(template: Template, channel: str, use: Use, findings: Findings) -> None:
    parts = parts_for(template, channel)
    if not {"body", "text"} & parts.keys() and template.parts.keys() | template.variants.keys():
        findings.add(use.mark, f"template {template.name!r} has no body for {channel}")


def _only(raw: Located, keys: Iterable[str]) -> Located:
    chosen = Located(raw.mark)
    for key in keys:
        chosen[key] = raw[key]
        chosen.keys_at[key], chosen.values_at[key] = raw.keys_at[key], raw.values_at[key]
    return chosen
