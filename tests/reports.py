"""A worker's report in which every figure has a value of its own, made as a worker makes it."""

from typing import Final

from shared.wire.histograms import Histogram
from shared.wire.worker_report import WorkerReport
from worker.engine.placement import Placement
from worker.engine.stats import EngineStats
from worker.report import engine_report
from worker.turn_metrics import TurnMetrics

STATS: Final = EngineStats(
    passes=101,
    running=102,
    waiting=103,
    evaluated=104,
    cached=105,
    generated=106,
    drafted=112,
    accepted=113,
    kv_tokens=107,
    kv_capacity=108,
    swapped_out=109,
    swapped_bytes=110,
    preemptions=111,
    pass_ms=12.5,
    batch_fill=2.5,
    host_share=0.25,
    placement=Placement(
        device="NVIDIA H100",
        total_bytes=201,
        free_bytes=202,
        layers=33,
        offloaded=20,
        flash_attention=True,
        fitted="3 of 8 slots",
    ),
)


def _turns() -> TurnMetrics:
    metrics = TurnMetrics()
    metrics.counts.update(
        fenced=1,
        crashed=2,
        resumed=3,
        handed_over=4,
        summaries_made=7,
        summaries_interrupted=8,
        summaries_failed=9,
        summaries_refused=10,
        summary_tokens=11,
    )
    metrics.outcomes.update(completed=5, generation_failed=6)
    metrics.histograms = {
        "queue_wait": _counted(0.002, 0.3),
        "first_token": _counted(0.0625, 0.5, 0.5),
        "time_per_token": _counted(0.125, 0.125, 0.125, 0.125),
        "turn": _counted(2.0, 3.0, 20.0, 40.0, 999.0),
    }
    return metrics


def _counted(*values: float) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    return histogram


FULL: Final = WorkerReport(
    model_name="model.gguf",
    fingerprint="f1",
    slots=8,
    running=3,
    engine=engine_report(STATS),
    turns=_turns().report(),
    context_length=0,
    window=4096,
)
