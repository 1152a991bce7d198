"""Predictions as conditions and computed traits, and the file of what they go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from schemas.definitions.grammar.predictions import Predicted, PredictedIs, PredictParametersFile
from schemas.definitions.hoisting import parts
from schemas.definitions.model import EventRule, Habits, Measure, Predicting, Prediction, Predicts, Project
from schemas.definitions.scores import orders_of


def predicting(events: Sequence[str], of: str | None, rules: Mapping[str, EventRule]) -> Predicting:
    """What is predicted by; what is not said follows from events.yaml."""
    return Predicting(*orders_of(events, of, rules))


def prediction(part: Predicted, by: Predicting) -> Prediction:
    """What a part asks for."""
    what, ahead = part.asked()
    return Prediction(what, ahead, Measure("orders", by.events, by.of), by.habits)


def predicts(part: PredictedIs, by: Predicting) -> Predicts:
    """The condition that a prediction compares as asked."""
    return Predicts(prediction(part, by), tuple(part.tests()))


def habits(part: PredictParametersFile) -> Habits:
    """How people buy, as a file tells it."""
    bought, worth = part.purchases, part.values
    told = None if worth is None else (worth.p, worth.q, worth.gamma)
    return Habits(bought.r, bought.alpha, bought.a, bought.b, told)


def unfitted(project: Project) -> list[str]:
    """Files that ask for predictions while there is nothing that they could go by."""
    return sorted({path for path, asked in predictions(project) if not known(asked)})


def predictions(project: Project) -> Iterator[tuple[str, Prediction]]:
    """(file, prediction) of all that a project asks for."""
    for segment in project.segments.values():
        for part in parts(segment.when):
            if isinstance(part, Predicts):
                yield segment.path, part.prediction
    for trait in project.traits.values():
        if isinstance(trait.measure, Prediction):
            yield trait.path, trait.measure


def known(asked: Prediction) -> bool:
    """Whether what was fitted says anything of it."""
    return asked.habits is not None and (asked.what != "value" or asked.habits.worth is not None)


def written(habits: Habits, fitted: str) -> str:
    """The text of predict_parameters.yaml. Numbers are as exact as they are kept."""
    lines = [
        "# How people buy, as `pathline predict fit` found it: MBG/NBD (in days) and Gamma-Gamma.",
        f"fitted: {fitted}",
        f"purchases: {{r: {habits.r!r}, alpha: {habits.alpha!r}, a: {habits.a!r}, b: {habits.b!r}}}",
    ]
    if habits.worth is not None:
        lines.append("values: {{p: {!r}, q: {!r}, gamma: {!r}}}".format(*habits.worth))
    return "\n".join(lines) + "\n"
