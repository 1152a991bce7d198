"""`pathline apply`: publish a project, in force from its marker on."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathline.errors import UserError

if TYPE_CHECKING:
    from schemas.codec import Codec
    from schemas.definitions import Project
    from schemas.records import Definitions
    from schemas.settings import Settings

#: How often progress is told, in seconds.
LOOK_SECONDS = 1.0


def apply(
    folder: Annotated[Path | None, typer.Argument(help="Folder of the project.", show_default=False)] = None,
    project: Annotated[Path | None, typer.Option(help="Folder of the project.", show_default=False)] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all segments answer for everybody.")] = False,
) -> None:
    """Check a project and put it into force on the running line; does nothing when it already is."""
    from pathline.local import current
    from pathline.local.plan import topic_channels
    from pathline.steering.known import rules_in_force
    from processors.graph.review import fingerprint
    from schemas.definitions import find_project, load
    from schemas.kafka import apply_topics

    folder = find_project(project or folder)
    checked = load(folder)
    settings = current.kafka_settings()
    checked = with_fitted(settings, checked)
    # a new channel needs its topics before the first journey sends over it
    apply_topics(settings, topic_channels(checked))
    fill_pools(settings, folder, checked)
    tell_inside(settings, checked)
    rules = rules_in_force(settings)
    if publish(settings, checked, user()):
        typer.echo(f"{checked.name} {checked.version} is in force")
        if rules is not None and fingerprint(rules) != fingerprint(checked.identity):
            typer.echo("Its rules of identity are others: the graph judges all links by them now, and persons follow.")
    else:
        typer.echo(f"{checked.name} {checked.version} was in force already")
    if wait:
        _follow(settings, checked.version)


def _follow(settings: Settings, version: str) -> None:
    """Tell how far the line is in going over to a version until it is through."""
    from pathline.turnover.following import Turnover
    from schemas.registry import codec_for

    turnover, told = Turnover(settings, codec_for(settings)), ""
    try:
        progress = turnover.to_now()
        while not (progress.definitions == version and progress.done(turnover.count)):
            if progress.definitions == version and progress.spoken() != told:
                told = progress.spoken()
                typer.echo(told, err=True)
            progress = turnover.more(LOOK_SECONDS)
        typer.echo(f"all segments answer for everybody; {progress.spoken()}")
    finally:
        turnover.close()


def tell_inside(settings: Settings, project: Project) -> None:
    """Tell who is inside journeys that the project changes or no longer has, where a warehouse knows it."""
    from pathline.commands.asking import answering
    from pathline.journeys.publishing import inside
    from schemas.registry import codec_for

    before = published_last(settings, codec_for(settings))
    if before is None or before.version == project.version:
        return
    with suppress(UserError), answering(prepare=False) as warehouse:
        for line in inside(warehouse, before.files, project):
            typer.echo(line)


def fill_pools(settings: Settings, folder: Path, project: Project, say: Callable[[str], None] = typer.echo) -> None:
    """Put codes that are new in the files of promos into their pools, so that they are there when journeys give them.
    Raises UserError, KafkaException."""
    from pathline.promos.files import of_promo, pools
    from pathline.promos.keeping import Loader
    from schemas.registry import codec_for

    files = [promo for promo in pools(project) if (folder / promo.file).is_file()]
    loader = Loader(settings, codec_for(settings)) if files else None
    for promo in files:
        assert loader is not None
        new = loader.load(promo.name, of_promo(folder, promo))
        if new:
            say(f"{promo.name}: {new:,} new codes from {promo.file}")


def publish(settings: Settings, project: Project, author: str = "", codec: Codec | None = None) -> bool:
    """Publish a checked project under its version and mark, in every partition of `people`, where it begins to hold.

    One transaction, so that nobody meets a marker whose project is not there, or a project in force in some partitions
    only. Returns False when this version is in force already. Raises UserError when the topics are missing and
    KafkaException when Kafka does not answer.
    """
    from pathline.announcing import Announcer
    from schemas.records import Definitions, Marker, PersonEnvelope
    from schemas.registry import codec_for

    codec = codec or codec_for(settings)
    announcer = Announcer(settings, codec)
    if in_force(settings, codec) == project.version:
        return False
    now = settings.make_clock().now()
    published = Definitions(version=project.version, published_at=now, author=author, files=dict(project.files))
    marker = PersonEnvelope(kind="marker", person_id="", marker=Marker(version=project.version, at=now))
    announcer.announce(project.version, published, marker)
    return True


def in_force(settings: Settings, codec: Codec) -> str | None:
    """The version published last; None when there is none. Raises KafkaException, TimeoutError."""
    last = published_last(settings, codec)
    return None if last is None else last.version


def published_last(settings: Settings, codec: Codec) -> Definitions | None:
    """What was published last; None when nothing was. Raises KafkaException, TimeoutError."""
    from confluent_kafka import Message

    from pathline.announcing import TIMEOUT
    from schemas.codec import BadRecord
    from schemas.journey_states import is_state
    from schemas.kafka import read_whole
    from schemas.records import Definitions
    from schemas.topics import DEFINITIONS

    last: Definitions | None = None

    def take(message: Message) -> None:
        nonlocal last
        value = message.value()
        if value is not None and not is_state(message.key()):
            # what is no project was never in force
            with suppress(BadRecord):
                last = codec.decode(Definitions, value)

    read_whole(settings.brokers, DEFINITIONS, take, TIMEOUT)
    return last


def with_fitted(settings: Settings, project: Project) -> Project:
    """The project with what was fitted and is in force (scores, predictions), where it has nothing of its own."""
    from schemas.definitions import parse
    from schemas.definitions.loading import FITTED
    from schemas.registry import codec_for

    missing = [name for name in FITTED if name not in project.files]
    last = published_last(settings, codec_for(settings)) if missing else None
    kept = {name: last.files[name] for name in missing if last is not None and name in last.files}
    return parse({**project.files, **kept}) if kept else project


def user() -> str:
    """Who is at the command line, empty when that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # a container may run under an id without a name
        return ""
