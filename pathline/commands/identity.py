"""`pathline identity`: say who is one person and who is not, and see why."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from pathline.steering.explaining import Explanation
    from pathline.steering.planning import Parts, Plan
    from processors.graph.model import Node
    from schemas.codec import Codec
    from schemas.definitions.model import IdentityRules
    from schemas.settings import Settings

app = typer.Typer(no_args_is_help=True)

First = Annotated[str, typer.Argument(metavar="A", help="type:value such as email:ann@example.com.")]
Second = Annotated[str, typer.Argument(metavar="B", help="The other identifier.")]
Reason = Annotated[str, typer.Option(help="Why; kept, and shown by `explain`.")]
Author = Annotated[str | None, typer.Option(help="Who decided, by default you.", show_default=False)]
Folder = Annotated[Path | None, typer.Option("--project", help="Folder of the project.", show_default=False)]
Format = Annotated[Literal["table", "json"], typer.Option(help="table or json.")]

#: How long the graph may be silent before nobody waits any more, in seconds.
PROGRESS_SECONDS = 60.0
#: How many identifiers of a person are shown.
SHOWN = 6


@app.callback()
def identity() -> None:
    """Say who is one person and who is not, and see why."""


@app.command("never-link")
def never_link(a: First, b: Second, reason: Reason = "", author: Author = None) -> None:
    """Keep two identifiers two persons, whoever links them; takes them apart if they are one."""
    _assert("never", a, b, reason, author)


@app.command("always-link")
def always_link(a: First, b: Second, reason: Reason = "", author: Author = None) -> None:
    """Make two identifiers one person, beyond limits too."""
    _assert("always", a, b, reason, author)


@app.command()
def unlink(identifier: First, reason: Reason = "", author: Author = None) -> None:
    """Let an identifier stand alone: what linked it before counts no more, what is seen from now on does."""
    _assert("unlink", identifier, "", reason, author)


@app.command()
def revoke(
    a: First,
    b: Annotated[str, typer.Argument(metavar="[B]", help="The other identifier; none revokes an unlink.")] = "",
    reason: Reason = "",
    author: Author = None,
) -> None:
    """Take back what was asserted about two identifiers, or the unlink of one."""
    _assert("revoke", a, b, reason, author)


@app.command()
def explain(
    identifier: Annotated[str, typer.Argument(help="type:value, or a person id, also an earlier one.")],
    format: Format = "table",
    html: Annotated[
        Path | None, typer.Option(help="Write a page that draws the graph to this file.", show_default=False)
    ] = None,
) -> None:
    """Show why identifiers are one person: links, refused ones too, and assertions."""
    from pathline.local import current
    from pathline.steering.drawing import page
    from pathline.steering.explaining import explain, identifier_behind
    from pathline.steering.known import nodes_of
    from pathline.steering.telling import usable
    from processors.graph.policy import Strength

    settings = current.kafka_settings()
    rules, _ = in_force(settings)
    nodes = nodes_of(settings)
    if ":" in identifier:
        (who,) = usable(rules, identifier)
    else:
        behind = identifier_behind(nodes, identifier)
        if behind is None:
            raise UserError(f"no linked identifier ever had person id {identifier}; an identifier is type:value")
        who = behind
    found = explain(nodes, who, Strength(rules))
    if html is not None:
        html.write_text(page(found, who), "utf-8")
    if format == "json":
        typer.echo(json.dumps({"identifier": who, **_as_json(found)}, indent=2, ensure_ascii=False))
    else:
        _print(found)


@app.command()
def plan(
    project: Folder = None,
    format: Format = "table",
    examples: Annotated[int, typer.Option(min=0, help="Show at most this many merges and splits.")] = 5,
) -> None:
    """Show whom the project's identity.yaml would merge and split, without changing anything."""
    from pathline.local import current
    from pathline.steering import planning
    from pathline.steering.known import nodes_of
    from schemas.definitions import find_project, load

    checked = load(find_project(project))
    found = planning.plan(nodes_of(current.kafka_settings()), checked.identity)
    if format == "json":
        typer.echo(json.dumps(_plan_as_json(found, examples), indent=2, ensure_ascii=False))
        return
    typer.echo(
        f"{found.identifiers} linked identifiers: {found.persons_before} persons now, {found.persons_after} then"
    )
    typer.echo(f"{len(found.merges)} persons come out of merges, {len(found.splits)} come apart")
    typer.echo(
        f"{found.moved} identifiers change their person; {found.refused} links are refused, {found.counted} count"
    )
    for title, parts in (("merge", found.merges), ("split", found.splits)):
        for one in parts[:examples]:
            groups = " | ".join(_shortened(group) for group in one.parts.values())
            typer.echo(f"{title} {one.person_id}: {groups}")


