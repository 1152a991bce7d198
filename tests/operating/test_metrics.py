"""Which metrics there are stands in docs/operating.md, no more and no fewer."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry

from connectors.inbound.collector.metrics import Metrics as CollectorMetrics
from connectors.inbound.collector.publisher import Publisher
from processors.runtime.metrics import Metrics as WorkerMetrics
from tests.connectors.doubles import KeepingProducer

ROOT = Path(__file__).parent.parent.parent
PARTS = ("connectors", "processors", "sinks")


def names(registry: CollectorRegistry) -> set[str]:
    """Metrics of the line in a registry, as Prometheus shows them."""
    found = ((family.name, family.type) for family in registry.collect())
    return {f"{name}_total" if kind == "counter" else name for name, kind in found if name.startswith("pathline_")}


def existing() -> set[str]:
    for part in PARTS:
        for module in (ROOT / part).rglob("metrics.py"):
            import_module(".".join(module.relative_to(ROOT).with_suffix("").parts))
    publisher = Publisher(KeepingProducer())
    collector = CollectorMetrics(publisher)
    publisher.close()
    exposed = re.findall(
        r"^# TYPE (pathline_\w+) (?:counter|gauge|histogram)$", collector.text().decode(), re.MULTILINE
    )
    own = {name for name in exposed if not name.endswith("_created")}
    return own | names(REGISTRY) | names(WorkerMetrics("app").registry)


def test_the_metrics_documented_are_those_that_exist() -> None:
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    documented = re.findall(r"^\| `(pathline_\w+)` \|", text, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == existing()


def test_metrics_are_made_in_files_of_that_name() -> None:
    users = {
        path.relative_to(ROOT)
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        if re.search(r"prometheus_client import .*(Counter|Gauge|Histogram)", path.read_text("utf-8"))
    }
    assert {path.name for path in users} == {"metrics.py"}
