"""One reply under way, or a window that is evaluated ahead of its next turn."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from worker.engine.backend import TokenSampler, Vocabulary
from worker.engine.detokenizer import Decoded, Detokenizer
from worker.engine.interface import End, EngineError, FinishReason, GenerationRequest, Piece
from worker.engine.kv_cache import Slot

Sink = Callable[[Piece | EngineError], None]


class Sequence:
    """The tokens of one conversation, how many of them are evaluated, and where.

    `token_ids` are the prompt and the reply so far; a token is drawn whenever all are evaluated.

    Args:
        request: what is asked for.
        vocabulary: what tokens mean.
        sampler: draws; owned by the sequence from now on. None evaluates the prompt, and no more.
        sink: gets pieces, the last one with an end, or an error.
    """

    def __init__(
        self,
        request: GenerationRequest,
        vocabulary: Vocabulary,
        sampler: TokenSampler | None,
        sink: Sink,
    ) -> None:
        self.request: Final = request
        self.token_ids = [*request.prompt, *request.generated]
        self.slot: Slot | None = None
        self.num_cached: int | None = None
        self.border: int | None = None
        """Length at which others wait to share what is evaluated."""
        self.is_second_try = False
        """Whether all of it is evaluated once more: what was computed first were no numbers."""
        self.num_waits = 0
        """Steps since it last got a part of one."""
        self.cancelled = threading.Event()
        self.sampler = sampler
        self._vocabulary = vocabulary
        self._sink = sink
        self._text = Detokenizer(vocabulary.piece_of, request.stop)
        self._began = self._began_reply = time.monotonic()
        for token in request.generated if sampler is not None else ():
            sampler.accept(token)  # type: ignore[union-attr]  # the same None as above

    @property
    def is_background(self) -> bool:
        """Whether nobody waits for it."""
        return self.sampler is None

    @property
    def is_alone(self) -> bool:
        """Whether nothing else may be evaluated yet."""
        until = self.request.alone_until
        return until > 0 and self.num_generated < until

    @property
    def num_computed(self) -> int:
        """Tokens that are in its slot."""
        return len(self.slot.token_ids) if self.slot is not None else 0

    @property
    def num_remaining(self) -> int:
        """Tokens to be evaluated before the next one is drawn."""
        return len(self.token_ids) - self.num_computed

    @property
    def num_until_border(self) -> int:
        """Tokens to be evaluated before others can share them, or to the end."""
        if self.border is not None and self.border > self.num_computed:
            return self.border - self.num_computed
        return self.num_remaining

    @property
    def num_generated(self) -> int:
        """Length of the reply so far, in tokens."""
        return len(self.token_ids) - len(self.request.prompt)

    def begin(self, slot: Slot, num_cached: int) -> None:
        """It was given a slot that holds so many of its tokens."""
        self.slot = slot
        if self.num_cached is None:
            self.num_cached = min(num_cached, len(self.request.prompt))

    def advance(self, slot: Slot, token_ids: Iterable[int]) -> None:
        """Its next tokens have been evaluated in its slot."""
        prompt, before = len(self.request.prompt), len(slot.token_ids)
        slot.token_ids.extend(token_ids)
        if before < prompt:
            new = min(len(slot.token_ids), prompt) - before
            # A reply that had to make room is evaluated anew, which is not its owner's doing.
            self.request.meter.evaluated = min(prompt, self.request.meter.evaluated + new)

    def append(self, token: int) -> bool:
        """Add a token that was drawn; returns whether the reply ends with it."""
        if self.num_generated == len(self.request.generated):
            self._began_reply = time.monotonic()
        if self._vocabulary.is_end(token):
            return self._finish(self._text.finish(), "stop")
        self.token_ids.append(token)
        decoded = self._text.push(token)
        if decoded is not None and decoded.stopped:
            return self._finish(decoded, "stop")
        if self.num_generated >= self.request.max_tokens:
            return self._finish(decoded or self._text.finish(), "length")
        if decoded is not None:
            self._sink(Piece(decoded.text, decoded.token_ids))
        return False

    def finish(self) -> None:
        """There is nothing left to generate."""
        self._finish(self._text.finish(), "length")

    def fail(self, error: EngineError) -> None:
        """It ends without a reply."""
        self._sink(error)
        self.close()

    def close(self) -> None:
        """Free its sampler; a second time does nothing."""
        sampler, self.sampler = self.sampler, None
        if sampler is not None:
            sampler.close()

    def _finish(self, decoded: Decoded, reason: FinishReason) -> bool:
        end = End(
            reason,
            self.num_cached or 0,
            prompt_ms=(self._began_reply - self._began) * 1000,
            generation_ms=(time.monotonic() - self._began_reply) * 1000,
        )
        self._sink(Piece(decoded.text, decoded.token_ids, end))
        self.close()
        return True
