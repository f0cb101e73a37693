"""`/ops` and what it shows."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import falcon
import falcon.asgi
import orjson

from api.access import Access
from api.errors import Problem
from api.ops.history import History, Sample, histogram, together
from api.ops.totals import STARTS
from api.web.pages import Page, wants_page

_SMOOTH_S: Final = 30.0
"""Rates are means over so long: workers tell of themselves every few seconds only."""
_OUTCOME: Final = "outcomes."
_COMPLETED: Final = f"{_OUTCOME}completed"


class OpsPage:
    """The page itself; where there are keys it asks for one, because no browser sends it alone."""

    def __init__(self, page: Page, access: Access) -> None:
        self._page = page
        self._access = access

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        try:
            self._access.identify(req)
        except Problem as problem:
            if problem.status != 401 or not wants_page(req):
                raise
            resp.status = problem.status
            for name, value in problem.headers.items():
                resp.set_header(name, value)
        self._page.answer(resp)


class OpsData:
    """Its figures."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.set_header("Cache-Control", "no-store")
        resp.data = orjson.dumps(describe(self._history))


def describe(history: History) -> dict[str, Any]:
    """Everything that the page draws."""
    samples = list(history.samples)
    smooth = max(1, round(_SMOOTH_S / history.period_s))
    return {
        "now": time.time(),
        "period_s": history.period_s,
        "points": [
            _point(samples[max(0, end - smooth) : end], history.period_s)
            for end in range(1, len(samples) + 1)
        ],
        "minutes": _minutes(samples, history.period_s),
        "workers": [
            _worker(name, fields, samples[-smooth:], history.period_s)
            for name, fields in sorted(history.told.items())
        ],
    }


def _point(samples: Sequence[Sample], period_s: float) -> dict[str, Any]:
    """One place on the charts: the last of these samples, with means over all of them."""
    last, grown, seconds = samples[-1], together(samples), period_s * len(samples)
    queue = last.queue
    return {
        "at": last.at,
        "redis": queue is not None,
        "open": queue.open if queue else None,
        "waiting": queue.waiting if queue else None,
        "workers": queue.workers if queue else None,
        "generated_per_s": grown["engine.generated"] / seconds,
        "evaluated_per_s": grown["engine.evaluated"] / seconds,
        "cached_per_s": grown["engine.cached"] / seconds,
        "failed": _failed(grown),
        **_percentiles(grown),
    }


def _minutes(samples: Sequence[Sample], period_s: float) -> dict[str, Any]:
    """All samples together."""
    grown = together(samples)
    return {
        "seconds": period_s * max(0, len(samples) - 1),
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


def _worker(
    name: str, fields: Mapping[str, str], samples: Sequence[Sample], period_s: float
) -> dict[str, Any]:
    stats = orjson.loads(fields["stats"])
    generated = sum(sample.grown.get(name, {}).get("engine.generated", 0) for sample in samples)
    return {
        "worker": name,
        "model": fields["model"],
        "slots": int(fields["slots"]),
        "running": int(fields["running"]),
        "tokens_per_s": generated / (period_s * len(samples)) if samples else 0.0,
        **{
            key: stats.get(key, 0)
            for key in (
                "batch_fill",
                "step_ms",
                "lane_tokens",
                "lane_capacity",
                "parked",
                "parked_bytes",
            )
        },
    }
