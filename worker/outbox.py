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
        wake: called when there is something to send, with whether it is urgent.
        on_fenced: called when the turn no longer belongs to this worker.
    """

    def __init__(
        self,
        claim: Claim,
        num_logged: int,
        meter: Meter,
        prompt_tokens: int,
        wake: Callable[[bool], None],
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
        self._rest: tuple[PieceRecord, ...] = ()
        self._waiting: list[Piece] = []
        self._num_waiting = 0
        self._must_hurry = True  # the first piece
        self._idle = asyncio.Event()
        self._idle.set()
        self._error: Exception | None = None
        self.is_closed = False
        self.is_followed = False

    @property
    def job_id(self) -> str:
        """The turn's."""
        return self._claim.job_id

    @property
    def has_pieces(self) -> bool:
        """Whether there is anything to send; ids alone can wait for what they mean."""
        if self.is_closed:
            return False
        return bool(self._again) or any(piece.parts for piece in self._waiting)

    @property
    def position(self) -> int:
        """Token ids of the reply that are published."""
        return self._again[0].at if self._again else self._position

    @property
    def is_urgent(self) -> bool:
        """Whether it is to be sent at once."""
        return self._must_hurry or self._num_waiting >= _MOST_WAITING

    def add(self, piece: Piece) -> None:
        """Queue a piece; the last one is left to the commit.

        It holds what would have been held back if the reply went on, so another start could not
        continue behind it: it would give that out again, or write on behind a stop string.
        """
        self._waiting.append(piece)
        self.is_closed = self.is_closed or piece.end is not None
        self._num_waiting += len(piece.token_ids)
        self._wake(self.is_urgent)

    def follow(self) -> None:
        """Somebody follows the job from now on."""
        self.is_followed = self._must_hurry = True
        self._wake(True)

    async def close(self) -> tuple[PieceRecord, ...]:
        """Stop once everything under way has arrived; returns what was not sent.

        Raises:
            RedisError: a piece was refused for good.
        """
        self.is_closed = True
        await self._idle.wait()
        if self._error is not None:
            raise self._error
        self._rest = self._take()
        return self._unsent()

    def since(self, position: int) -> tuple[PieceRecord, ...]:
        """Once it is closed, everything behind so many of the reply's token ids."""
        return self._unsent(*(one for one in self._published if one.at >= position))

    def _unsent(self, *lost: Publication) -> tuple[PieceRecord, ...]:
        """What is not published, behind what is not any more."""
        pieces = (piece for one in (*lost, *self._again) for piece in one.pieces)
        return merged([*pieces, *self._rest])

    def cancel(self) -> None:
        """Stop at once; nothing more is published."""
        self.is_closed = True

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
        if receipt.outcome is WriteOutcome.BEHIND:
            self._publish_again(publication, receipt.progress)
        else:
            self._position = max(self._position, publication.at + publication.num_ids)
            self._published.append(replace(publication, log_ids=receipt.log_ids))
        self._idle.set()
        if receipt.outcome is WriteOutcome.OK and not self._must_hurry:
            self.is_followed = receipt.is_followed
        if receipt.outcome is WriteOutcome.FENCED and not self.is_closed:
            self.is_closed = True
            self._on_fenced()

    def _publish_again(self, publication: Publication, progress: int) -> None:
        """Redis has lost what was published behind so many of the reply's token ids."""
        lost = [one for one in self._published if one.at >= progress]
        self._published = [one for one in self._published if one.at < progress]
        self._again.extendleft(reversed([*lost, publication]))
        self._must_hurry = True
        self._wake(True)

    def failed(self, error: Exception) -> None:
        """Redis has refused a publication for good."""
        self._error, self.is_closed = error, True
        self._idle.set()

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
