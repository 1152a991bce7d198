"""promos.yaml: codes that journeys give to people."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, RootModel, model_validator

from schemas.definitions.grammar.base import EventNames, EventPath, Name, Part

#: 5 bits a character: with 8 two of a thousand people have the same code once in two million promos
SHORTEST, LONGEST = 8, 32


class Generated(Part):
    """Codes made as they are given."""

    prefix: str = Field("", max_length=32, pattern=r"^[\w-]*$")
    length: int = Field(12, ge=SHORTEST, le=LONGEST, description="Characters behind the prefix; 12 for millions.")


class Redeemed(Part):
    """The event that shows that a code was used."""

    event: EventNames
    code: EventPath = Field("properties.coupon", description="Where the code stands in it.")


class PromoRules(Part):
    """One promo: its codes are generated, or come from a pool."""

    description: str = ""
    generate: Annotated[Generated, BeforeValidator(lambda value: {} if value is None else value)] | None = None
    file: str | None = Field(None, description="A pool: a file in the project with a code a line, or a CSV.")
    column: str | None = Field(None, description="Column of a CSV that holds the codes; default: the first.")
    low: int | None = Field(None, ge=1, description="Fewer codes than this left in a pool are few.")
    one_per: str = Field(
        "person",
        pattern="^(person|entry)$",
        description="A person with a code that still holds gets it again, or each entry gets one of its own.",
    )
    redeemed: Redeemed | None = Field(None, description="Default: Order Completed with the code in properties.coupon.")

    @model_validator(mode="after")
    def _one(self) -> PromoRules:
        if (self.generate is None) == (self.file is None):
            raise ValueError("a promo either generates its codes or has a file of them")
        if self.file is None and (self.column is not None or self.low is not None):
            raise ValueError("column and low belong to a file")
        return self


class PromosFile(RootModel[dict[Name, PromoRules]]):
    """promos.yaml"""
