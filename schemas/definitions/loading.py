"""A project from its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel

from schemas.definitions import build_project, defaults
from schemas.definitions.build_conditions import ConditionBuilder
from schemas.definitions.build_journeys import JourneyBuilder, Use
from schemas.definitions.build_measures import computed
from schemas.definitions.build_templates import TemplateFile, check_uses
from schemas.definitions.checking import checked
from schemas.definitions.grammar.base import Findings, usable_name
from schemas.definitions.grammar.conditions import SegmentFile
from schemas.definitions.grammar.journeys import JourneyFile, WinnersFile
from schemas.definitions.grammar.measures import TraitFile
from schemas.definitions.grammar.predictions import PredictFile, PredictParametersFile
from schemas.definitions.grammar.project import ChannelsFile, EventsFile, IdentityFile, ProjectFile
from schemas.definitions.grammar.promos import PromosFile
from schemas.definitions.grammar.rfm import RfmBoundsFile, RfmFile
from schemas.definitions.grammar.sources import SourcesFile
from schemas.definitions.model import (
    Bounds,
    Channel,
    ComputedTrait,
    Condition,
    EventRule,
    IdentityRules,
    Journey,
    Predicting,
    Project,
    Promo,
    Scoring,
    Segment,
    SourceRule,
)
from schemas.definitions.names import Names, event_path
from schemas.definitions.ordering import in_order
from schemas.definitions.predictions import habits, predicting
from schemas.definitions.problems import Invalid, Problem, nearest
from schemas.definitions.scores import scoring
from schemas.definitions.yaml12 import Mapping as Located
from schemas.definitions.yaml12 import Mark, Unreadable, read

#: A folder is a project if it has one of these.
MARKERS = ("project.yaml", "identity.yaml")
#: What `pathline rfm fit`, `pathline predict fit` and `pathline journeys winners` found.
BOUNDS, PARAMETERS, WINNERS = FITTED = ("rfm_bounds.yaml", "predict_parameters.yaml", "winners.yaml")
ROOT_FILES = (
    *MARKERS,
    "events.yaml",
    "channels.yaml",
    "sources.yaml",
    "rfm.yaml",
    "predict.yaml",
    "promos.yaml",
    *FITTED,
)
FOLDERS = ("segments", "journeys", "templates", "traits")
MAX_FILES = 10_000
#: Traits that the line itself reads as people tell them.
TOLD = frozenset({"email", "phone", "timezone", "language", "locale"})
#: A published project is one Kafka record.
MAX_BYTES = 6_000_000

P = TypeVar("P", bound=BaseModel)


def find_project(option: Path | None, here: Path | None = None) -> Path:
    """The project folder a command works on: the option, else the current folder if it is one, else ./definitions.

    Raises Invalid when there is none.
    """
    here = here or Path.cwd()
    if option is not None:
        if option.is_file():
            whole = next((str(one) for one in option.parents if any((one / name).is_file() for name in MARKERS)), None)
            hint = f"a project is a folder: {whole}" if whole else ""
            raise Invalid([Problem(str(option), 0, 0, "a file, where the folder of a project is expected", hint)])
        if not option.is_dir():
            raise Invalid([Problem(str(option), 0, 0, "there is no such folder")])
        return option
    for folder in (here, here / "definitions"):
        if any((folder / marker).is_file() for marker in MARKERS):
            return folder
    hint = "go to a project, or give one with --project"
    raise Invalid([Problem(str(here), 0, 0, f"neither here nor in ./definitions is a {' or '.join(MARKERS)}", hint)])


def load(folder: Path) -> Project:
    """The project in a folder. Raises Invalid with all problems at once."""
    files: dict[str, str] = {}
    problems: list[Problem] = []
    for path in _project_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            files[name] = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            problems.append(Problem(name, line, 1, "not UTF-8 text"))
        except OSError as error:
            problems.append(Problem(name, 0, 0, f"can't be read: {error.strerror}"))
    problems += _misnamed(folder)
    if not files and not problems:
        hint = f"a project has {' or '.join(MARKERS)}"
        raise Invalid([Problem(folder.as_posix(), 0, 0, "there is no project in this folder", hint)])
    try:
        project = parse(files)
    except Invalid as invalid:
        raise Invalid([*problems, *invalid.problems]) from None
    if problems:
        raise Invalid(problems)
    return project


def parse(files: Mapping[str, str]) -> Project:
    """The project in these texts, by path. Raises Invalid with all problems at once."""
    total = sum(len(text.encode("utf-8", "surrogatepass")) for text in files.values())
    if total > MAX_BYTES:
        raise Invalid([Problem("", 0, 0, f"the project has {total} bytes, {MAX_BYTES} are allowed")])
    return _Loader(files).project()


def content_hash(files: Mapping[str, str]) -> str:
    """Version of a project: a hash of its texts that line endings and trailing blanks do not change."""
    digest = hashlib.sha256()
    for path, text in sorted(files.items()):
        normal = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n")).strip("\n")
        for part in (path.encode(), normal.encode("utf-8", "surrogatepass")):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def _project_files(folder: Path) -> list[Path]:
    found = [folder / name for name in ROOT_FILES if (folder / name).is_file()]
    for name in FOLDERS:
        paths = [p for p in (folder / name).rglob("*.yaml") if p.is_file() and not p.name.startswith(".")]
        found += sorted(paths)[:MAX_FILES]
    return found


def _misnamed(folder: Path) -> list[Problem]:
    """Files that look like a part of the project but would be ignored because of their name."""
    problems: list[Problem] = []
    for path in sorted(folder.glob("*")):
        if path.is_file() and path.suffix in (".yaml", ".yml") and path.name not in ROOT_FILES:
            hint = nearest(f"{path.stem}.yaml", ROOT_FILES)
            if hint.startswith("did"):
                problems.append(Problem(path.name, 0, 0, "would be ignored", hint))
        elif path.is_dir() and path.name not in FOLDERS and any(path.glob("*.y*ml")):
            hint = nearest(path.name, FOLDERS)
            if hint.startswith("did"):
                problems.append(Problem(f"{path.name}/", 0, 0, "would be ignored", hint))
    for name in FOLDERS:
        for path in sorted((folder / name).rglob("*.yml")):
            file = path.relative_to(folder).as_posix()
            problems.append(Problem(file, 0, 0, "would be ignored", "name it .yaml"))
    return problems


class _Loader:
    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._findings: dict[str, Findings] = {}
        self._uses: list[Use] = []
        self._references: dict[str, Mapping[str, Mark]] = {}
        self._read: dict[str, Any] = {}

    def project(self) -> Project:
        settings = self._part("project.yaml", ProjectFile) or ProjectFile()
        zone = build_project.timezone(settings, self._of("project.yaml"))
        identity = self._identity()
        channels = self._channels(identity)
        events = self._events()
        promos = self._promos()
        names = Names(
            segments=self._named("segments"),
            templates=self._named("templates"),
            journeys=self._named("journeys"),
            channels=channels,
            timezone=zone,
            traits=self._named("traits"),
            promos=promos,
            scoring=self._scoring(events),
            predicting=self._predicting(events),
        )
        exclude = self._exclude(settings, names)
        caps = build_project.caps(settings, channels, names.journeys, self._of("project.yaml"))
        holdout = build_project.holdout(settings, names.journeys, self._of("project.yaml"))
        templates = self._templates(names)
        traits = self._traits(names)
        segments = self._segments(names)
        journeys, hidden = self._journeys(names)
        check_uses(templates, self._uses, self._findings)
        sources = self._sources()
        ordered, cycles = in_order({**segments, **hidden})
        for cycle in cycles:
            place = self._references[cycle[0]][cycle[1]]
            self._of(segments[cycle[0]].path).add(
                place, f"segments refer to each other in a circle: {' -> '.join(cycle)}"
            )
        problems = [problem for findings in self._findings.values() for problem in findings.problems]
        if problems:
            raise Invalid(problems)
        return Project(
            name=settings.name,
            timezone=zone,
            currency=settings.currency,
            holdout=holdout,
            identity=identity,
            events=events,
            channels=channels,
            segments=ordered,
            journeys=journeys,
            templates={name: file.template for name, file in templates.items()},
            version=content_hash(self._files),
            files=dict(self._files),
            sources=sources,
            exclude=exclude,
            caps=caps,
            promos=promos,
            winners=self._winners(),
            zone_from=build_project.zone_from(settings, zone),
            timers=build_project.timers(settings),
            traits=traits,
            scoring=names.scoring,
            predicting=names.predicting,
        )

    # --- reading -------------------------------------------------------------------------------------------------

    def _of(self, file: str) -> Findings:
        return self._findings.setdefault(file, Findings(file))

    def _raw(self, file: str) -> Any:
        """What a file holds, or the reason why it can't be read, which is reported once."""
        if file not in self._read:
            try:
                self._read[file] = read(file, self._files[file])
            except Unreadable as unreadable:
                self._of(file).problems.append(unreadable.problem)
                self._read[file] = unreadable
        return self._read[file]

    def _part(self, file: str, part: type[P]) -> P | None:
        """The checked content of a file; None when it is absent, empty or wrong."""
        if file not in self._files:
            return None
        raw = self._raw(file)
        return None if raw is None or isinstance(raw, Unreadable) else checked(part, raw, self._of(file))

    def _in(self, folder: str) -> list[str]:
        return sorted(file for file in self._files if file.startswith(f"{folder}/") and file.endswith(".yaml"))

    def _named(self, folder: str) -> dict[str, str]:
        """Names defined in a folder and the files they stand in; a second one of a name is a problem."""
        names: dict[str, str] = {}
        for file in self._in(folder):
            name = PurePosixPath(file).stem
            if folder != "templates":
                raw = self._raw(file)
                written = raw.get("name") if isinstance(raw, Located) else None
                name = written if isinstance(written, str) else name
            if name in names:
                self._of(file).add(Mark(1, 1), f"there already is a {folder[:-1]} {name!r} in {names[name]}")
            names.setdefault(name, file)
        return names

    # --- parts ---------------------------------------------------------------------------------------------------

    def _identity(self) -> IdentityRules:
        part = self._part("identity.yaml", IdentityFile)
        if part is None:
            return defaults.identity()
        return build_project.identity(part, self._raw("identity.yaml"), self._of("identity.yaml"))

    def _channels(self, identity: IdentityRules) -> dict[str, Channel]:
        part = self._part("channels.yaml", ChannelsFile)
        if part is None:
            return defaults.channels()
        return build_project.channels(part, identity.types, self._of("channels.yaml"))

    def _events(self) -> dict[str, EventRule]:
        part = self._part("events.yaml", EventsFile)
        return {} if part is None else build_project.events(part, self._of("events.yaml"))

    def _scoring(self, rules: Mapping[str, EventRule]) -> Scoring:
        part = self._part("rfm.yaml", RfmFile) or RfmFile()
        if part.of is not None:
            event_path(part.of, self._of("rfm.yaml"), part.at("of"))
        by = scoring(part.event or (), part.of, part.within, rules)
        fitted = self._part(BOUNDS, RfmBoundsFile)
        if fitted is None:
            return by
        return replace(by, bounds=Bounds(tuple(fitted.recency), tuple(fitted.frequency), tuple(fitted.monetary)))

    def _predicting(self, rules: Mapping[str, EventRule]) -> Predicting:
        part = self._part("predict.yaml", PredictFile) or PredictFile()
        if part.of is not None:
            event_path(part.of, self._of("predict.yaml"), part.at("of"))
        by = predicting(part.event or (), part.of, rules)
        fitted = self._part(PARAMETERS, PredictParametersFile)
        return by if fitted is None else replace(by, habits=habits(fitted))

    def _winners(self) -> dict[str, str]:
        part = self._part(WINNERS, WinnersFile)
        return {} if part is None else dict(part.root)

    def _promos(self) -> dict[str, Promo]:
        part = self._part("promos.yaml", PromosFile)
        return {} if part is None else build_project.promos(part, self._of("promos.yaml"))

    def _sources(self) -> tuple[SourceRule, ...]:
        part = self._part("sources.yaml", SourcesFile)
        return defaults.SOURCES if part is None else build_project.sources(part)

    def _exclude(self, settings: ProjectFile, names: Names) -> Condition | None:
        if settings.exclude is None:
            return None
        builder = ConditionBuilder("exclude", names, self._of("project.yaml"))
        built = builder.build(settings.exclude)
        for name, mark in builder.references.items():
            hint = "say its condition here"
            self._of("project.yaml").add(mark, f"who is excluded is in no segment, so not in {name!r}", hint)
        return built

    def _templates(self, names: Names) -> dict[str, TemplateFile]:
        built: dict[str, TemplateFile] = {}
        for file in self._in("templates"):
            raw = self._raw(file)
            if not isinstance(raw, Unreadable):
                name = PurePosixPath(file).stem
                built.setdefault(name, TemplateFile(file, name, raw, names.channels, self._of(file)))
        return built

    def _traits(self, names: Names) -> dict[str, ComputedTrait]:
        built: dict[str, ComputedTrait] = {}
        for file in self._in("traits"):
            part = self._definition(file, TraitFile)
            if part is not None:
                name = part.name or self._stem(file)
                if name in TOLD:
                    self._of(file).add(part.at("name"), f"{name!r} is a trait that people tell, it can't be worked out")
                built.setdefault(name, ComputedTrait(name, computed(part, names, self._of(file)), file))
        return built

    def _segments(self, names: Names) -> dict[str, Segment]:
        built: dict[str, Segment] = {}
        for file in self._in("segments"):
            part = self._definition(file, SegmentFile)
            if part is not None:
                name = part.name or self._stem(file)
                builder = ConditionBuilder(name, names, self._of(file), segment=name)
                sync = tuple(dict.fromkeys(part.sync))
                build_project.audiences(sync, names.channels, self._of(file), part.at("sync"))
                built.setdefault(name, Segment(name, builder.build(part.when), file, sync))
                self._references.setdefault(name, builder.references)
        return built

    def _journeys(self, names: Names) -> tuple[dict[str, Journey], dict[str, Segment]]:
        built: dict[str, Journey] = {}
        hidden: dict[str, Segment] = {}
        for file in self._in("journeys"):
            part = self._definition(file, JourneyFile)
            if part is not None:
                name = part.name or self._stem(file)
                made = JourneyBuilder(file, names, self._of(file)).build(name, part)
                built.setdefault(name, made.journey)
                hidden.update((segment.name, segment) for segment in made.hidden)
                self._uses += made.uses
        return built, hidden

    def _definition(self, file: str, part: type[P]) -> P | None:
        raw = self._raw(file)
        if isinstance(raw, Unreadable):
            return None
        if raw is None:
            self._of(file).add(Mark(1, 1), "the file is empty")
            return None
        return checked(part, raw, self._of(file))

    def _stem(self, file: str) -> str:
        stem = PurePosixPath(file).stem
        try:
            return usable_name(stem)
        except ValueError as error:
            self._of(file).add(Mark(1, 1), str(error), "rename the file, or say name:")
            return stem
