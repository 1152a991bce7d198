"""Which of the names that `as:` gives are there when an instance comes to a step, and which texts show others.

A name is there from the event on that was caught under it: not on the way of a timeout, nor behind another event of the
same `wait_for`. A text that shows a name which is not there is a template error at run time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from schemas.definitions.model import (
    Branch,
    Call,
    Emit,
    Issue,
    Journey,
    Repeat,
    Split,
    Start,
    Step,
    Task,
    Template,
    UpdateTraits,
    WaitFor,
)
from schemas.definitions.steps import last_of
from schemas.definitions.templates import parts_for

_OUTPUT = re.compile(r"\{\{.*?\}\}", re.S)
#: tags that may be about whether a name is there, or give one of the template's own
_ASKING = re.compile(r"\{%-?\s*(?:if|elsif|unless|case|when|assign|capture|for|tablerow|liquid)\b.*?%\}", re.S)


@dataclass(frozen=True, slots=True)
class Caught:
    """Names that are there on all ways to a step, and on some."""

    always: frozenset[str] = frozenset()
    ever: frozenset[str] = frozenset()

    def plus(self, name: str) -> Caught:
        return Caught(self.always | {name}, self.ever | {name}) if name else self


def caught_before(journey: Journey) -> dict[str, Caught]:
    """What is there at each step of a journey that somebody can come to, by the step's id."""
    found: dict[str, Caught] = {}
    _walk(journey.steps, Caught(), found)
    return found


def shown(sources: Iterable[str], names: Iterable[str]) -> list[str]:
    """Those of the names that a Liquid source shows without asking whether they are there."""
    sources = list(sources)
    return sorted(name for name in names if any(_shows(source, name) for source in sources))


def never_caught(name: str, by: str = "") -> tuple[str, str]:
    """The problem, and what would be valid, when what is shown at a step is there on no way to it."""
    what = f"{by} shows {name!r}" if by else f"{name!r} is shown"
    return f"{what}, which nothing on the way to this step has caught", f"ask {{% if {name} %}}, or leave it out here"


def sources_of(template: Template, channels: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """What a template may say by these channels, in any language; `known` are all channels of the project."""
    languages = {"", *(key.rpartition(".")[2] for key in template.variants)} - set(known)
    for channel in channels:
        for language in languages:
            yield from parts_for(template, channel, language).values()


def texts_of(step: Step) -> Iterator[str]:
    """What a step says itself: Liquid sources, but for those of templates."""
    match step:
        case UpdateTraits(traits=value) | Emit(properties=value):
            yield from _texts(value)
        case Start(properties=properties):
            yield from _texts(properties)
        case Call(url=url, headers=headers, data=data):
            yield from _texts([url, headers, data])
        case Task(title=title, text=text, queue=queue, data=data):
            yield from _texts([title, text, queue, data])
        case _:
            pass


def _walk(steps: Iterable[Step], caught: Caught, found: dict[str, Caught]) -> Caught:
    """What is there behind these steps, for those who come there."""
    for step in steps:
        found[step.id] = caught
        caught = _behind(step, caught, found)
    return caught


def _behind(step: Step, caught: Caught, found: dict[str, Caught]) -> Caught:
    match step:
        case Issue(name=name):
            return caught.plus(name)
        case WaitFor():
            return _behind_event(step, caught, found)
        case Repeat(steps=inner):
            once = _walk(inner, caught, found)
            # in a further round what an earlier one has caught may be there
            return once if step.times == 1 else _walk(inner, Caught(caught.always, once.ever), found)
        case Branch(arms=choices):
            passed = [] if choices[-1].when is None else [caught]
            return _either([*_ways([(arm.steps, caught) for arm in choices], found), *passed] or [caught])
        case Split(arms=shares):
            return _either(_ways([(inner, caught) for _, _, inner in shares], found) or [caught])
        case _:
            return caught


def _behind_event(step: WaitFor, caught: Caught, found: dict[str, Caught]) -> Caught:
    shared = [t for number, t in enumerate(step.triggers) if not step.own or step.own[number] is None]
    ways = [(step.then, _either([caught.plus(trigger.name) for trigger in shared] or [caught]))] if shared else []
    for number, trigger in enumerate(step.triggers):
        own = step.own[number] if step.own else None
        if own is not None:
            ways.append((own, caught.plus(trigger.name)))
    if step.timeout is not None:
        ways.append((step.on_timeout, caught))
    return _either(_ways(ways, found) or [caught])


def _ways(ways: Iterable[tuple[tuple[Step, ...], Caught]], found: dict[str, Caught]) -> list[Caught]:
    """What is there at the ends of lists of steps, of those that do not end the journey."""
    outs = [(steps, _walk(steps, inside, found)) for steps, inside in ways]
    return [out for steps, out in outs if last_of(steps) is None]


def _either(ways: list[Caught]) -> Caught:
    return Caught(frozenset.intersection(*(way.always for way in ways)), frozenset().union(*(way.ever for way in ways)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _shows(source: str, name: str) -> bool:
    """Whether a source shows a name without asking for it anywhere, by a tag or a default."""
    named = re.compile(rf"(?<![\w.\"']){re.escape(name)}(?![\w])")
    if any(named.search(tag) for tag in _ASKING.findall(source)):
        return False
    return any(named.search(output) and "default" not in output for output in _OUTPUT.findall(source))
