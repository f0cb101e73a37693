"""A reply being generated, or a window that is evaluated ahead of its next turn."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from worker.engine.backend import TokenSampler, Vocabulary
from worker.engine.detokenizer import Decoded, Detokenizer
from worker.engine.interface import End, EngineError, FinishReason, GenerationRequest, Part, Piece
from worker.engine.kv_cache import Slot

Sink = Callable[[Piece | EngineError], None]


class Sequence:
    """The tokens of one conversation, the slot they are evaluated in, and how far.

    `token_ids` are the prompt and the reply so far; a token is drawn once all are evaluated.

    Args:
        sampler: owned by the sequence from now on; None evaluates the prompt and draws nothing.
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
        """Length up to which other sequences wait to share what is evaluated."""
        self.is_second_try = False
        """Whether it is evaluated again, because the first time gave NaN."""
        self.num_waits = 0
        """Steps since it was last scheduled."""
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
        """Whether no client waits for it."""
        return self.sampler is None

    @property
    def is_alone(self) -> bool:
        """Whether nothing else may be evaluated meanwhile."""
        until = self.request.alone_until
        return until > 0 and self.num_generated < until

    @property
    def num_computed(self) -> int:
        """Tokens in its slot."""
        return len(self.slot.token_ids) if self.slot is not None else 0

    @property
    def num_remaining(self) -> int:
        """Tokens to evaluate before the next one is drawn."""
        return len(self.token_ids) - self.num_computed

    @property
    def num_until_border(self) -> int:
        """Tokens to evaluate up to the border, or to the end if there is none."""
        if self.border is not None and self.border > self.num_computed:
            return self.border - self.num_computed
        return self.num_remaining

    @property
    def num_generated(self) -> int:
        """Length of the reply so far, in tokens."""
        return len(self.token_ids) - len(self.request.prompt)

    def start(self, slot: Slot, num_cached: int) -> None:
        """Run in a slot that holds `num_cached` of its tokens."""
        self.slot = slot
        if self.num_cached is None:
            self.num_cached = min(num_cached, len(self.request.prompt))

    def advance(self, slot: Slot, token_ids: Iterable[int]) -> None:
        """Record that its next tokens were evaluated in its slot."""
        prompt, before = len(self.request.prompt), len(slot.token_ids)
        slot.token_ids.extend(token_ids)
        if before < prompt:
            new = min(len(slot.token_ids), prompt) - before
            # A preempted reply is evaluated again, which its owner does not pay for.
            self.request.meter.evaluated = min(prompt, self.request.meter.evaluated + new)

    def append(self, token: int) -> bool:
        """Add the token drawn; returns whether the reply ends with it."""
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
            self._sink(_piece(decoded))
        return False

    def finish(self) -> None:
        """End the reply: nothing is left to generate."""
        self._finish(self._text.finish(), "length")

    def fail(self, error: EngineError) -> None:
        """End without a reply."""
        self._sink(error)
        self.close()

    def close(self) -> None:
        """Free the sampler; may be called twice."""
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
        self._sink(_piece(decoded, end))
        self.close()
        return True


def _piece(decoded: Decoded, end: End | None = None) -> Piece:
    parts = (Part("text", decoded.text),) if decoded.text else ()
    return Piece(parts, decoded.token_ids, end)
