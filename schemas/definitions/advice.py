"""What is sound but probably not what was meant."""

from __future__ import annotations

from schemas.definitions.model import Project
from schemas.definitions.predictions import unfitted
from schemas.definitions.scores import unscored
from schemas.definitions.steps import sends
from schemas.definitions.templates import parts_for


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
    return notes
