"""The dashboard and the alerts ask for metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from api.ops.families import Families, model_families, queue_families, worker_families
from api.ops.metrics import HttpMetrics
from api.ops.models import by_model
from shared.store.queue import PoolState, QueueState
from tests.reports import FULL

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "operations"
SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_created")


def exposed() -> bytes:
    """All metrics, as they are scraped."""
    queue, workers = QueueState(open=0, pools={"m": PoolState(waiting=1, pace_s=1)}), {"w": FULL}
    registry = CollectorRegistry()
    registry.register(
        Families(
            [
                *queue_families(queue, len(workers)),
                *model_families(by_model(workers, queue.pools)),
                *worker_families(workers),
            ]
        )
    )
    http = HttpMetrics()
    return generate_latest(registry) + generate_latest(http.registry)


def known() -> set[str]:
    """The names of all metrics, without what Prometheus adds to them."""
    return set(re.findall(r"^# TYPE (\w+)", exposed().decode(), re.MULTILINE))


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
    text = (FOLDER.with_suffix(".md")).read_text()
    for name in known():
        words = name.removeprefix("palaver_").split("_")
        shorter = ("_" + "_".join(words[begin:]) for begin in range(1, len(words)))
        assert name in text or any(f"`{short}" in text for short in shorter), name


@pytest.mark.parametrize("arguments", [("rules", str(FOLDER / "alerts.yml")), ("metrics",)])
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, "check", *arguments],
        input=exposed(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()
