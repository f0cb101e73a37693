"""The dashboard and the alerts ask for metrics that exist."""

import datetime
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from api.ops.families import Families, model_families, queue_families, worker_families
from api.ops.metrics import HttpMetrics
from api.ops.models import by_model
from api.ops.notices import CLIENTS_ERRORS
from api.ops.usage_families import usage_families
from shared.store.queue import PoolState, QueueState
from shared.wire.usage_row import DayOfUsage, UsageRow
from tests.reports import FULL

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "operations"
USAGE = DayOfUsage(
    day=datetime.date(2026, 11, 27), rows=[UsageRow(owner_id="default", model_name="m", turns=1)]
)
OBJECTIVES = FOLDER / "slo.yml"
RULES = [FOLDER / "alerts.yml", OBJECTIVES]
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
                *usage_families(USAGE, {}),
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
    assert len(queries) >= 32
    names = {base(name) for name in known()}
    recorded = set(re.findall(r"record: (\S+)", OBJECTIVES.read_text()))
    assert {word for query in queries for word in re.findall(r"palaver:\S+", query)} <= recorded
    for query in queries:
        assert {base(name) for name in asked(query)} <= names, query


def test_the_dashboard_can_be_cut_by_model_worker_and_key() -> None:
    board = json.loads((FOLDER / "grafana.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for variable in board["templating"]["list"][1:]:
        name = variable["name"]
        assert any(f'{name}=~"${name}"' in query for query in queries), name


@pytest.mark.parametrize("file", RULES, ids=lambda path: path.name)
def test_every_alert_has_its_metric(file: Path) -> None:
    found = asked(file.read_text())
    assert len(found) >= 3
    assert {base(name) for name in found} <= {base(name) for name in known()}


def test_failures_that_are_not_the_clients_count_as_failures() -> None:
    """The rules leave out the codes that the operations page leaves out, and no other."""
    for file in RULES:
        for names in re.findall(r'outcome!~"([^"]+)"', file.read_text()):
            assert set(names.split("|")) == {"completed", *CLIENTS_ERRORS}


def test_every_metric_is_described() -> None:
    text = (FOLDER.with_suffix(".md")).read_text()
    for name in known():
        words = name.removeprefix("palaver_").split("_")
        shorter = ("_" + "_".join(words[begin:]) for begin in range(1, len(words)))
        assert name in text or any(f"`{short}" in text for short in shorter), name


@pytest.mark.parametrize("arguments", [("rules", *map(str, RULES)), ("metrics",)])
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    run_promtool("check", *arguments)


def test_an_objective_that_is_missed_is_told_and_one_that_is_met_is_not(tmp_path: Path) -> None:
    """An hour in which each minute has 20 turns: promtool runs the rules over it."""
    failing = [
        ('palaver_turns_ended_total{outcome="completed"}', "0+16x60"),
        ('palaver_turns_ended_total{outcome="worker_lost"}', "0+4x60"),
    ]
    well = [
        ('palaver_turns_ended_total{outcome="completed"}', "0+16x60"),
        ('palaver_turns_ended_total{outcome="context_length_exceeded"}', "0+4x60"),
    ]
    late = [
        ('palaver_first_token_seconds_bucket{le="10.0"}', "0+4x60"),
        ("palaver_first_token_seconds_count", "0+20x60"),
    ]
    in_time = [
        ('palaver_first_token_seconds_bucket{le="10.0"}', "0+19x60"),
        ("palaver_first_token_seconds_count", "0+20x60"),
    ]
    told = [
        ([*failing, *in_time], {"PalaverTurnsFailFast": "20%", "PalaverTurnsFailSlowly": "20%"}),
        ([*well, *in_time], {}),
        (
            [*well, *late],
            dict.fromkeys(
                ("PalaverFirstTokensAreLateFast", "PalaverFirstTokensAreLateSlowly"), "80%"
            ),
        ),
    ]
    cases = [_case(series, alerts) for series, alerts in told]
    file = tmp_path / "cases.yml"
    file.write_text(json.dumps({"rule_files": [str(OBJECTIVES)], "tests": cases}))
    run_promtool("test", "rules", str(file))


def _case(series: list[tuple[str, str]], alerts: dict[str, str]) -> dict[str, Any]:
    names = re.findall(r"alert: (\S+)", OBJECTIVES.read_text())
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "alert_rule_test": [
            {"eval_time": "59m", "alertname": name, "exp_alerts": _expected(name, alerts)}
            for name in names
        ],
    }


def _expected(name: str, alerts: dict[str, str]) -> list[dict[str, Any]]:
    if name not in alerts:
        return []
    rules = yaml.safe_load(OBJECTIVES.read_text())["groups"][0]["rules"]
    rule = next(rule for rule in rules if rule.get("alert") == name)
    summary = re.sub(r"{{.*?}}", alerts[name], rule["annotations"]["summary"])
    return [{"exp_labels": rule["labels"], "exp_annotations": {"summary": summary}}]


def run_promtool(*arguments: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, *arguments],
        input=exposed(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()
