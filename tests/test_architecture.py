"""Imports point one way: schemas <- processors.runtime <- processors; schemas <- connectors, sinks <- pathline."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("schemas", "processors", "connectors", "sinks", "pathline")
PROCESSORS = ("identity", "graph", "segments", "journeys")

#: package -> packages of the project that it may import besides itself; the longest name that fits counts
ALLOWED: dict[str, tuple[str, ...]] = {
    "schemas": (),
    "processors.runtime": ("schemas",),
    **{f"processors.{name}": ("schemas", "processors.runtime") for name in PROCESSORS},
    "connectors": ("schemas",),
    "connectors.outbound": ("schemas", "processors.runtime", "connectors"),
    "sinks": ("schemas",),
    # it answers from what journeys keep, read by their own types, and takes requests in as the edge does
    "sinks.profiles": (
        "schemas",
        "processors.runtime",
        "processors.journeys",
        "connectors.inbound",
        "connectors.signing",
        "sinks.metrics",
    ),
    "pathline": PACKAGES,
}


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _home(module: str) -> str:
    homes = [package for package in ALLOWED if _inside(module, package)]
    return max(homes, key=len, default="")


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            # `from processors import graph` names a package too
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _modules() -> Iterator[tuple[Path, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def wrong_imports(module: str, imported: str) -> bool:
    """Whether a module must not import another."""
    home = _home(module)
    if imported.partition(".")[0] not in PACKAGES or not home:
        return False
    return not any(_inside(imported, package) for package in (home, *ALLOWED[home]))


def test_imports_point_one_way() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {module} must not import {imported}"
        for path, module in _modules()
        for line, imported in _imports(path)
        if wrong_imports(module, imported)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "imported", "wrong"),
    [
        ("schemas.codec", "processors.runtime.contract.Stage", True),
        ("processors.runtime.worker", "processors.graph.step", True),
        ("processors.segments.step", "processors.journeys.model", True),
        ("processors.segments.step", "processors.runtime.slots", False),
        ("connectors.inbound.segment", "processors.runtime.contract", True),
        ("connectors.outbound.dispatch", "processors.runtime.contract", False),
        ("sinks.clickhouse.writer", "connectors.inbound.segment", True),
        ("sinks.profiles.people", "processors.journeys.model", False),
        ("sinks.profiles.people", "sinks.clickhouse.engine", True),
        ("pathline.cli", "sinks.clickhouse.engine", False),
    ],
)
def test_the_rule_itself(module: str, imported: str, wrong: bool) -> None:
    assert wrong_imports(module, imported) is wrong


def test_every_processor_is_under_the_rule() -> None:
    folders = {path.name for path in (ROOT / "processors").iterdir() if (path / "__init__.py").exists()}
    assert folders - {"runtime"} == set(PROCESSORS)


def test_every_command_is_there_and_its_help_says_what_it_does() -> None:
    from typer.testing import CliRunner

    from pathline.cli import COMMANDS, app

    told = CliRunner().invoke(app, ["--help"])
    assert told.exit_code == 0, told.output
    for name in COMMANDS:
        helped = CliRunner().invoke(app, [name, "--help"])
        assert helped.exit_code == 0, helped.output