@app.command("apply")
def apply_(project: Folder = None) -> None:
    """Publish the project, as `pathline apply` does, and wait until all persons follow its identity.yaml."""
    from pathline.commands.apply import apply
    from pathline.local import current
    from pathline.steering.known import Following, rules_in_force
    from processors.graph.review import REVIEW, fingerprint
    from schemas.definitions import find_project, load

    settings = current.kafka_settings()
    wanted = fingerprint(load(find_project(project)).identity)
    rules = rules_in_force(settings)
    following = Following(settings)
    try:
        apply(None, project)
        if rules is None or fingerprint(rules) == wanted:
            typer.echo("Its rules of identity are those that were in force: nobody changes.")
            return
        told = 0.0
        while True:
            review = following.until(REVIEW, bool, PROGRESS_SECONDS).get("")
            if review is None:
                raise UserError("The graph says nothing: it judges the links when it runs (see `pathline status`).")
            if review.rules == wanted and not review.stage:
                break
            if time.monotonic() - told > 1:
                told = time.monotonic()
                typer.echo(f"{review.stage}: up to {review.after}", err=True)
        typer.echo(f"{review.identifiers} identifiers judged, {review.moved} have another person now")
    finally:
        following.close()


def _plan_as_json(found: Plan, examples: int) -> dict[str, Any]:
    def told(parts: list[Parts]) -> list[dict[str, Any]]:
        return [{"person_id": one.person_id, "parts": list(one.parts.values())} for one in parts[:examples]]

    return {
        "identifiers": found.identifiers,
        "persons": {"before": found.persons_before, "after": found.persons_after},
        "moved": found.moved,
        "links": {"refused": found.refused, "counted": found.counted},
        "merges": len(found.merges),
        "splits": len(found.splits),
        "examples": {"merges": told(found.merges), "splits": told(found.splits)},
    }


def _shortened(identifiers: list[str]) -> str:
    more = len(identifiers) - SHOWN
    return ", ".join(identifiers[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _assert(verb: str, a: str, b: str, reason: str, author: str | None) -> None:
    from pathline.commands.apply import user
    from pathline.local import current
    from pathline.steering.telling import tell, usable
    from schemas.records import Assertion

    settings = current.kafka_settings()
    rules, codec = in_force(settings)
    one, *other = usable(rules, *filter(None, (a, b)))
    assertion = Assertion(
        verb=verb,
        a=one,
        b=other[0] if other else "",
        author=user() if author is None else author,
        reason=reason,
        at=settings.make_clock().now(),
    )
    typer.echo(_outcome([one, *other], tell(settings, codec, assertion)))


def _outcome(identifiers: list[str], known: Mapping[str, Node]) -> str:
    if not known:
        return "Told, but the graph has not answered yet: it will obey when it runs (see `pathline status`)."
    persons = [f"{identifier} is person {known[identifier].person}" for identifier in identifiers]
    return "\n".join(persons)


def in_force(settings: Settings) -> tuple[IdentityRules, Codec]:
    """The rules that were published last. Raises UserError when none were."""
    from pathline.steering.known import rules_in_force
    from schemas.registry import codec_for

    rules = rules_in_force(settings)
    if rules is None:
        raise UserError("No project is in force, so no identifier type is known: publish one with `pathline apply`.")
    return rules, codec_for(settings)


def _as_json(found: Explanation) -> dict[str, Any]:
    from dataclasses import asdict

    from schemas.definitions.expressions import iso

    told = asdict(found)
    told["earlier_ids"] = [{"person_id": id, "identifier": one} for id, one in found.earlier_ids.items()]
    for link in [*told["links"], *told["refused"]]:
        link["first_seen"], link["last_seen"] = iso(link["first_seen"]), iso(link["last_seen"])
    for said in told["assertions"]:
        said["at"] = iso(said["at"])
    for period in told["periods"]:
        period["since"] = iso(period["since"])
    return told


def _print(found: Explanation) -> None:
    from rich.console import Console
    from rich.table import Table

    from schemas.definitions.expressions import iso

    console = Console(markup=False, highlight=False)
    about = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    about.add_row("person", found.person_id)
    about.add_row("identifiers", "\n".join(found.identifiers))
    if found.earlier_ids:
        about.add_row("earlier ids", "\n".join(f"{id} (of {one})" for id, one in found.earlier_ids.items()))
    console.print(about)
    if not found.links:
        console.print("no link to another identifier counts")
    for title, links in (("links", found.links), ("refused links", found.refused)):
        if links:
            table = Table(title, "seen first", "seen last", "source", "event", "", box=None, padding=(0, 2, 0, 0))
            for link in links:
                why = link.reason or ("joins" if link.joins else "confirms")
                seen = iso(link.first_seen), iso(link.last_seen)
                table.add_row(f"{link.a} - {link.b}", *seen, link.source, link.event_id, why)
            console.print()
            console.print(table)
    if found.assertions:
        table = Table("assertions", "at", "author", "reason", "", box=None, padding=(0, 2, 0, 0))
        for said in found.assertions:
            what = f"{said.verb} {said.a} {said.b}".strip()
            table.add_row(what, iso(said.at), said.author, said.reason, "" if said.holds else "does not hold")
        console.print()
        console.print(table)
    if found.periods:
        table = Table("identifier", "since", "person", box=None, padding=(0, 2, 0, 0))
        for period in found.periods:
            table.add_row(period.identifier, iso(period.since) if period.since else "ever", period.person_id)
        console.print()
        console.print(table)
