"""The names of a project that parts refer to, and checks of everything that is a reference."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from schemas.definitions import expressions
from schemas.definitions.expressions import Expression
from schemas.definitions.grammar.base import Findings
from schemas.definitions.model import Channel, Predicting, Scoring
from schemas.definitions.problems import nearest
from schemas.definitions.yaml12 import Mark

#: Fields of an event as CEL and Liquid see it (`expressions.document`).
EVENT_FIELDS = frozenset(
    {"type", "name", "channel", "source", "message_id", "event_id", "send_id", "occurred_at", "received_at"}
    | {"timestamp", "properties", "traits", "context"}
)
#: Fields of a promo code beside its text.
CODE_FIELDS = frozenset({"code", "promo", "expires_at"})
#: Fields of `person` as journeys give it.
PERSON_FIELDS = frozenset({"id", "traits"})
#: Names that stand for something everywhere in a journey; `as:` can't take them.
JOURNEY_NAMES = frozenset({"event", "entry", "person", "now", "item"})

_RESERVED = re.compile(
    "as|break|const|continue|else|for|function|if|import|in|let|loop|package|namespace|return|var|void|while"
)


@dataclass(frozen=True, slots=True)
class Names:
    """What a project defines; `timezone` is the project's own, `traits` are the computed ones, `scoring` is how orders
    are scored, `predicting` how further ones are predicted."""

    segments: Collection[str] = ()
    templates: Collection[str] = ()
    journeys: Collection[str] = ()
    channels: Mapping[str, Channel] = field(default_factory=dict)
    timezone: str = "UTC"
    traits: Collection[str] = ()
    scoring: Scoring = field(default_factory=lambda: Scoring((), ""))
    promos: Collection[str] = ()
    predicting: Predicting = field(default_factory=lambda: Predicting((), ""))


def refer(kind: str, name: str, known: Collection[str], findings: Findings, mark: Mark, owner: str = "") -> bool:
    """Whether a name is known; a problem if not. `owner` refers to it, so that is not what was meant."""
    if name in known:
        return True
    findings.add(mark, f"there is no {kind} {name!r}", nearest(name, set(known) - {owner}))
    return False


def expression(source: str, roots: Collection[str], findings: Findings, mark: Mark) -> Expression | None:
    """A compiled CEL condition that reads only these names; None and a problem if it can't be used."""
    try:
        compiled = expressions.compile(source)
    except ValueError as error:
        findings.add(mark, f"not a CEL condition: {error}")
        return None
    sound = True
    for path in sorted(compiled.paths):
        sound = readable(path, roots, findings, mark) and sound
    return compiled if sound else None


def readable(path: tuple[str, ...], roots: Collection[str], findings: Findings, mark: Mark) -> bool:
    """Whether a path such as `event.properties.price` begins with a name that is there; a problem if not."""
    if path[0] not in roots:
        if path[0] in EVENT_FIELDS and "event" in roots:
            hint = f"did you mean event.{'.'.join(path)}?"
        else:
            hint = nearest(path[0], roots)
        findings.add(mark, f"there is no {path[0]!r} here", hint)
        return False
    if len(path) == 1 or path[0] in ("now", "item"):
        return True
    if path[0] == "person":
        fields, kept = PERSON_FIELDS, "traits"
    elif path[0] in ("event", "entry"):
        fields, kept = EVENT_FIELDS, "properties"
    else:  # an event or a promo code
        fields, kept = EVENT_FIELDS | CODE_FIELDS, "properties"
    if path[1] in fields:
        return True
    close = nearest(path[1], fields)
    hint = close if close.startswith("did") else f"did you mean {path[0]}.{kept}.{'.'.join(path[1:])}?"
    findings.add(mark, f"{path[0]} has no {path[1]!r}", hint)
    return False


def event_path(path: str, findings: Findings, mark: Mark) -> bool:
    """Whether a path into an event begins with one of its fields; a problem if not."""
    first = path.removeprefix("event.").split(".")[0]
    if first in EVENT_FIELDS:
        return True
    findings.add(mark, f"an event has no {first!r}", f"did you mean properties.{path}?")
    return False


def bindable(name: str, findings: Findings, mark: Mark) -> bool:
    """Whether `as: name` makes a name that CEL and Liquid can use; a problem if not."""
    if name in JOURNEY_NAMES:
        findings.add(mark, f"{name!r} already stands for something else", f"taken: {', '.join(sorted(JOURNEY_NAMES))}")
    elif not name.isidentifier() or not name.isascii() or _RESERVED.fullmatch(name):
        findings.add(mark, f"{name!r} can't be used in expressions", "use ASCII letters, digits and _")
    else:
        return True
    return False
