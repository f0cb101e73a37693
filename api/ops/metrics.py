"""`/metrics`: this process, the queue, and every living worker, as Prometheus reads it.

Workers tell their figures with each heartbeat, so that one address shows all of them, whatever
machines they run on. Their counters begin at 0 with each process: the `worker` label changes then.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
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
from shared.wire.histograms import Histogram as Counted

_PREFIX: Final = "palaver_"
_OTHER: Final = "other"

_GAUGES: Final = {
    "slots": ("slots", "Turns that a worker runs together."),
    "running": ("turns_running", "Turns that a worker holds."),
}
_ENGINE_GAUGES: Final = {
    "running": ("engine_sequences_running", "Replies in the engine's lanes."),
    "waiting": ("engine_sequences_waiting", "Replies that wait for a lane."),
    "lane_tokens": ("engine_kv_tokens", "Tokens in the KV cache."),
    "lane_capacity": ("engine_kv_capacity_tokens", "Tokens that fit into the KV cache."),
    "parked": ("engine_parked_states", "Conversations and prefixes in host memory."),
    "parked_bytes": ("engine_parked_bytes", "What they take."),
    "batch_fill": ("engine_batch_fill", "Mean number of replies in a decoding pass."),
    "host_share": ("engine_host_share", "Share of the steps' time outside the library."),
}
_ENGINE_COUNTERS: Final = {
    "steps": ("engine_steps", "Passes over the weights."),
    "evaluated": ("engine_evaluated_tokens", "Prompt tokens that were evaluated."),
    "cached": ("engine_cached_tokens", "Prompt tokens that were there already."),
    "generated": ("engine_generated_tokens", "Reply tokens."),
    "preemptions": ("engine_preemptions", "Replies that had to wait for room in the KV cache."),
}
_TURN_COUNTERS: Final = {
    "fenced": ("fenced_writes", "Ends that were refused, because the turn was somebody else's."),
    "resumed": ("turns_resumed", "Turns that went on here behind an earlier start."),
    "crashed": ("turns_taken_over", "Those of them whose worker had been lost."),
    "handed_over": ("turns_handed_over", "Turns that a stopping worker gave back."),
}
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
            "Time to the answer; of a stream, to its beginning.",
            labels,
            buckets=SECONDS,
            registry=self.registry,
        )

    async def process_request(self, req: falcon.asgi.Request, _resp: Any) -> None:
        req.context.counted_from = time.perf_counter()

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        # The template, never the path: ids would make a series each.
        route = req.uri_template or _OTHER
        method = req.method if route != _OTHER else _OTHER
        self._requests.labels(method, route, str(resp.status_code)).inc()
        took_s = time.perf_counter() - req.context.counted_from
        self._seconds.labels(method, route).observe(took_s)


class MetricsResource:
    """Answers Prometheus."""

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
        """Of this process there are figures in any case."""
        up = GaugeMetricFamily(f"{_PREFIX}redis_up", "Whether Redis answers.", value=1)
        try:
            told, queue = await self._workers.all(), await self._queue.state()
        except (RedisError, OSError):
            return [GaugeMetricFamily(f"{_PREFIX}redis_up", up.documentation, value=0)]
        return [up, *queue_families(queue), *worker_families(told)]


class Families:
    """Metrics that were looked up before, as a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def queue_families(queue: QueueState) -> Iterator[Metric]:
    """What waits."""
    figures = {
        "turns_open": ("Turns accepted and not ended.", queue.open),
        "turns_waiting": ("Turns that wait for a worker.", queue.waiting),
        "workers": ("Workers heard of lately.", queue.workers),
    }
    for name, (text, value) in figures.items():
        yield GaugeMetricFamily(_PREFIX + name, text, value=value)


def worker_families(told: Mapping[str, Mapping[str, str]]) -> Iterator[Metric]:
    """What the workers do."""
    stats = {worker: orjson.loads(fields.get("stats", "{}")) for worker, fields in told.items()}
    turns = {worker: orjson.loads(fields.get("turns", "{}")) for worker, fields in told.items()}
    counts = {worker: one.get("counts", {}) for worker, one in turns.items()}
    yield _models(told)
    yield from _gauges(_GAUGES, told)
    yield from _gauges(_ENGINE_GAUGES, stats)
    yield _step_seconds(stats)
    yield from _counters(_ENGINE_COUNTERS, stats)
    yield from _counters(_TURN_COUNTERS, counts)
    yield _outcomes(turns)
    yield from _histograms({worker: one.get("histograms", {}) for worker, one in turns.items()})


Told = Mapping[str, Mapping[str, Any]]


def _gauges(names: Mapping[str, tuple[str, str]], told: Told) -> Iterator[Metric]:
    for field, (name, text) in names.items():
        family = GaugeMetricFamily(_PREFIX + name, text, labels=["worker"])
        for worker, fields in told.items():
            family.add_metric([worker], float(fields.get(field, 0)))
        yield family


def _counters(names: Mapping[str, tuple[str, str]], told: Told) -> Iterator[Metric]:
    for field, (name, text) in names.items():
        family = CounterMetricFamily(_PREFIX + name, text, labels=["worker"])
        for worker, fields in told.items():
            family.add_metric([worker], float(fields.get(field, 0)))
        yield family


def _models(told: Told) -> Metric:
    family = GaugeMetricFamily(
        f"{_PREFIX}worker_info", "What a worker runs.", labels=["worker", "model", "fingerprint"]
    )
    for worker, fields in told.items():
        labels = [worker, fields.get("model", ""), fields.get("fingerprint", "")]
        family.add_metric(labels, 1.0)
    return family


def _step_seconds(stats: Told) -> Metric:
    text = "Median time of the engine's last passes."
    family = GaugeMetricFamily(f"{_PREFIX}engine_step_seconds", text, labels=["worker"])
    for worker, fields in stats.items():
        family.add_metric([worker], float(fields.get("step_ms", 0)) / 1000)
    return family


def _outcomes(turns: Told) -> Metric:
    text = "Turns ended by workers: completed, or why they failed."
    family = CounterMetricFamily(f"{_PREFIX}turns_ended", text, labels=["worker", "outcome"])
    for worker, fields in turns.items():
        for outcome, count in fields.get("outcomes", {}).items():
            family.add_metric([worker, outcome], float(count))
    return family


def _histograms(told: Told) -> Iterator[Metric]:
    for field, (name, text) in _TURN_HISTOGRAMS.items():
        family = HistogramMetricFamily(_PREFIX + name, text, labels=["worker"])
        for worker, fields in told.items():
            if field in fields:
                counted = Counted.from_json(fields[field])
                family.add_metric([worker], counted.buckets(), counted.total)
        yield family
