"""`/metrics`: this process, the queue, and every living worker, as Prometheus reads it.

Workers report their figures with each heartbeat, so one address shows all of them, on whatever
machines they run. What it costs Redis does not grow with them (`shared/store/snapshots.py`).
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

import falcon
import falcon.asgi
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from redis.exceptions import RedisError

from api.ops.families import PREFIX, Families, model_families, queue_families, worker_families
from api.ops.models import by_model
from api.ops.turns import OwnerNames
from api.ops.usage_families import usage_families
from shared.store.queue import Queue, QueueState
from shared.store.snapshots import Snapshots
from shared.store.usage import Usage
from shared.wire.histograms import SECONDS
from shared.wire.worker_report import WorkerReport

_OTHER: Final = "other"


class HttpMetrics:
    """Middleware that counts this process's requests."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self._requests = Counter(
            f"{PREFIX}http_requests",
            "Requests by route and status.",
            (*labels, "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            f"{PREFIX}http_request_seconds",
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
    """This process, the queue, all workers and today's usage, in Prometheus' text format."""

    def __init__(
        self,
        http: HttpMetrics,
        snapshots: Snapshots,
        queue: Queue,
        usage: Usage,
        names: OwnerNames,
    ) -> None:
        self._http = http
        self._snapshots = snapshots
        self._queue = queue
        self._usage = usage
        self._names = names

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        try:
            queue, reports = await self._queue.state(), await self._snapshots.latest()
            usage = usage_families(await self._usage.today(), self._names.by_owner())
            families = chain(_families(queue, reports), usage)
        except (RedisError, OSError):
            families = chain([_redis_up(0)])
        resp.content_type = CONTENT_TYPE_LATEST
        # In a thread: a thousand workers take a second, and streams must not wait so long.
        resp.data = await asyncio.to_thread(self._text, families)

    def _text(self, families: Iterator[Metric]) -> bytes:
        registry = CollectorRegistry()
        registry.register(Families(families))
        return generate_latest(self._http.registry) + generate_latest(registry)


def _families(queue: QueueState, reports: Mapping[str, WorkerReport]) -> Iterator[Metric]:
    """What Redis knows."""
    yield _redis_up(1)
    yield from queue_families(queue, len(reports))
    yield from model_families(by_model(reports, queue.pools))
    yield from worker_families(reports)


def _redis_up(value: int) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}redis_up", "Whether Redis answers.", value=value)
