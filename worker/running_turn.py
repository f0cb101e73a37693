"""The turns that this worker is running, and why one of them is cancelled."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Literal

from shared.cells import Cells
from shared.wire.claim import Claim
from shared.wire.reply import TurnResult
from worker.engine.interface import Meter
from worker.outbox import Outbox

Stage = Literal["prompt", "evaluate", "generate", "commit"]
"""What a turn is busy with, each until the next begins: its prompt is laid out, evaluated up to the
first token of the reply, the rest is generated, and all of it written."""

_CANCEL_AGAIN_S: Final = 1.0


class CancelReason(Enum):
    """Why a running turn was cancelled; recorded before the cancellation."""

    FENCED = auto()
    """The turn belongs to another worker now, or has ended: write nothing."""
    DRAIN = auto()
    """This worker is stopping: hand the turn over."""


@dataclass(slots=True)
class RunningTurn:
    """A claimed turn and its progress.

    Args:
        task: runs the turn.
        is_generating: the engine is working on it.
        num_generated: tokens of the reply, those of earlier starts included.
        meter: counts the prompt's tokens that were evaluated.
        enough: set when its owner wants no more of the reply.
        progress_at_beat: the engine's progress at the last heartbeat.
        is_closing: its end is being written, and whether it is still this worker's is told by that.
        has_stopped: nothing more is generated for it, so it is no longer cancelled.
        more_wait: whether another turn may wait for its slot.
        outbox: where its reply goes, once it is generated.
        began_ns: when it was taken, since the epoch.
        stages: what it has been busy with, and since when.
        outcome: how it left this worker: `completed`, a failure's code, or what became of it.
        result: of its reply, once that is made.
    """

    claim: Claim
    task: "asyncio.Task[None] | None" = None
    is_generating: bool = False
    num_generated: int = 0
    meter: Meter = field(default_factory=Meter)
    enough: threading.Event = field(default_factory=threading.Event)
    progress_at_beat: int = -1
    cancel_reason: CancelReason | None = None
    is_closing: bool = False
    has_stopped: bool = False
    more_wait: bool = True
    outbox: Outbox | None = None
    began_ns: int = field(default_factory=time.time_ns)
    stages: list[tuple[Stage, int]] = field(default_factory=list)
    outcome: str = ""
    result: TurnResult | None = None

    def __post_init__(self) -> None:
        if self.claim.is_stopped:
            self.enough.set()

    @property
    def tokens_used(self) -> int:
        """Tokens evaluated and generated so far: what the turn has cost."""
        return self.meter.evaluated + self.num_generated

    def enter(self, stage: Stage) -> None:
        """Note what the turn is busy with from now on."""
        if not self.stages or self.stages[-1][0] != stage:
            self.stages.append((stage, time.time_ns()))

    def cancel(self, reason: CancelReason) -> None:
        """Cancel the turn, or keep it from starting; the first reason counts."""
        if self.is_closing and reason is CancelReason.FENCED:
            return  # it may have ended a moment ago, by this worker itself
        if self.cancel_reason is None:
            self.cancel_reason = reason
            self._cancel_task()

    def _cancel_task(self) -> None:
        """Repeated until it works: `shared.process.tasks.end` says how a cancellation gets lost."""
        if self.task is not None and not self.has_stopped and not self.task.done():
            self.task.cancel()
            asyncio.get_running_loop().call_later(_CANCEL_AGAIN_S, self._cancel_task)


RunningTurns = dict[str, RunningTurn]
"""By arq id, which names one start of one job."""


class TurnsOfCell(Mapping[str, RunningTurn]):
    """Those of a worker's running turns that are in one cell."""

    def __init__(self, cells: Cells, cell: int, running: RunningTurns) -> None:
        self._cells = cells
        self._cell = cell
        self._running = running

    def __getitem__(self, arq_id: str) -> RunningTurn:
        return self._running[arq_id]

    def __iter__(self) -> Iterator[str]:
        for arq_id, turn in self._running.items():
            if self._cells.of_job(turn.claim.job_id) == self._cell:
                yield arq_id

    def __len__(self) -> int:
        return sum(1 for _ in self)
