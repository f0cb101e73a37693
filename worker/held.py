"""The turns a worker holds right now, and why one of them is being given up."""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

from shared.turn_values import Claim


class GivenUp(Enum):
    """Why a running turn was cancelled; recorded before it is."""

    FENCED = auto()
    """It is somebody else's now: write nothing."""
    DRAIN = auto()
    """This worker stops: hand the turn over."""


@dataclass(slots=True)
class Held:
    """One claim and how far it is.

    `generating` is true while the engine works on it; `steps_seen` is the engine's step count at
    the last heartbeat.
    """

    claim: Claim
    task: "asyncio.Task[None] | None" = None
    generating: bool = False
    steps_seen: int = -1
    given_up: GivenUp | None = None

    def give_up(self, reason: GivenUp) -> None:
        """Cancel the turn, or keep it from beginning; the first reason counts."""
        if self.given_up is None:
            self.given_up = reason
            if self.task is not None:
                self.task.cancel()


Holdings = dict[str, Held]
"""By arq id, which names one start of one job."""
