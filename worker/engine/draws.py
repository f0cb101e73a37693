"""The draws of one step: a token for each reply, and more where drafts turn out to be right."""

from collections.abc import Iterator, Sequence

from worker.engine.backend import Backend, TokenSampler
from worker.engine.interface import EngineError
from worker.engine.kv_cache import Slot
from worker.engine.scheduler import Chunk


class PendingDraw:
    """A reply that gets a token in this step.

    Args:
        chunk: what was evaluated of it.
        slot: where; it holds the drafts, too.
        output: number of the output to draw from first.
    """

    def __init__(self, chunk: Chunk, slot: Slot, sampler: TokenSampler, output: int) -> None:
        self.sequence = chunk.sequence
        self.slot = slot
        self.sampler = sampler
        self.output = output
        self.num_drafted = len(chunk.drafts)
        self.num_accepted = 0
        self._drafts = chunk.drafts

    @property
    def num_rejected(self) -> int:
        """Drafts in the slot that do not belong to the reply."""
        return self.num_drafted - self.num_accepted

    def accept(self, token: int) -> bool:
        """Whether the token drawn is the one drafted, and another can be drawn behind it."""
        has_ended = self.sequence.slot is None
        if has_ended or not self.num_rejected or token != self._drafts[self.num_accepted]:
            return False
        self.sequence.advance(self.slot, [token])
        self.num_accepted += 1
        self.output += 1
        return True


def drawn_in_rounds(
    backend: Backend, drawing: Sequence[PendingDraw]
) -> Iterator[tuple[PendingDraw, int | EngineError]]:
    """Draw from all replies, then again from those whose token is the one drafted, and so on.

    So each token is drawn by the reply's own sampler from the logits behind all tokens before it:
    the reply is what it would be without drafts, random numbers included. The caller adds a token
    to its reply before it asks for the next pair.
    """
    pending = drawing
    while pending:
        samplers = [draw.sampler for draw in pending]
        drawn = backend.draw(samplers, [draw.output for draw in pending])
        pairs = list(zip(pending, drawn, strict=True))
        yield from pairs
        pending = [
            draw
            for draw, token in pairs
            if not isinstance(token, EngineError) and draw.accept(token)
        ]
