"""The dashboard and the alerts ask for metrics that exist."""

import json
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from api.metrics import Families, HttpMetrics, queue_families, worker_families
from shared.queue import QueueState
from worker.turn_metrics import TurnMetrics

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "operations"
SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_created")


def known() -> set[str]:
    """The names of all metrics, without what Prometheus adds to them."""
    turns = TurnMetrics()
    turns.outcomes["completed"] += 1
    told = {"w": {"stats": "{}", "turns": json.dumps(turns.to_json()), "model": "m"}}
    registry = CollectorRegistry()
    registry.register(Families([*queue_families(QueueState(0, 0, 1)), *worker_families(told)]))
    http = HttpMetrics()
    text = (generate_latest(registry) + generate_latest(http.registry)).decode()
    return set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))


def asked(text: str) -> set[str]:
    return set(re.findall(r"palaver_\w+", text))


def base(name: str) -> str:
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def test_every_query_of_the_dashboard_has_its_metric() -> None:
    board = json.loads((FOLDER / "grafana.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) >= 20
    names = {base(name) for name in known()}
    for query in queries:
        assert {base(name) for name in asked(query)} <= names, query


def test_every_alert_has_its_metric() -> None:
    text = (FOLDER / "alerts.yml").read_text()
    found = asked(text)
    assert len(found) >= 6
    assert {base(name) for name in found} <= {base(name) for name in known()}


def test_every_metric_is_described() -> None:
    text = (FOLDER / "README.md").read_text()
    for name in known():
        words = name.removeprefix("palaver_").split("_")
        shorter = ("_" + "_".join(words[begin:]) for begin in range(1, len(words)))
        assert name in text or any(f"`{short}" in text for short in shorter), name
