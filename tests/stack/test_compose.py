"""docker-compose.yml, as far as it can be judged without a container engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.main
import typer.testing
import yaml

from pathline.cli import app
from pathline.local.plan import PROCESSORS
from schemas.settings import Settings

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service.get("build"))
#: what the Compose specification allows, of what is used here
KEYS = {
    "build",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "ports",
    "restart",
    "ulimits",
    "volumes",
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def test_the_whole_line_is_there() -> None:
    from pathline.local.plan import LANES

    dispatch = {"dispatch-email" + ("" if lane == "marketing" else f"-{lane}") for lane in LANES}
    wanted = {
        "kafka",
        "schema-registry",
        "clickhouse",
        "mailbox",
        "collector",
        "profiles",
        "sink",
        *PROCESSORS,
        *dispatch,
    }
    assert wanted <= set(SERVICES)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_well_formed(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= KEYS
    assert service["image"]
    for other, wait in (service.get("depends_on") or {}).items():
        assert wait["condition"] in CONDITIONS
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other], f"{name} waits for the health of {other}, which has no check"
        if wait["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no"
    for volume in service.get("volumes", []):
        assert volume.partition(":")[0] in COMPOSE["volumes"]
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), "published to this machine only"


def test_nothing_waits_for_itself() -> None:
    def before(name: str, seen: tuple[str, ...]) -> None:
        assert name not in seen, f"a circle: {' -> '.join([*seen, name])}"
        for other in SERVICES[name].get("depends_on") or {}:
            before(other, (*seen, name))

    for name in SERVICES:
        before(name, ())


@pytest.mark.parametrize("name", OURS)
def test_the_command_line_knows_the_command(name: str) -> None:
    command: Any = typer.main.get_command(app)
    arguments = list(SERVICES[name]["command"])
    context = command.make_context("pathline", arguments)
    while hasattr(command, "commands") or hasattr(command, "list_commands"):
        found, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        # parses options and arguments without calling anything
        context = command.make_context(found, arguments, parent=context)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_exist_are_valid_and_name_services(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {f"PATHLINE_{field.upper()}" for field in Settings.model_fields}
    for variable, text in SERVICES[name]["environment"].items():
        assert variable in known
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text)))
    settings = Settings()
    urls = [f"kafka://{settings.brokers}", settings.registry, settings.warehouse, settings.smtp]
    assert {urlsplit(url).hostname for url in urls} <= set(SERVICES)


def test_the_image_holds_what_the_package_needs() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    paths = [path for line in copied for path in line.split()]
    assert all((ROOT / path).exists() for path in paths)
    assert {"schemas", "processors", "connectors", "sinks", "pathline", "definitions"} <= set(paths)
