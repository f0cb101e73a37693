"""A reply being generated, or a window that is evaluated ahead of its next turn."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from worker.engine.backend import TokenSampler, Vocabulary
from worker.engine.interface import (
    DrawnLogprob,
    End,
    EngineError,
    FinishReason,
    GenerationRequest,
    Grammar,
    Piece,
)
from worker.engine.kv_cache import Slot
from worker.engine.lookup import Lookup
from worker.engine.reply_text import Output, PlainText, ReadParts, ReplyText

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
        self.lookup = Lookup()
        self._vocabulary = vocabulary
        self._sink = sink
        self._reader = request.reader() if request.reader is not None else None
        self._text: ReplyText = (
            PlainText(vocabulary, request.stop)
            if self._reader is None
            else ReadParts(vocabulary, self._reader, request.stop)
        )
        self._grammar: Grammar | None = None
        self._logprobs: deque[DrawnLogprob] = deque()
        """Of tokens that no piece has had yet."""
        self._num_reasoning = self._num_forced = 0
        self._num_standing = 0
        """Tokens that stood before the turn and are no thoughts."""
        self._began = self._began_reply = time.monotonic()
        if sampler is not None:
            self._replay(request.generated, sampler)

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

    @property
    def num_wanted(self) -> int:
        """Tokens that the reply may still get."""
        return self.request.max_tokens - self.num_generated

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
        """Add the token drawn; returns whether the reply ends with it.

        Raises:
            EngineError: what has to follow now cannot be followed.
        """
        if self.num_generated == len(self.request.generated):
            self._began_reply = time.monotonic()
        if self._vocabulary.is_end(token):
            return self._finish(self._text.finish(token), "stop")
        self.token_ids.append(token)
        if self.sampler is not None and self.sampler.logprob is not None:
            self._logprobs.append(self.sampler.logprob)
        output = self._push(token)
        if output is not None and output.stopped_at is not None:
            return self._finish(output, "stop")
        if self._reader is not None and self._reader.is_complete:
            return self._finish(_both(output, self._text.finish(None)), "stop")
        if self._has_reached_limit:
            return self._finish(_both(output, self._text.finish(None)), "length")
        if output is not None:
            self._sink(self._piece(output))
        if self.sampler is not None:
            self._direct(self.sampler)
        return False

    @property
    def _has_reached_limit(self) -> bool:
        limit = self.request.answer_limit
        num_answered = self.num_generated - self._num_reasoning - self._num_standing
        if limit is not None and num_answered >= limit:
            return True
        return self.num_generated >= self.request.max_tokens

    def _push(self, token: int) -> Output | None:
        was_reasoning = self._reader is not None and self._reader.is_reasoning
        output = self._text.push(token)
        self._num_reasoning += was_reasoning
        return output

    def _direct(self, sampler: TokenSampler) -> None:
        """Tell the sampler what the reader wants to come next, once nothing is forced any more."""
        self._num_forced = max(0, self._num_forced - 1)
        if self._num_forced:
            return
        for text in self._wanted_next():
            forced = self._vocabulary.tokenize(text, special=True)
            sampler.force(forced)
            self._num_forced = len(forced)
            return
        grammar = self._reader.grammar if self._reader is not None else None
        if grammar is not self._grammar:
            sampler.constrain(grammar)
            self._grammar = grammar

    def _wanted_next(self) -> list[str]:
        """Text that must come next; none or one."""
        reader, limit = self._reader, self.request.reasoning_limit
        if reader is None:
            return []
        if limit is not None and self._num_reasoning >= limit and reader.is_reasoning:
            reader.end_reasoning()
        text = reader.take_forced()
        return [text] if text else []

    def _replay(self, generated: Iterable[int], sampler: TokenSampler) -> None:
        """Bring reader and sampler to where an earlier attempt had them."""
        if self._reader is None:
            for token in generated:
                sampler.accept(token)
            self._num_standing = self.request.num_standing
            return
        forced = _Forced(sampler)
        self._direct(forced)
        for place, token in enumerate(generated, start=1):
            forced.accept(token)
            self._push(token)
            self._direct(forced)
            if place == self.request.num_standing:
                self._num_standing = place - self._num_reasoning
                self._text.forget_stops()
        if self.request.goes_on_in is not None:
            self._num_forced = 0
            forced.forget()
            self._text.go_on_in(self.request.goes_on_in)
            self._direct(forced)
        self._text.drop_ids()
        forced.hand_over()

    def finish(self, reason: FinishReason = "length") -> None:
        """End the reply as it is."""
        self._finish(self._text.finish(None), reason)

    def fail(self, error: EngineError) -> None:
        """End without a reply."""
        self._sink(error)
        self.close()

    def close(self) -> None:
        """Free the sampler; may be called twice."""
        sampler, self.sampler = self.sampler, None
        if sampler is not None:
            sampler.close()

    def _finish(self, output: Output, reason: FinishReason) -> bool:
        end = End(
            reason,
            self.num_cached or 0,
            prompt_ms=(self._began_reply - self._began) * 1000,
            generation_ms=(time.monotonic() - self._began_reply) * 1000,
            reasoning_tokens=self._num_reasoning,
            stop_string=output.stopped_at,
        )
        self._sink(self._piece(output, end))
        self.close()
        return True

    def _piece(self, output: Output, end: End | None = None) -> Piece:
        count = min(len(output.token_ids), len(self._logprobs))
        logprobs = tuple(self._logprobs.popleft() for _ in range(count))
        return Piece(output.parts, output.token_ids, end, logprobs)


def _both(first: Output | None, second: Output) -> Output:
    if first is None:
        return second
    return Output(first.parts + second.parts, first.token_ids + second.token_ids, second.stopped_at)


class _Forced:
    """A sampler for what was generated before: of forced tokens only those left over are forced."""

    logprob = None

    def __init__(self, sampler: TokenSampler) -> None:
        self._sampler = sampler
        self._left: deque[int] = deque()

    def accept(self, token: int) -> None:
        """Record a token."""
        if self._left and self._left.popleft() != token:
            self._left.clear()  # another version or another limit had forced something else
        self._sampler.accept(token)

    def force(self, token_ids: Iterable[int]) -> None:
        """Expect these tokens among those that were generated."""
        self._left.extend(token_ids)

    def constrain(self, grammar: Grammar | None) -> None:
        """As the sampler."""
        self._sampler.constrain(grammar)

    def forget(self) -> None:
        """Expect none of these tokens any more."""
        self._left.clear()

    def close(self) -> None:
        """The sampler is closed by its owner."""

    def hand_over(self) -> None:
        """Have the sampler force the rest."""
        if self._left:
            self._sampler.force(list(self._left))
