"""What workers tell of themselves: the stored format, readers of other versions, the metrics."""

import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from api.ops.families import Families, worker_families
from shared.wire.worker_report import EngineReport, TurnCounts, TurnsReport, WorkerReport
from tests.reports import FULL

PLACEMENT = {
    "device": "NVIDIA H100",
    "total_bytes": 201,
    "free_bytes": 202,
    "layers": 33,
    "offloaded": 20,
    "flash_attention": True,
    "fitted": "3 of 8 slots",
}
ENGINE = {
    "steps": 101,
    "running": 102,
    "waiting": 103,
    "evaluated": 104,
    "cached": 105,
    "generated": 106,
    "drafted": 112,
    "accepted": 113,
    "lane_tokens": 107,
    "lane_capacity": 108,
    "parked": 109,
    "parked_bytes": 110,
    "preemptions": 111,
    "step_ms": 12.5,
    "batch_fill": 2.5,
    "host_share": 0.25,
    "placement": PLACEMENT,
}


def stored(report: WorkerReport) -> dict[str, str]:
    """The fields as Redis gives them back."""
    return {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in report.encode().items()
    }


def test_the_stored_format_is_that_of_earlier_versions_and_what_came_later() -> None:
    fields = stored(FULL)
    stats, turns = orjson.loads(fields.pop("stats")), orjson.loads(fields.pop("turns"))
    assert fields == {
        "model": "model.gguf",
        "fingerprint": "f1",
        "slots": "8",
        "running": "3",
        "steps": "101",
        "context_length": "0",
        "window": "4096",
        "capabilities": "chat",
        "pool": "model.gguf",
        "patience_ms": "0",
    }
    assert stats == ENGINE
    assert turns["outcomes"] == {"completed": 5, "generation_failed": 6}
    assert turns["counts"] == {
        "fenced": 1,
        "resumed": 3,
        "crashed": 2,
        "handed_over": 4,
        "summaries_made": 7,
        "summaries_interrupted": 8,
        "summaries_failed": 9,
        "summaries_refused": 10,
        "summary_tokens": 11,
    }
    assert turns["histograms"]["queue_wait"] == {
        "counts": [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        "total": 0.302,
    }
    assert set(turns["histograms"]) == {"queue_wait", "first_token", "time_per_token", "turn"}


def test_a_report_is_read_as_it_was_written() -> None:
    assert WorkerReport.decode(stored(FULL)) == FULL


def test_what_a_newer_worker_adds_is_passed_over() -> None:
    fields = stored(FULL) | {"new": "x"}
    stats = ENGINE | {"new": 1, "placement": PLACEMENT | {"new": 2}}
    turns = orjson.loads(fields["turns"])
    turns |= {"new": {}}
    turns["counts"]["new"] = 3
    fields |= {"stats": orjson.dumps(stats).decode(), "turns": orjson.dumps(turns).decode()}
    assert WorkerReport.decode(fields) == FULL


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "1", "no JSON", '{"steps": "many"}'])
def test_what_cannot_be_read_has_its_default(text: str) -> None:
    report = WorkerReport.decode({"model": "m", "slots": "no number", "stats": text, "turns": text})
    assert report == WorkerReport(model_name="m", engine=EngineReport(), turns=TurnsReport())


def test_histograms_with_other_buckets_are_left_out() -> None:
    turns = {"histograms": {"turn": {"counts": [1, 2], "total": 3.0}, "queue_wait": None}}
    assert TurnsReport.decode(orjson.dumps(turns).decode()) == TurnsReport()


def test_an_older_worker_has_fewer_counts() -> None:
    turns = TurnsReport.decode('{"counts": {"fenced": 2}, "outcomes": {"completed": 1}}')
    assert turns == TurnsReport(outcomes={"completed": 1}, counts=TurnCounts(fenced=2))


def test_the_metrics_of_a_worker_are_what_it_reports() -> None:
    registry = CollectorRegistry()
    registry.register(Families(worker_families({"w": FULL})))
    samples = {
        (sample.name.removeprefix("palaver_"), sample.labels.get("outcome")): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }
    assert samples == {
        ("worker_info", None): 1,
        ("slots", None): 8,
        ("worker_draining", None): 0,
        ("turns_running", None): 3,
        ("engine_sequences_running", None): 102,
        ("engine_sequences_waiting", None): 103,
        ("engine_kv_tokens", None): 107,
        ("engine_kv_capacity_tokens", None): 108,
        ("engine_parked_states", None): 109,
        ("engine_parked_bytes", None): 110,
        ("engine_batch_fill", None): 2.5,
        ("engine_host_share", None): 0.25,
        ("engine_step_seconds", None): 0.0125,
        ("engine_steps_total", None): 101,
        ("engine_evaluated_tokens_total", None): 104,
        ("engine_cached_tokens_total", None): 105,
        ("engine_generated_tokens_total", None): 106,
        ("engine_drafted_tokens_total", None): 112,
        ("engine_accepted_tokens_total", None): 113,
        ("engine_preemptions_total", None): 111,
        ("fenced_writes_total", None): 1,
        ("turns_resumed_total", None): 3,
        ("turns_taken_over_total", None): 2,
        ("turns_handed_over_total", None): 4,
        ("summaries_made_total", None): 7,
        ("summaries_interrupted_total", None): 8,
        ("summaries_failed_total", None): 9,
        ("summaries_refused_total", None): 10,
        ("memory_tokens_total", None): 11,
        ("turns_ended_total", "completed"): 5,
        ("turns_ended_total", "generation_failed"): 6,
        ("queue_wait_seconds_count", None): 2,
        ("queue_wait_seconds_sum", None): 0.302,
        ("first_token_seconds_count", None): 3,
        ("first_token_seconds_sum", None): 1.0625,
        ("time_per_token_seconds_count", None): 4,
        ("time_per_token_seconds_sum", None): 0.5,
        ("turn_seconds_count", None): 5,
        ("turn_seconds_sum", None): 1064.0,
    }
