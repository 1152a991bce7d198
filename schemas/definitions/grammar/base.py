"""What all parts of the grammar share: strict keys, positions, durations, one-of-several by key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from schemas.definitions import durations
from schemas.definitions.problems import Problem, closest, nearest
from schemas.definitions.yaml12 import Mapping, Mark

_NAME = re.compile(r"\w[\w.-]*")


class Findings:
    """The problems found so far in one file; the context of a validation."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        #: mapping with a key that can't stand there -> what was probably meant; that it is missing too needs no telling
        self.misspelt: dict[Mark, set[str]] = {}

    def add(self, mark: Mark, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.file, mark.line, mark.column, message, hint))


class Part(BaseModel):
    """A mapping in a file. Keys that are not fields are problems; those in `later` are known but not supported yet."""

    model_config = ConfigDict(
        strict=True, extra="ignore", regex_engine="python-re", json_schema_extra={"additionalProperties": False}
    )
    later: ClassVar[frozenset[str]] = frozenset()
    _mapping: Mapping = PrivateAttr(default_factory=lambda: Mapping(Mark(0, 0)))

    @model_validator(mode="wrap")
    @classmethod
    def _keys(cls, data: Any, handler: ModelWrapValidatorHandler[Any], info: ValidationInfo) -> Any:
        # here rather than by extra="forbid": this place knows what is allowed and where the key stands
        if isinstance(data, Mapping) and isinstance(info.context, Findings):
            for key in data:
                cls.judge_key(key, data, info.context)
            part = handler(cls.prepared(data))
            part._mapping = data
            return part
        return handler(data)

    @classmethod
    def prepared(cls, data: Mapping) -> dict[str, Any]:
        """The mapping as the fields expect it."""
        return data

    @classmethod
    def judge_key(cls, key: str, data: Mapping, findings: Findings) -> None:
        """Report a key that can't stand here."""
        if key in cls.later:
            findings.misspelt.setdefault(data.mark, set()).add(key)
            findings.add(data.keys_at[key], f"not supported yet: {key}")
        elif key not in cls.names():
            findings.misspelt.setdefault(data.mark, set()).add(closest(key, cls.names()) or "")
            findings.add(data.keys_at[key], f"unknown key {key!r}", nearest(key, cls.names()))

    @classmethod
    def names(cls) -> frozenset[str]:
        """The keys that may stand here."""
        return frozenset(field.alias or name for name, field in cls.model_fields.items())

    def at(self, key: str = "") -> Mark:
        """Where a key's value stands, or the part itself."""
        return self._mapping.at(key)

    def has(self, key: str) -> bool:
        """Whether the key was written."""
        return key in self._mapping


def _duration(value: Any) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write for example {value:g}s, {value:g}m, {value:g}h or {value:g}d")
    return durations.duration(value)


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError("must be longer than 0s")
    return value


def span(value: Any) -> int:
    """Milliseconds of a written duration longer than nothing. Raises ValueError."""
    return _positive(_duration(value))


def _rate(value: Any) -> tuple[int, int]:
    return durations.rate(value)


def usable_name(value: str) -> str:
    """A name as it is. Raises ValueError for what can't be one."""
    if not _NAME.fullmatch(value) or len(value) > 100:
        raise ValueError(f"{value!r} can't be a name; use letters, digits, _, - and . (at most 100 characters)")
    return value


def _path(value: str) -> str:
    if not all(part.strip() for part in value.split(".")):
        raise ValueError(f"{value!r} is not a path; write for example properties.order_id")
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_DURATION_SCHEMA = {"type": "string", "pattern": r"^(\d+[smhdw])+$", "examples": ["30s", "5m", "6h", "1d", "2w"]}

#: Milliseconds, written `30s 5m 6h 1d 2w`.
Duration = Annotated[int, BeforeValidator(_duration), Field(json_schema_extra={**_DURATION_SCHEMA})]
Span = Annotated[Duration, AfterValidator(_positive)]
#: How many in how many milliseconds.
Rate = Annotated[
    tuple[int, int],
    BeforeValidator(_rate, json_schema_input_type=str),
    Field(json_schema_extra={"pattern": r"^[1-9][0-9]*\s*/\s*[0-9]*[smhdw]$", "examples": ["30/s", "50000/h"]}),
]
Name = Annotated[
    str, AfterValidator(usable_name), Field(json_schema_extra={"pattern": r"^\w[\w.-]*$", "maxLength": 100})
]
#: A dotted path into an event, such as `properties.cart_id`.
EventPath = Annotated[str, AfterValidator(_path)]
#: A CEL condition.
Cel = Annotated[str, Field(description="A condition in CEL, for example event.properties.price > 10.")]
#: What a trait or a property is compared with.
Value = str | int | float | bool
EventName = Annotated[str, Field(min_length=1, max_length=200)]
EventNames = Annotated[
    list[EventName],
    BeforeValidator(_listed, json_schema_input_type=EventName | list[EventName]),
    Field(min_length=1),
]


class Windowed(Part):
    """What happened at certain times only; without any: ever."""

    within: Span | None = Field(None, description="Less than this ago: left at exactly this long after the event.")
    between: list[Duration] | None = Field(
        None, min_length=2, max_length=2, description="[far, near]: not longer ago than far, at least near ago."
    )
    from_: str | None = Field(None, alias="from", description="Date or instant from which on events count.")
    to: str | None = Field(None, description="Date or instant before which events count.")

    @model_validator(mode="after")
    def _window(self) -> Self:
        written = [
            name
            for name, value in (("within", self.within), ("between", self.between), ("from/to", self.from_ or self.to))
            if value is not None
        ]
        if len(written) > 1:
            raise ValueError(f"one window only, not {' and '.join(written)}")
        if self.between is not None and self.between[0] <= self.between[1]:
            raise ValueError("between is [far, near], the longer duration first")
        return self


#: Days of the week, Monday first.
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)


def by_key(what: str, names: Iterable[str], later: Iterable[str] = ()) -> Discriminator:
    """Chooses a part by the key that stands in it, so that a mistake inside is reported for that part alone.

    The tags of the parts are the names in angle brackets. `later` are names the language has but this version has not.
    """
    known = tuple(names)

    def chosen(value: Any) -> str | None:
        if not isinstance(value, dict):
            return None
        return next((f"<{key}>" for key in value if key in known), None)

    return _choice(chosen, what, known, later)


def by_shape(what: str, *shapes: str) -> Discriminator:
    """Chooses by what was written: `text`, `number`, `list` or `mapping`; the tags are these words in angle
    brackets."""

    def chosen(value: Any) -> str | None:
        if isinstance(value, int | float) and not isinstance(value, bool) and "number" in shapes:
            return "<number>"
        shape = "text" if isinstance(value, str) else "list" if isinstance(value, list) else "mapping"
        if shape == "mapping" and not isinstance(value, dict):
            # a number or nothing: the text form explains best what is expected
            return "<text>" if "text" in shapes else None
        return f"<{shape}>" if shape in shapes else None

    return _choice(chosen, what, (), ())


class _Context(dict[str, int | str | float]):
    # annotations have to be hashable
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def _choice(
    choose: Callable[[Any], str | None], what: str, names: Iterable[str], later: Iterable[str]
) -> Discriminator:
    context = _Context({"what": what, "names": " ".join(names), "later": " ".join(later)})
    return Discriminator(
        choose, custom_error_type="choice", custom_error_message="{what}", custom_error_context=context
    )
