"""Small projects as texts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from schemas.definitions import Invalid, Problem, Project, parse

SOUND = {
    "project.yaml": "name: shop\ntimezone: Europe/Kyiv\n",
    "identity.yaml": """
        identifiers:
          user_id: {limit: 1}
          email: {limit: 5, normalize: email}
          phone: {limit: 5, normalize: phone, region: UA}
          anonymous_id: {limit: 100}
        """,
    "channels.yaml": """
        email: {cost: 0.0004, connector: smtp, consent: opt_in}
        sms: {cost: 0.05, connector: smpp, consent: opt_in}
        web: {kind: session}
        """,
    "segments/vip.yaml": "when: {trait: vip, equals: true}",
    "templates/hello.yaml": "subject: Hi\nbody: Hello\n",
}


def project(**files: str) -> Project:
    """The sound project with these files besides or instead; `segments__x` stands for segments/x.yaml."""
    return parse(texts(files))


def problems(**files: str) -> list[Problem]:
    """What is wrong with the sound project when these files stand in it."""
    try:
        parse(texts(files))
    except Invalid as invalid:
        return invalid.problems
    return []


def texts(files: Mapping[str, str]) -> dict[str, str]:
    named = {f"{name.replace('__', '/')}.yaml": text for name, text in files.items()}
    return {path: textwrap.dedent(text).lstrip("\n") for path, text in {**SOUND, **named}.items()}


def journey(steps: str, enter: str = "{event: Product Added}", more: str = "") -> str:
    """A journey with these steps, beginning in line 4."""
    return f"name: j\nenter: {enter}\nsteps:\n{textwrap.indent(textwrap.dedent(steps).strip(), '  ')}\n{more}"
