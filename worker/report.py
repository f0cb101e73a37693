"""What this worker reports about itself with every heartbeat."""

from shared.wire.worker_report import EngineReport, PlacementReport, WorkerReport
from worker.engine.interface import ModelHost
from worker.engine.stats import EngineStats
from worker.running_turn import RunningTurns
from worker.turn_metrics import TurnMetrics


class Reporter:
    """Describes this worker as it is now.

    Args:
        context_length: `PALAVER_CONTEXT_LENGTH`.
        window: tokens of prompt and reply together.
        capabilities: of the model.
        patience_ms: the longest that a turn waits for this worker.
    """

    def __init__(
        self,
        engine: ModelHost,
        running: RunningTurns,
        metrics: TurnMetrics,
        *,
        context_length: int,
        window: int,
        capabilities: tuple[str, ...],
        patience_ms: int,
    ) -> None:
        self._engine = engine
        self._running = running
        self._metrics = metrics
        self._context_length = context_length
        self._window = window
        self._capabilities = capabilities
        self._patience_ms = patience_ms

    def report(self) -> WorkerReport:
        """The worker's model, load and figures."""
        engine = self._engine
        return WorkerReport(
            model_name=engine.model.name,
            fingerprint=engine.model.fingerprint,
            slots=engine.slots,
            running=len(self._running),
            engine=engine_report(engine.stats()),
            turns=self._metrics.report(),
            context_length=self._context_length,
            window=self._window,
            capabilities=self._capabilities,
            patience_ms=self._patience_ms,
        )


def engine_report(stats: EngineStats) -> EngineReport:
    """An engine's figures under the names that are stored."""
    placement = stats.placement
    return EngineReport(
        steps=stats.passes,
        running=stats.running,
        waiting=stats.waiting,
        evaluated=stats.evaluated,
        cached=stats.cached,
        generated=stats.generated,
        drafted=stats.drafted,
        accepted=stats.accepted,
        lane_tokens=stats.kv_tokens,
        lane_capacity=stats.kv_capacity,
        parked=stats.swapped_out,
        parked_bytes=stats.swapped_bytes,
        preemptions=stats.preemptions,
        step_ms=stats.pass_ms,
        batch_fill=stats.batch_fill,
        host_share=stats.host_share,
        placement=PlacementReport(
            device=placement.device,
            total_bytes=placement.total_bytes,
            free_bytes=placement.free_bytes,
            layers=placement.layers,
            offloaded=placement.offloaded,
            flash_attention=placement.flash_attention,
            fitted=placement.fitted,
        ),
    )
