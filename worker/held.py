"""The turns a worker holds right now, and why one of them is being given up."""

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from shared.wire.claim import Claim
from worker.engine.interface import Meter

_AGAIN_S: Final = 1.0


class GivenUp(Enum):
    """Why a running turn was cancelled; recorded before it is."""

    FENCED = auto()
    """It is somebody else's now: write nothing."""
    DRAIN = auto()
    """This worker stops: hand the turn over."""


@dataclass(slots=True)
class Held:
    """One claim and how far it is.

    `generating` is true while the engine works on it; `progress_seen` is how far the engine was at
    the last heartbeat; `has_let_go` is true once nothing more is generated for it. The reply has
    `generated` tokens, and `meter` counts those of the prompt that were evaluated.
    """

    claim: Claim
    task: "asyncio.Task[None] | None" = None
    generating: bool = False
    generated: int = 0
    meter: Meter = field(default_factory=Meter)
    progress_seen: int = -1
    given_up: GivenUp | None = None
    has_let_go: bool = False

    @property
    def spent(self) -> int:
        """Tokens evaluated and generated so far."""
        return self.meter.evaluated + self.generated

    def give_up(self, reason: GivenUp) -> None:
        """Cancel the turn, or keep it from beginning; the first reason counts."""
        if self.given_up is None:
            self.given_up = reason
            self._cancel()

    def _cancel(self) -> None:
        """Until it is heard: `shared.process.tasks.end` says how a cancellation gets lost."""
        if self.task is not None and not self.has_let_go and not self.task.done():
            self.task.cancel()
            asyncio.get_running_loop().call_later(_AGAIN_S, self._cancel)


Holdings = dict[str, Held]
"""By arq id, which names one start of one job."""
