"""What is sound but probably not what was meant."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.definitions.catching import caught_before, shown, sources_of, texts_of
from schemas.definitions.liquid import plain
from schemas.definitions.model import Journey, Project, Send, Split, Step, Template
from schemas.definitions.predictions import unfitted
from schemas.definitions.scores import unscored
from schemas.definitions.steps import all_steps, arms, sends
from schemas.definitions.templates import is_sms, parts_for
from schemas.reasons import HELD_OUT
from schemas.sms import split

#: so few characters beyond the GSM alphabet were probably not meant: a dash, a curly quote
_FEW = 3


def advice(project: Project) -> list[str]:
    """Notes on a checked project, each a sentence."""
    sent = list(sends(project))
    sending = {name for name, channel in project.channels.items() if channel.kind == "send"}
    used = {channel for send in sent for channel in send.channels or sending}
    notes = []
    for name, channel in project.channels.items():
        missing = [identifier for identifier in channel.identifiers if identifier not in project.identity.types]
        if name in used and missing and len(missing) == len(channel.identifiers):
            types = ", ".join(missing)
            notes.append(f"channel {name} reaches nobody: identity.yaml has no identifier type {types}")
        known = [project.identity.types[type] for type in channel.identifiers if type in project.identity.types]
        if name in used and known and all(type.hash for type in known):
            notes.append(f"channel {name} reaches nobody: of {known[0].name} only a hash is kept")
    for rule in project.events.values():
        if rule.undo and rule.same is None:
            undo = ", ".join(rule.undo)
            missing_same = f"events.yaml has no `same` for {rule.name}, by which the two are joined"
            notes.append(f"{undo} takes no {rule.name} back: {missing_same}")
    for segment in project.segments.values():
        for name in (name for name in segment.sync if name not in project.channels):
            notes.append(f"segment {segment.name} is synced to nobody: channels.yaml has no {name} (kind: audience)")
    if asking := unscored(project):
        shown = ", ".join(asking)
        notes.append(f"rfm holds for nobody until there are bounds: run `pathline rfm fit` on the line ({shown})")
    if asking := unfitted(project):
        shown = ", ".join(asking)
        unknown = "how people buy" if project.predicting.habits is None else "what purchases are worth"
        notes.append(f"predicts holds for nobody until {unknown} is known: run `pathline predict fit` ({shown})")
    for name in sorted(project.templates.keys() - {send.template for send in sent}):
        notes.append(f"template {name} is not used by any journey")
    by_mail = {send.template for send in sent if "email" in (send.channels or sending)}
    for name in sorted(by_mail & project.templates.keys()):
        if "subject" not in parts_for(project.templates[name], "email"):
            notes.append(f"template {name} has no subject: e-mails show the first line of their text")
    for send in sent:
        if send.until is not None and (send.choice == "all" or len(send.channels or sending) == 1):
            why = "all go out at once" if send.choice == "all" else "there is only one"
            notes.append(f"until: {send.until} of template {send.template} leads to no other channel: {why}")
        for over in send.channels or sorted(sending):
            if is_sms(over) and send.template in project.templates:
                notes += _costly(project.templates[send.template], over)
    for journey in project.journeys.values():
        notes += _perhaps_missing(project, journey)
        notes += _not_held_out(journey.name, journey.steps, False)
    return list(dict.fromkeys(notes))


def _not_held_out(journey: str, steps: tuple[Step, ...], sends_behind: bool) -> Iterator[str]:
    """Splits of which those who are to get nothing go on to messages behind them."""
    for number, step in enumerate(steps):
        behind = sends_behind or any(isinstance(later, Send) for later in all_steps(steps[number + 1 :]))
        if isinstance(step, Split) and behind and any(name == HELD_OUT for name, _, _ in step.arms):
            yield (
                f"journey {journey}: who draws {HELD_OUT} at step {step.id} gets what is sent behind the split:"
                " send in its arms what is to be measured"
            )
        for arm in arms(step):
            yield from _not_held_out(journey, arm, behind)


def _perhaps_missing(project: Project, journey: Journey) -> list[str]:
    """What texts show though it was caught on some of the ways to them only."""
    sending = [name for name, channel in project.channels.items() if channel.kind == "send"]
    notes = []
    before = caught_before(journey)
    for step in all_steps(journey.steps):
        sources, by = list(texts_of(step)), f"step {step.id}"
        if isinstance(step, Send) and step.template in project.templates:
            sources = list(sources_of(project.templates[step.template], step.channels or sending, project.channels))
            by = f"template {step.template}"
        caught = before[step.id]
        for name in shown(sources, caught.ever - caught.always):
            lost = f"who comes to step {step.id} without it gets nothing"
            notes.append(f"journey {journey.name}: {by} shows {name}, {lost}: ask {{% if {name} %}}")
    return notes


def _costly(template: Template, channel: str) -> list[str]:
    """What makes an SMS longer than it looks: without what its Liquid inserts."""
    sources = parts_for(template, channel)
    written = plain(sources.get("text") or sources.get("body") or "")
    message = split(written)
    if len(message.segments) == 1:
        return []
    if message.odd and len(message.odd) <= _FEW and len(split(_without(written, message.odd)).segments) == 1:
        return [
            f"template {template.name} is {len(message.segments)} SMS because of {message.odd}:"
            " without it a segment holds 160 characters instead of 70"
        ]
    return [f"template {template.name} is at least {len(message.segments)} SMS ({message.encoding})"]


def _without(text: str, characters: str) -> str:
    """A text with other characters in the place of these."""
    return "".join("x" if character in characters else character for character in text)
