"""What Prometheus reads of the queue, the models and the workers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from api.ops.models import ModelFigures
from shared.store.queue import QueueState
from shared.wire.worker_report import WorkerReport

PREFIX: Final = "palaver_"
_LABELS: Final = ("worker", "model")
"""Of all series of a worker. Its counters restart at 0 with each process, which has another id."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of each worker: its name, its description, and where it is in a report."""

    name: str
    text: str
    of: Callable[[WorkerReport], float]


_GAUGES: Final = (
    Figure("slots", "Turns that a worker runs together.", lambda w: w.slots),
    Figure("worker_draining", "Whether a worker takes no more turns.", lambda w: w.is_draining),
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
        "engine_drafted_tokens",
        "Tokens that were evaluated because they were likely to come next.",
        lambda w: w.engine.drafted,
    ),
    Figure(
        "engine_accepted_tokens",
        "Those of them that became part of a reply.",
        lambda w: w.engine.accepted,
    ),
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
    Figure(
        "summaries_made",
        "Summaries of turns that have left a window.",
        lambda w: w.turns.counts.summaries_made,
    ),
    Figure(
        "summaries_interrupted",
        "Summaries that gave way to a turn.",
        lambda w: w.turns.counts.summaries_interrupted,
    ),
    Figure(
        "summaries_failed",
        "Summaries that the model did not make.",
        lambda w: w.turns.counts.summaries_failed,
    ),
    Figure(
        "summaries_refused",
        "Summaries of what had changed meanwhile.",
        lambda w: w.turns.counts.summaries_refused,
    ),
    Figure(
        "memory_tokens",
        "Tokens evaluated and generated for summaries; no owner is charged for them.",
        lambda w: w.turns.counts.summary_tokens,
    ),
)
_TURN_HISTOGRAMS: Final = {
    "queue_wait": ("queue_wait_seconds", "From a prompt's acceptance to its start."),
    "first_token": ("first_token_seconds", "From a prompt's acceptance to its first token."),
    "time_per_token": ("time_per_token_seconds", "Between two tokens of a reply, on average."),
    "turn": ("turn_seconds", "From a prompt's acceptance to the end of its reply."),
}


@dataclass(frozen=True, slots=True)
class ModelFigure:
    """A metric of each model: `of` gives None where it is unknown."""

    name: str
    text: str
    of: Callable[[ModelFigures], float | None]


_MODEL_GAUGES: Final = (
    ModelFigure("workers", "Workers of a model.", lambda m: m.workers),
    ModelFigure("workers_draining", "Those that take no more turns.", lambda m: m.draining),
    ModelFigure("slots", "Turns that a model's workers run together.", lambda m: m.slots),
    ModelFigure("slots_free", "Slots that a turn may start on.", lambda m: m.free),
    ModelFigure("turns_running", "Turns that a model's workers hold.", lambda m: m.running),
    ModelFigure("turns_waiting", "Turns that wait for a model's workers.", lambda m: m.waiting),
    ModelFigure(
        "turns_held", "Waiting turns that only one worker may start yet.", lambda m: m.held
    ),
    ModelFigure(
        "start_interval_seconds",
        "Mean time between two starts, measured while turns wait.",
        lambda m: m.pace_s,
    ),
)


class Families:
    """A collector of metrics that were fetched before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def queue_families(queue: QueueState, num_workers: int) -> Iterator[Metric]:
    """Turns and workers of all models together."""
    figures = {
        "turns_open": ("Turns accepted and not ended.", queue.open),
        "turns_waiting": ("Turns that wait for a worker.", queue.waiting),
        "workers": ("Workers heard of lately.", num_workers),
    }
    for name, (text, value) in figures.items():
        yield GaugeMetricFamily(PREFIX + name, text, value=value)
    if queue.cells:
        yield from _cell_families(queue.cells)


def _cell_families(cells: Sequence[QueueState | None]) -> Iterator[Metric]:
    """What each cell has; of one that is away only that it is."""
    figures: dict[str, tuple[str, Callable[[QueueState], int]]] = {
        "cell_turns_open": ("Turns accepted and not ended.", lambda state: state.open),
        "cell_turns_waiting": ("Turns that wait for a worker.", lambda state: state.waiting),
    }
    up = GaugeMetricFamily(f"{PREFIX}cell_up", "Whether the cell's Redis answers.", labels=["cell"])
    for cell, state in enumerate(cells):
        up.add_metric([str(cell)], float(state is not None))
    yield up
    for name, (text, of) in figures.items():
        gauge = GaugeMetricFamily(PREFIX + name, text, labels=["cell"])
        for cell, state in enumerate(cells):
            if state is not None:
                gauge.add_metric([str(cell)], of(state))
        yield gauge


def model_families(models: Sequence[ModelFigures]) -> Iterator[Metric]:
    """Each model's workers and its line."""
    for figure in _MODEL_GAUGES:
        gauge = GaugeMetricFamily(f"{PREFIX}model_{figure.name}", figure.text, labels=["model"])
        for model in models:
            if (value := figure.of(model)) is not None:
                gauge.add_metric([model.name], float(value))
        yield gauge


def worker_families(reports: Mapping[str, WorkerReport]) -> Iterator[Metric]:
    """Each worker's figures, by its last report."""
    workers = [((worker, report.model_name), report) for worker, report in reports.items()]
    yield _models(workers)
    for figure in _GAUGES:
        gauge = GaugeMetricFamily(PREFIX + figure.name, figure.text, labels=_LABELS)
        for labels, report in workers:
            gauge.add_metric(labels, float(figure.of(report)))
        yield gauge
    for figure in _COUNTERS:
        counter = CounterMetricFamily(PREFIX + figure.name, figure.text, labels=_LABELS)
        for labels, report in workers:
            counter.add_metric(labels, float(figure.of(report)))
        yield counter
    yield _outcomes(workers)
    yield from _histograms(workers)


_Workers = Sequence[tuple[tuple[str, str], WorkerReport]]
"""The values of each worker's labels, and its report."""


def _models(workers: _Workers) -> Metric:
    labels = (*_LABELS, "fingerprint")
    family = GaugeMetricFamily(f"{PREFIX}worker_info", "What a worker runs.", labels=labels)
    for values, report in workers:
        family.add_metric([*values, report.fingerprint], 1.0)
    return family


def _outcomes(workers: _Workers) -> Metric:
    text = "Turns ended by workers: completed, or why they failed."
    family = CounterMetricFamily(f"{PREFIX}turns_ended", text, labels=(*_LABELS, "outcome"))
    for values, report in workers:
        for outcome, count in report.turns.outcomes.items():
            family.add_metric([*values, outcome], float(count))
    return family


def _histograms(workers: _Workers) -> Iterator[Metric]:
    for field, (name, text) in _TURN_HISTOGRAMS.items():
        family = HistogramMetricFamily(PREFIX + name, text, labels=_LABELS)
        for values, report in workers:
            counted = report.turns.histograms.get(field)
            if counted is not None:
                family.add_metric(values, counted.buckets(), counted.total)
        yield family
