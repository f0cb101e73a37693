"""The figures of the operations page, calculated from samples."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.ops.models import by_model
from api.ops.samples import Sample, histogram, interval_of
from api.ops.totals import STARTS
from shared.wire.worker_report import WorkerReport

_OUTCOME: Final = "outcomes."
_COMPLETED: Final = f"{_OUTCOME}completed"


def point(samples: Sequence[Sample]) -> dict[str, Any]:
    """One point on the charts: the state at the last sample, with rates over all of them."""
    last, interval = samples[-1], interval_of(samples)
    queue = last.queue
    return {
        "at": last.at,
        "redis": queue is not None,
        "open": queue.open if queue else None,
        "waiting": queue.waiting if queue else None,
        "workers": last.workers if queue else None,
        "generated_per_s": interval.rate("engine.generated"),
        "evaluated_per_s": interval.rate("engine.evaluated"),
        "cached_per_s": interval.rate("engine.cached"),
        "failed": _failed(interval.grown),
        **_percentiles(interval.grown),
    }


def minutes(samples: Sequence[Sample]) -> dict[str, Any]:
    """What happened between the first and the last of these samples."""
    interval = interval_of(samples)
    grown = interval.grown
    return {
        "seconds": interval.seconds,
        "completed": grown[_COMPLETED],
        "failed": _failed(grown),
        "outcomes": {
            name.removeprefix(_OUTCOME): count
            for name, count in grown.items()
            if name.startswith(_OUTCOME) and count
        },
        "started": grown[STARTS],
        "taken_over": grown["counts.crashed"],
        "handed_over": grown["counts.handed_over"],
        "fenced": grown["counts.fenced"],
        "preemptions": grown["engine.preemptions"],
        "evaluated": grown["engine.evaluated"],
        "cached": grown["engine.cached"],
        "generated": grown["engine.generated"],
        **_percentiles(grown),
    }


def _failed(grown: Counter[str]) -> int:
    return sum(
        count for name, count in grown.items() if name.startswith(_OUTCOME) and name != _COMPLETED
    )


def _percentiles(grown: Counter[str]) -> dict[str, float | None]:
    percentiles = {}
    for name in ("queue_wait", "first_token", "turn"):
        counts = histogram(grown, name)
        for share in (0.5, 0.95):
            percentiles[f"{name}_p{round(share * 100)}_s"] = counts.quantile(share)
    return percentiles


def model_rows(
    reports: Mapping[str, WorkerReport], samples: Sequence[Sample]
) -> list[dict[str, Any]]:
    """Each model, with the rate of its workers' tokens over these samples."""
    queue = samples[-1].queue if samples else None
    rates: dict[str, float] = {}
    for name, report in reports.items():
        rates[report.pool] = rates.get(report.pool, 0.0) + tokens_per_s(name, samples)
    return [
        {
            "model": model.name,
            "workers": model.workers,
            "draining": model.draining,
            "slots": model.slots,
            "free": model.free,
            "running": model.running,
            "waiting": model.waiting,
            "held": model.held,
            "pace_s": model.pace_s,
            "tokens_per_s": rates.get(model.name, 0.0),
        }
        for model in by_model(reports, queue.pools if queue else {})
    ]


def tokens_per_s(worker: str, samples: Sequence[Sample]) -> float:
    """Reply tokens that a worker generated, over the time of these samples."""
    seconds = samples[-1].at - samples[0].at if samples else 0.0
    generated = sum(sample.by_worker.get(worker, 0) for sample in samples[1:])
    return generated / seconds if seconds > 0 else 0.0


def worker_row(name: str, report: WorkerReport, samples: Sequence[Sample]) -> dict[str, Any]:
    """A worker by its last report, with the rate of its tokens over these samples."""
    engine = report.engine
    return {
        "worker": name,
        "model": report.model_name,
        "slots": report.slots,
        "running": report.running,
        "draining": report.is_draining,
        "tokens_per_s": tokens_per_s(name, samples),
        "runs_on": engine.placement.described(),
        "batch_fill": engine.batch_fill,
        "step_ms": engine.step_ms,
        "lane_tokens": engine.lane_tokens,
        "lane_capacity": engine.lane_capacity,
        "parked": engine.parked,
        "parked_bytes": engine.parked_bytes,
    }
