"""The operations page's figures, from what was seen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from api.ops.samples import Sample, histogram, stretch
from api.ops.totals import STARTS

_STATS: Final = (
    "batch_fill",
    "step_ms",
    "lane_tokens",
    "lane_capacity",
    "parked",
    "parked_bytes",
)
_OUTCOME: Final = "outcomes."
_COMPLETED: Final = f"{_OUTCOME}completed"


def point(samples: Sequence[Sample]) -> dict[str, Any]:
    """One place on the charts: the last of these looks, with means over all of them."""
    last, lately = samples[-1], stretch(samples)
    queue = last.queue
    return {
        "at": last.at,
        "redis": queue is not None,
        "open": queue.open if queue else None,
        "waiting": queue.waiting if queue else None,
        "workers": queue.workers if queue else None,
        "generated_per_s": lately.rate("engine.generated"),
        "evaluated_per_s": lately.rate("engine.evaluated"),
        "cached_per_s": lately.rate("engine.cached"),
        "failed": _failed(lately.grown),
        **_percentiles(lately.grown),
    }


def minutes(samples: Sequence[Sample]) -> dict[str, Any]:
    """What happened from the first of these looks to the last."""
    lately = stretch(samples)
    grown = lately.grown
    return {
        "seconds": lately.seconds,
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
    found = {}
    for name in ("queue_wait", "first_token", "turn"):
        counted = histogram(grown, name)
        for share in (0.5, 0.95):
            found[f"{name}_p{round(share * 100)}_s"] = counted.quantile(share)
    return found


def worker_stats(fields: Mapping[str, str]) -> dict[str, Any]:
    """What a worker's engine has told last; nothing, if it tells nothing."""
    stats: dict[str, Any] = orjson.loads(fields.get("stats") or "{}")
    return stats


def runs_on(placement: Mapping[str, Any]) -> str:
    """A worker's device, and how much of the model is on it; empty if it does not tell."""
    device, offloaded = str(placement.get("device", "")), placement.get("offloaded", 0)
    if not offloaded:
        return device
    flash = ", flash attention" if placement.get("flash_attention") else ""
    return f"{device}: {offloaded} of {placement.get('layers', 0)} layers{flash}"


def worker_row(name: str, fields: Mapping[str, str], samples: Sequence[Sample]) -> dict[str, Any]:
    """A worker as it told last, and the rate of its tokens over these looks."""
    stats = worker_stats(fields)
    seconds = samples[-1].at - samples[0].at if samples else 0.0
    generated = sum(sample.by_worker.get(name, 0) for sample in samples[1:])
    return {
        "worker": name,
        "model": fields.get("model", ""),
        "slots": int(fields.get("slots", 0)),
        "running": int(fields.get("running", 0)),
        "tokens_per_s": generated / seconds if seconds > 0 else 0.0,
        "runs_on": runs_on(stats.get("placement") or {}),
        **{key: stats.get(key, 0) for key in _STATS},
    }
