"""Scores of people by their orders: how recently, how often, how much; and the bounds between the scores."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Tag, model_validator

from schemas.definitions.grammar.base import Duration, EventNames, EventPath, Part, Span, by_shape

Score = Annotated[int, Field(ge=1, le=5)]
Scores = Annotated[
    Annotated[Score, Tag("<number>")] | Annotated[list[Score], Field(min_length=1), Tag("<list>")],
    by_shape("a score from 1 to 5 or a list of them is expected", "number", "list"),
]


class ScoresOf(Part):
    """Scores from 1 (longest ago, seldom, little) to 5; those that are asked must all fit."""

    recency: Scores | None = None
    frequency: Scores | None = None
    monetary: Scores | None = None

    @model_validator(mode="after")
    def _some(self) -> ScoresOf:
        if not self.asked():
            raise ValueError("say recency, frequency, monetary or several of them")
        return self

    def asked(self) -> dict[str, frozenset[int]]:
        """The scores that fit, of what was asked."""
        written = {"recency": self.recency, "frequency": self.frequency, "monetary": self.monetary}
        return {
            name: frozenset([scores] if isinstance(scores, int) else scores)
            for name, scores in written.items()
            if scores is not None
        }


class ScoredBy(Part):
    """The person's orders are scored among those of everybody."""

    rfm: ScoresOf


class RfmFile(Part):
    """rfm.yaml: which events are orders, what they are worth, and how far back they count."""

    event: EventNames | None = Field(
        None, description="Default: the events of events.yaml that have a revenue, else Order Completed."
    )
    of: EventPath | None = Field(None, description="Default: the revenue in events.yaml, else properties.total.")
    within: Span | None = Field(None, description="Default: all orders there ever were.")


class RfmBoundsFile(Part):
    """rfm_bounds.yaml: what separates the scores 1 to 5; written by `pathline rfm fit`."""

    fitted: str = Field("", description="When, and of how many people.")
    recency: list[Duration] = Field(
        min_length=4, max_length=4, description="The last order is less long ago than this: scores 2, 3, 4, 5."
    )
    frequency: list[int] = Field(min_length=4, max_length=4, description="At least so many orders: scores 2, 3, 4, 5.")
    monetary: list[float] = Field(min_length=4, max_length=4, description="At least so much: scores 2, 3, 4, 5.")

    @model_validator(mode="after")
    def _ordered(self) -> RfmBoundsFile:
        if self.recency != sorted(self.recency, reverse=True):
            raise ValueError("recency goes from the longest time to the shortest")
        for name, bounds in (("frequency", self.frequency), ("monetary", self.monetary)):
            if bounds != sorted(bounds):
                raise ValueError(f"{name} goes from the least to the most")
        return self
