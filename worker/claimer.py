"""Claims turns for this worker: new ones with a permit, lost ones from workers that are gone."""

import asyncio
import secrets
from collections.abc import Callable

from shared.store.claims import Claims
from shared.wire.claim import Claim
from worker.quarantine import Quarantine
from worker.retry import retry


class Claimer:
    """Claims turns; those claimed while a suspect runs alone are shielded.

    Args:
        model: fingerprint of the model that this worker runs.
    """

    def __init__(self, claims: Claims, quarantine: Quarantine, worker_id: str, model: str) -> None:
        self._claims = claims
        self._quarantine = quarantine
        self._worker_id = worker_id
        self._model = model
        self._reclaim_nonce: str | None = None

    @property
    def lock(self) -> asyncio.Lock:
        """Held from the claim of a turn until it is among the running turns."""
        return self._quarantine.claim_lock

    async def claim(self, permit: str) -> Claim | None:
        """Claim the next ready turn; None if there is none."""
        nonce, shielded = secrets.token_hex(8), self._quarantine.is_active
        return await retry(
            "claim",
            lambda: self._claims.claim(
                permit, self._worker_id, nonce, model=self._model, shielded=shielded
            ),
        )

    async def reclaim(self, on_lost: Callable[[], None]) -> Claim | None:
        """Take over a turn whose worker is gone; None if there is none.

        Calls `on_lost` for each turn that has lost too many workers and ends as failed instead.

        Not repeated while Redis is unavailable: afterwards the other workers get time to renew
        their leases. The next call gets what this one would have got had its answer been lost.

        Raises:
            RedisError: there was no answer.
        """
        self._reclaim_nonce = self._reclaim_nonce or secrets.token_hex(8)
        claim = await self._claims.reclaim(
            self._worker_id,
            self._reclaim_nonce,
            model=self._model,
            shielded=self._quarantine.is_active,
            on_lost=on_lost,
        )
        self._reclaim_nonce = None
        return claim

    async def return_permit(self, permit: str) -> None:
        """Give back an unused permit; it wakes another worker."""
        await self._claims.return_permit(permit)

    async def ensure_group(self) -> None:
        """Create the consumer group of the permits again, after Redis has lost its data."""
        await retry("group", self._claims.ensure_group)
