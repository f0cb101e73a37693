"""Each model's workers and line, for metrics and the operations page."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.store.queue import PoolState
from shared.wire.worker_report import WorkerReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """A model at one moment.

    Args:
        workers: those that live.
        draining: those of them that take no more turns.
        slots: turns that all of them run together at most.
        free: slots without a turn, except those of draining workers.
        running: turns that they hold.
        waiting, held, pace_s: as in `PoolState`.
    """

    name: str
    workers: int
    draining: int
    slots: int
    free: int
    running: int
    waiting: int
    held: int
    pace_s: float | None


def by_model(
    reports: Mapping[str, WorkerReport], pools: Mapping[str, PoolState]
) -> list[ModelFigures]:
    """All models that have a living worker or a waiting turn, by name."""
    workers: dict[str, list[WorkerReport]] = {
        name: [] for name, pool in pools.items() if pool.waiting
    }
    for report in reports.values():
        workers.setdefault(report.pool, []).append(report)
    return [_figures(name, workers[name], pools.get(name, PoolState())) for name in sorted(workers)]


def _figures(name: str, workers: Collection[WorkerReport], pool: PoolState) -> ModelFigures:
    taking = [worker for worker in workers if not worker.is_draining]
    return ModelFigures(
        name=name,
        workers=len(workers),
        draining=len(workers) - len(taking),
        slots=sum(worker.slots for worker in workers),
        free=sum(max(0, worker.slots - worker.running) for worker in taking),
        running=sum(worker.running for worker in workers),
        waiting=pool.waiting,
        held=pool.held,
        pace_s=pool.pace_s,
    )
