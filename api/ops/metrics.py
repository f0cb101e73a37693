"""`/metrics`: this process, the queue, and every living worker, as Prometheus reads it.

Workers report their figures with each heartbeat, so one address shows all of them, on whatever
machines they run. Their counters restart at 0 with each process, when the `worker` label changes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import falcon
import falcon.asgi
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from redis.exceptions import RedisError

from shared.store.queue import Queue, QueueState
from shared.store.workers import Workers
from shared.wire.histograms import SECONDS
from shared.wire.worker_report import WorkerReport

_PREFIX: Final = "palaver_"
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of each worker: its name, its description, and where it is in a report."""

    name: str
    text: str
    of: Callable[[WorkerReport], float]


_GAUGES: Final = (
    Figure("slots", "Turns that a worker runs together.", lambda w: w.slots),
    Figure("turns_running", "Turns that a worker holds.", lambda w: w.running),
    Figure("engine_sequences_running", "Replies being generated.", lambda w: w.engine.running),
    Figure("engine_sequences_waiting", "Replies that wait for a slot.", lambda w: w.engine.waiting),
    Figure("engine_kv_tokens", "Tokens in the KV cache.", lambda w: w.engine.lane_tokens),
    Figure(
        "engine_kv_capacity_tokens",
        "Tokens that fit into the KV cache.",
        lambda w: w.engine.lane_capacity,
    ),
    Figure(
        "engine_parked_states",
        "Conversations and prefixes in host memory.",
        lambda w: w.engine.parked,
    ),
    Figure("engine_parked_bytes", "Bytes that these take.", lambda w: w.engine.parked_bytes),
    Figure(
        "engine_batch_fill",
        "Mean number of replies in a decoding pass.",
        lambda w: w.engine.batch_fill,
    ),
    Figure(
        "engine_host_share",
        "Share of the steps' time outside the library.",
        lambda w: w.engine.host_share,
    ),
    Figure(
        "engine_step_seconds",
        "Median time of the engine's last passes.",
        lambda w: w.engine.step_ms / 1000,
    ),
)
_COUNTERS: Final = (
    Figure("engine_steps", "Passes over the weights.", lambda w: w.engine.steps),
    Figure(
        "engine_evaluated_tokens",
        "Prompt tokens that were evaluated.",
        lambda w: w.engine.evaluated,
    ),
    Figure(
        "engine_cached_tokens",
        "Prompt tokens found in the cache.",
        lambda w: w.engine.cached,
    ),
    Figure("engine_generated_tokens", "Reply tokens.", lambda w: w.engine.generated),
    Figure(
        "engine_preemptions",
        "Replies that had to wait for room in the KV cache.",
        lambda w: w.engine.preemptions,
    ),
    Figure(
        "fenced_writes",
        "Writes that were refused because another worker had the turn.",
        lambda w: w.turns.counts.fenced,
    ),
    Figure(
        "turns_resumed",
        "Turns that a worker continued after an earlier start.",
        lambda w: w.turns.counts.resumed,
    ),
    Figure(
        "turns_taken_over",
        "Continued turns whose worker was lost.",
        lambda w: w.turns.counts.crashed,
    ),
    Figure(
        "turns_handed_over",
        "Turns that a stopping worker gave back.",
        lambda w: w.turns.counts.handed_over,
    ),
)
_TURN_HISTOGRAMS: Final = {
    "queue_wait": ("queue_wait_seconds", "From a prompt's acceptance to its start."),
    "first_token": ("first_token_seconds", "From a prompt's acceptance to its first token."),
    "time_per_token": ("time_per_token_seconds", "Between two tokens of a reply, on average."),
    "turn": ("turn_seconds", "From a prompt's acceptance to the end of its reply."),
}


class HttpMetrics:
    """Middleware that counts this process's requests."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self._requests = Counter(
            f"{_PREFIX}http_requests",
            "Requests by route and status.",
            (*labels, "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            f"{_PREFIX}http_request_seconds",
            "Time to the response; for a stream, to its beginning.",
            labels,
            buckets=SECONDS,
            registry=self.registry,
        )

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        # The template, never the path: every id would create a series.
        route = req.uri_template or _OTHER
        method = req.method if route != _OTHER else _OTHER
        self._requests.labels(method, route, str(resp.status_code)).inc()
        took_s = time.perf_counter() - req.context.began
        self._seconds.labels(method, route).observe(took_s)


class MetricsResource:
    """This process, the queue and all workers, in Prometheus' text format."""

    def __init__(self, http: HttpMetrics, workers: Workers, queue: Queue) -> None:
        self._http = http
        self._workers = workers
        self._queue = queue

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        registry = CollectorRegistry()
        registry.register(Families(await self._families()))
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = generate_latest(self._http.registry) + generate_latest(registry)

    async def _families(self) -> list[Metric]:
        """What Redis knows; while it does not answer, only that it does not."""
        up = GaugeMetricFamily(f"{_PREFIX}redis_up", "Whether Redis answers.", value=1)
        try:
            reports, queue = await self._workers.all(), await self._queue.state()
        except (RedisError, OSError):
            return [GaugeMetricFamily(f"{_PREFIX}redis_up", up.documentation, value=0)]
        return [up, *queue_families(queue), *worker_families(reports)]


class Families:
    """A collector of metrics that were fetched before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def queue_families(queue: QueueState) -> Iterator[Metric]:
    """Turns and workers, by the queue."""
    figures = {
        "turns_open": ("Turns accepted and not ended.", queue.open),
        "turns_waiting": ("Turns that wait for a worker.", queue.waiting),
        "workers": ("Workers heard of lately.", queue.workers),
    }
    for name, (text, value) in figures.items():
        yield GaugeMetricFamily(_PREFIX + name, text, value=value)


def worker_families(reports: Mapping[str, WorkerReport]) -> Iterator[Metric]:
    """Each worker's figures, by its last report."""
    yield _models(reports)
    for figure in _GAUGES:
        gauge = GaugeMetricFamily(_PREFIX + figure.name, figure.text, labels=["worker"])
        for worker, report in reports.items():
            gauge.add_metric([worker], float(figure.of(report)))
        yield gauge
    for figure in _COUNTERS:
        counter = CounterMetricFamily(_PREFIX + figure.name, figure.text, labels=["worker"])
        for worker, report in reports.items():
            counter.add_metric([worker], float(figure.of(report)))
        yield counter
    yield _outcomes(reports)
    yield from _histograms(reports)


def _models(reports: Mapping[str, WorkerReport]) -> Metric:
    family = GaugeMetricFamily(
        f"{_PREFIX}worker_info", "What a worker runs.", labels=["worker", "model", "fingerprint"]
    )
    for worker, report in reports.items():
        family.add_metric([worker, report.model_name, report.fingerprint], 1.0)
    return family


def _outcomes(reports: Mapping[str, WorkerReport]) -> Metric:
    text = "Turns ended by workers: completed, or why they failed."
    family = CounterMetricFamily(f"{_PREFIX}turns_ended", text, labels=["worker", "outcome"])
    for worker, report in reports.items():
        for outcome, count in report.turns.outcomes.items():
            family.add_metric([worker, outcome], float(count))
    return family


def _histograms(reports: Mapping[str, WorkerReport]) -> Iterator[Metric]:
    for field, (name, text) in _TURN_HISTOGRAMS.items():
        family = HistogramMetricFamily(_PREFIX + name, text, labels=["worker"])
        for worker, report in reports.items():
            counted = report.turns.histograms.get(field)
            if counted is not None:
                family.add_metric([worker], counted.buckets(), counted.total)
        yield family
