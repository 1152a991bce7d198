"""sources.yaml: where a touch came from, by its tags, click ids and referrer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, RootModel, model_validator

from schemas.definitions.grammar.base import Part


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


#: A rule's text: what it is compared with, `*` for anything.
_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Texts = Annotated[
    list[_Text],
    BeforeValidator(_listed, json_schema_input_type=_Text | list[_Text]),
    Field(min_length=1),
]


class UtmRule(Part):
    """Tags of the campaign; all that are named have to fit."""

    source: _Texts | None = None
    medium: _Texts | None = None
    campaign: _Texts | None = None
    term: _Texts | None = None
    content: _Texts | None = None

    @model_validator(mode="after")
    def _something(self) -> UtmRule:
        if not self.model_fields_set:
            raise ValueError("name a tag, for example utm: {source: newsletter}")
        return self


class SourceRule(Part):
    """A source and what shows it; all that is named has to fit."""

    source: str | None = Field(
        None, min_length=1, max_length=100, description="Default: the utm source, click id or referring host itself."
    )
    utm: UtmRule | None = None
    click_id: _Texts | None = Field(None, description="Parameters of the page's address, as gclid; one is enough.")
    referrer: _Texts | None = Field(None, description="Hosts, with all below them; google.* is every country's.")

    @model_validator(mode="after")
    def _something(self) -> SourceRule:
        if self.utm is None and self.click_id is None and self.referrer is None:
            raise ValueError("a rule needs one of utm, click_id, referrer")
        return self


class SourcesFile(RootModel[list[SourceRule]]):
    """sources.yaml: the first rule that fits names the source"""
