"""What a worker makes of a claimed turn, whatever its model is made for."""

import logging
from typing import Protocol

from shared.errors import NothingWasCut, TurnFailed
from shared.wire.claim import Claim
from shared.wire.history import History
from worker.completion import FinishedReply
from worker.quarantine import SoloRun
from worker.running_turn import RunningTurn

log = logging.getLogger(__name__)


class ReplyMaker(Protocol):
    """Makes a turn's reply."""

    async def make(self, turn: RunningTurn, solo_run: SoloRun | None) -> FinishedReply:
        """From the claimed conversation to a reply that is ready to be committed.

        Raises:
            TurnFailed, EngineError: there is no reply.
        """
        ...

    async def committed(self, claim: Claim, reply: FinishedReply) -> None:
        """The reply is part of its conversation now."""
        ...


def readable_history(claim: Claim) -> History:
    """The conversation of a claimed turn.

    Raises:
        TurnFailed: the turn cannot be read, its conversation is gone, or has nothing to continue.
    """
    if claim.unreadable is not None:
        log.error("job %s cannot be read: %s", claim.job_id, claim.unreadable)
        raise TurnFailed("this worker cannot read the turn: another version stored it")
    if claim.history is None:
        raise TurnFailed("the conversation was deleted")
    if claim.request.continues and claim.standing is None:
        raise NothingWasCut
    return claim.history
