"""Takes turns for this worker."""

import asyncio
import secrets

from shared.store.claims import Claims
from shared.wire.claim import Claim
from worker.quarantine import Quarantine
from worker.retry import retry
from worker.running_turn import RunningTurn


class Claimer:
    """Takes turns; those taken while a suspect runs alone are shielded.

    Args:
        model: fingerprint of the model that this worker runs.
    """

    def __init__(self, claims: Claims, quarantine: Quarantine, worker_id: str, model: str) -> None:
        self._claims = claims
        self._quarantine = quarantine
        self._worker_id = worker_id
        self._model = model

    @property
    def lock(self) -> asyncio.Lock:
        """Held from the taking of turns until they are among the running ones."""
        return self._quarantine.claim_lock

    async def take(self, number: int, busy: int) -> list[Claim]:
        """Take up to so many turns: the number of free slots, where `busy` are taken."""
        nonce, shielded = secrets.token_hex(8), self._quarantine.is_active
        return await retry(
            "take",
            lambda: self._claims.take(
                self._worker_id, nonce, number, busy=busy, model=self._model, shielded=shielded
            ),
        )

    def may_have_more(self, turn: RunningTurn) -> bool:
        """Whether a turn may wait for the slot of one that has ended."""
        return turn.more_wait
