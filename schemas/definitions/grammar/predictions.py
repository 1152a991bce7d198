"""What people will do next: probability of a purchase, expected value, churn; and how people buy, as it was fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from schemas.definitions.grammar.base import EventNames, EventPath, Part, Span, span

#: Stands for `ever` where durations are milliseconds.
EVER = 0


def _ahead(value: Any) -> int:
    return EVER if value == "ever" else span(value)


#: How far ahead, in milliseconds: a duration or `ever`.
Ahead = Annotated[
    int,
    BeforeValidator(_ahead),
    Field(json_schema_extra={"type": "string", "pattern": r"^(ever|(\d+[smhdw])+)$", "examples": ["30d", "ever"]}),
]
Positive = Annotated[float, Field(gt=0)]
WHAT = ("purchase", "value", "churn")


class Predicted(Part):
    """Of a person who bought: one of purchase, value, churn."""

    purchase: Ahead | None = Field(None, description="Probability of a purchase within this time, or ever.")
    value: Span | None = Field(None, description="Expected worth of the purchases within this time.")
    churn: Ahead | None = Field(None, description="Probability that nothing is bought within this time, or ever again.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        written = [name for name in WHAT if getattr(self, name) is not None]
        if len(written) != 1:
            found = f", not {' and '.join(written)}" if written else ""
            raise ValueError(f"one of {', '.join(WHAT)} with a time ahead is expected{found}")
        return self

    def asked(self) -> tuple[Literal["purchase", "value", "churn"], int | None]:
        """(what, milliseconds ahead; None for ever)."""
        if self.value is not None:
            return "value", self.value
        what: Literal["purchase", "churn"] = "churn" if self.purchase is None else "purchase"
        return what, getattr(self, what) or None


class PredictedIs(Predicted):
    """A prediction, compared."""

    at_least: float | None = Field(None, ge=0)
    at_most: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _compared(self) -> Self:
        tests = dict(self.tests())
        if not tests:
            raise ValueError("say how it compares: at_least, at_most or both")
        if self.value is None and max(tests.values()) > 1:
            raise ValueError("a probability lies between 0 and 1, so 60 % is 0.6")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"nothing is at least {self.at_least:g} and at most {self.at_most:g}")
        return self

    def tests(self) -> list[tuple[str, float]]:
        """(operator, number) of those that were written."""
        written = (("at_least", self.at_least), ("at_most", self.at_most))
        return [(name, value) for name, value in written if value is not None]


class PredictsThis(Part):
    """What the person will do next, predicted from all its orders."""

    predicts: PredictedIs


class PredictFile(Part):
    """predict.yaml: which events are orders, and what they are worth."""

    event: EventNames | None = Field(
        None, description="Default: the events of events.yaml that have a revenue, else Order Completed."
    )
    of: EventPath | None = Field(None, description="Default: the revenue in events.yaml, else properties.total.")


class PurchaseHabits(Part):
    """How often people buy and when they stop: the MBG/NBD model, in days."""

    r: Positive
    alpha: Positive
    a: Positive
    b: Positive


class ValueHabits(Part):
    """What a day of purchases is worth: the Gamma-Gamma model."""

    p: Positive
    q: float = Field(gt=1)
    gamma: Positive


class PredictParametersFile(Part):
    """predict_parameters.yaml: how people buy; written by `pathline predict fit`."""

    fitted: str = Field("", description="When, and of how many people.")
    purchases: PurchaseHabits
    values: ValueHabits | None = Field(None, description="Without it nothing is known of the worth of purchases.")
