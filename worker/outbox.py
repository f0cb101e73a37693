"""The pieces of one reply on their way from the engine to Redis."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from shared.wire.claim import Claim
from shared.wire.publication import PieceRecord, Publication, Receipt, merged
from shared.wire.write_outcome import WriteOutcome
from worker.engine.interface import Meter, Part, Piece
from worker.published_logprobs import published_logprobs

_MOST_WAITING: Final = 48
"""Token ids that a worker that dies may take with it, beside those of a call under way."""


class Outbox:
    """The pieces of one reply that wait to be published.

    Args:
        num_logged: token ids that earlier starts have published.
        meter: counts the prompt's tokens that were evaluated.
        prompt_tokens: tokens of the whole prompt.
        wake: called with this outbox when there is something to send, and whether it is urgent.
        on_fenced: called when the turn no longer belongs to this worker.
    """

    def __init__(
        self,
        claim: Claim,
        num_logged: int,
        meter: Meter,
        prompt_tokens: int,
        wake: Callable[["Outbox", bool], None],
        on_fenced: Callable[[], None],
    ) -> None:
        self._claim = claim
        self._meter = meter
        self._prompt_tokens = prompt_tokens
        self._position = num_logged
        self._wake = wake
        self._on_fenced = on_fenced
        self._published: list[Publication] = []
        self._again: deque[Publication] = deque()
        self._waiting: list[Piece] = []
        self._num_waiting = 0
        self._must_hurry = True  # the first piece
        self._idle = asyncio.Event()
        self._idle.set()
        self._error: Exception | None = None
        self._has_ended = False
        self._is_cancelled = False
        self.is_followed = False

    @property
    def job_id(self) -> str:
        """The turn's."""
        return self._claim.job_id

    @property
    def has_pieces(self) -> bool:
        """Whether there is anything to send; ids alone can wait for what they mean."""
        if self._is_cancelled:
            return False
        return bool(self._again) or (
            not self._has_ended and any(piece.parts for piece in self._waiting)
        )

    @property
    def is_done(self) -> bool:
        """Whether nothing will be sent any more, unless Redis loses something."""
        return self._is_cancelled or (self._has_ended and not self._again)

    @property
    def position(self) -> int:
        """Token ids of the reply that are published."""
        return self._again[0].at if self._again else self._position

    @property
    def is_urgent(self) -> bool:
        """Whether it is to be sent at once."""
        return self._must_hurry or bool(self._again) or self._num_waiting >= _MOST_WAITING

    def add(self, piece: Piece) -> None:
        """Queue a piece; the last one is left to the commit.

        It holds what would have been held back if the reply went on, so another start could not
        continue behind it: it would give that out again, or write on behind a stop string.
        """
        self._waiting.append(piece)
        self._has_ended = self._has_ended or piece.end is not None
        self._num_waiting += len(piece.token_ids)
        self._wake(self, self.is_urgent)

    def follow(self) -> None:
        """Somebody follows the job from now on."""
        self.is_followed = self._must_hurry = True
        self._wake(self, True)

    async def close(self) -> tuple[PieceRecord, ...]:
        """Stop once everything under way has arrived; returns what was not sent.

        Raises:
            RedisError: a piece was refused for good.
        """
        self._has_ended = True
        await self._arrival()
        return self._take()

    async def publish_lost(self, progress: int) -> bool:
        """Redis has lost what was behind so many of the reply's token ids: publish it again.

        Returns when it is there, or False: the turn is not this worker's any more.

        Raises:
            RedisError: a piece was refused for good.
        """
        self._publish_again(progress)
        await self._arrival()
        return not self._is_cancelled

    async def _arrival(self) -> None:
        await self._idle.wait()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Stop at once; nothing more is published."""
        self._is_cancelled = True
        self._idle.set()

    def next_publication(self) -> Publication | None:
        """What to send now; it is under way until `arrived` or `failed` is called."""
        if not self.has_pieces:
            return None
        self._must_hurry = False
        self._idle.clear()
        if self._again:
            return self._again.popleft()
        records = self._take()
        return Publication(
            job_id=self._claim.job_id,
            fence=self._claim.fence,
            at=self._position,
            pieces=records,
            evaluated=self._meter.evaluated,
            prompt_tokens=self._prompt_tokens,
        )

    def arrived(self, publication: Publication, receipt: Receipt) -> None:
        """Redis has answered a publication."""
        outcome = receipt.outcome
        if outcome is WriteOutcome.BEHIND:
            self._publish_again(receipt.progress, publication)
        elif outcome is not WriteOutcome.FENCED:
            self._position = max(self._position, publication.at + publication.num_ids)
            self._published.append(replace(publication, log_ids=receipt.log_ids))
        if outcome is WriteOutcome.OK and not self._must_hurry:
            self.is_followed = receipt.is_followed
        if not self._again:
            self._idle.set()
        if outcome is WriteOutcome.FENCED and not self._is_cancelled:
            self.cancel()
            self._on_fenced()

    def _publish_again(self, progress: int, *unread: Publication) -> None:
        """Send what Redis has lost behind so many token ids, and then what it did not take.

        Each piece as it was: who has read it knows it by its id, and should not read it again.
        """
        lost = [one for one in self._published if one.at >= progress]
        self._published = [one for one in self._published if one.at < progress]
        self._again.extendleft(reversed([*lost, *unread]))
        if self._again and not self._is_cancelled:
            self._idle.clear()
            self._wake(self, True)

    def failed(self, error: Exception) -> None:
        """Redis has refused a publication for good."""
        self._error = error
        self.cancel()

    def _take(self) -> tuple[PieceRecord, ...]:
        pieces, self._waiting, self._num_waiting = self._waiting, [], 0
        return merged([record for piece in pieces for record in records_of(piece)])


def records_of(piece: Piece) -> list[PieceRecord]:
    """A piece as it is published: a record for each part, the ids with the first."""
    parts: Sequence[Part] = piece.parts or (Part("text", ""),)
    logprobs = published_logprobs(parts, piece.logprobs)
    return [
        PieceRecord(
            kind=part.kind,
            text=part.text,
            token_ids=() if place else piece.token_ids,
            logprobs=logprobs[place],
        )
        for place, part in enumerate(parts)
    ]
