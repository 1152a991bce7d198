"""What a line fits in its warehouse (scores, predictions), fitted in the events of a dry run instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pathline.errors import UserError
from pathline.predictions import buyers
from pathline.predictions.fitting import fitted
from pathline.rfm.fitting import of_events
from schemas.definitions import parse, predictions, scores
from schemas.definitions.loading import BOUNDS, PARAMETERS
from schemas.definitions.model import Project
from schemas.records import Event


def with_fitted(
    project: Project, events: Sequence[Event], until: int, origin: str, tell: Callable[[str], None]
) -> Project:
    """The project with what it asks for and does not say itself, as it shows in these events at an instant.

    `tell` is told what was found, or why nothing could be.
    """
    found = dict[str, str]()
    try:
        if scores.unscored(project):
            orders = of_events(project, events, until)
            found[BOUNDS] = scores.written(orders.bounds(until), f"of {len(orders.last)} people in {origin}")
    except UserError as error:
        tell(f"{BOUNDS} is not there, so nobody has a score: {error}")
    try:
        if predictions.unfitted(project) and PARAMETERS not in project.files:
            bought = buyers.of_events(project, events, until)
            found[PARAMETERS] = predictions.written(
                fitted(bought.values(), until), f"of {len(bought)} people in {origin}"
            )
    except UserError as error:
        tell(f"{PARAMETERS} is not there, so nothing is predicted: {error}")
    for name, text in found.items():
        tell(f"{name} is not there, so this was found in these events:\n{text}")
    return parse({**project.files, **found}) if found else project
