"""llama.cpp behind the engine's interface: one thread owns the model, asyncio talks by queues.

Replies are generated one at a time; what was evaluated for the last prompt is kept, so that a turn
that goes on with it costs its new tokens.
"""

import asyncio
import logging
import queue
import statistics
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from worker.engine.chat_template import ChatTemplate
from worker.engine.detokenizer import Decoded, Detokenizer
from worker.engine.interface import (
    End,
    EngineError,
    FinishReason,
    GenerationRequest,
    ModelInfo,
    Piece,
    PromptMessage,
)
from worker.engine.model import LlamaModel
from worker.engine.pacer import PrefillPacer
from worker.engine.sampler import Sampler

log = logging.getLogger(__name__)

_MEDIAN_OF: Final = 64
_PATIENCE: Final = 10
"""A step may take this many times the median before it counts as stuck."""


class _Generation:
    """One reply under way; shared by the thread and the coroutine that waits for it."""

    def __init__(self, request: GenerationRequest, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        self.cancelled = threading.Event()
        self.pieces: asyncio.Queue[Piece | EngineError] = asyncio.Queue()
        self._loop = loop

    def put(self, item: Piece | EngineError) -> None:
        """From the engine's thread: hand something to the waiting coroutine."""
        self._loop.call_soon_threadsafe(self.pieces.put_nowait, item)


class LlamaEngine:
    """An `Engine` on one loaded model.

    Args:
        model: owned from now on by this engine's thread.
        template: the model's chat template.
        info: the model's name and fingerprint.
        longest_step_s: seconds that a prefill step should stay under.
        stuck_after_s: a step is never called stuck before this.
    """

    slots = 1

    def __init__(
        self,
        model: LlamaModel,
        template: ChatTemplate,
        info: ModelInfo,
        *,
        longest_step_s: float,
        stuck_after_s: float,
    ) -> None:
        self.model = info
        self.steps = 0
        self._llama = model
        self._template = template
        self._pacer = PrefillPacer(model.batch_size, longest_step_s)
        self._stuck_after_s = stuck_after_s
        self._cached: list[int] = []
        self._inbox: queue.SimpleQueue[_Generation | None] = queue.SimpleQueue()
        self._step_started: float | None = None
        self._step_times: deque[float] = deque(maxlen=_MEDIAN_OF)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def stuck_for(self) -> float:
        started = self._step_started
        if started is None or not self._step_times:
            return 0.0
        longest = max(self._stuck_after_s, _PATIENCE * statistics.median(list(self._step_times)))
        return max(0.0, time.monotonic() - started - longest)

    def tokenize(self, text: str) -> list[int]:
        return self._llama.tokenize(text, special=False)

    def detokenize(self, token_ids: Sequence[int]) -> str:
        return b"".join(map(self._llama.piece_of, token_ids)).decode("utf-8", "replace")

    def render(self, messages: Sequence[PromptMessage]) -> list[int]:
        return self._template.render(messages)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        generation = _Generation(request, asyncio.get_running_loop())
        self._inbox.put(generation)
        try:
            while True:
                item = await generation.pieces.get()
                if isinstance(item, EngineError):
                    raise item
                yield item
                if item.end is not None:
                    return
        finally:
            generation.cancelled.set()

    async def close(self) -> None:
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)
        self._llama.close()

    def _run(self) -> None:
        while (generation := self._inbox.get()) is not None:
            if generation.cancelled.is_set():
                continue
            try:
                self._reply(generation)
            except EngineError as error:
                self._forget()
                generation.put(error)
            except Exception as error:
                log.exception("the engine failed")
                self._forget()
                generation.put(EngineError(str(error)))

    def _forget(self) -> None:
        self._cached.clear()
        self._llama.keep(0)

    def _reply(self, generation: _Generation) -> None:
        request = generation.request
        sampler = self._llama.make_sampler(request.sampling)
        try:
            for token in request.emitted:
                sampler.accept(token)
            began = time.monotonic()
            cached = self._prefill(generation, [*request.prompt, *request.emitted])
            prompt_ms = _ms_since(began)
            if not generation.cancelled.is_set():
                self._decode(generation, sampler, cached, prompt_ms)
        finally:
            sampler.close()

    def _prefill(self, generation: _Generation, tokens: list[int]) -> int:
        """Evaluate what is not cached; returns how many tokens of the prompt were."""
        cached = self._reuse(tokens)
        position = cached
        while position < len(tokens) and not generation.cancelled.is_set():
            chunk = tokens[position : position + self._pacer.size]
            self._pacer.record(len(chunk), self._step(chunk))
            position += len(chunk)
        return min(cached, len(generation.request.prompt))

    def _reuse(self, tokens: list[int]) -> int:
        """Cut the cache to its longest common prefix with `tokens`, the last one left out.

        The last is evaluated in any case, because its logits are what the reply begins with.
        """
        limit = min(len(self._cached), len(tokens) - 1)
        length = next((i for i in range(limit) if self._cached[i] != tokens[i]), limit)
        if length < len(self._cached):
            if not self._llama.keep(length):
                length = 0
            del self._cached[length:]
        return length

    def _decode(
        self, generation: _Generation, sampler: Sampler, cached: int, prompt_ms: float
    ) -> None:
        request = generation.request
        text = Detokenizer(self._llama.piece_of, request.stop)
        began = time.monotonic()
        count = len(request.emitted)

        def finish(decoded: Decoded, reason: FinishReason) -> None:
            generation.put(_piece(decoded, End(reason, cached, prompt_ms, _ms_since(began))))

        if count >= request.max_tokens:
            return finish(text.finish(), "length")
        while not generation.cancelled.is_set():
            token = self._llama.sample(sampler)
            if self._llama.is_end(token):
                return finish(text.finish(), "stop")
            count += 1
            decoded = text.push(token)
            if decoded is not None and decoded.stopped:
                return finish(decoded, "stop")
            if count == request.max_tokens:
                return finish(decoded or text.finish(), "length")
            if decoded is not None:
                generation.put(_piece(decoded))
            self._step([token])
        return None

    def _step(self, tokens: list[int]) -> float:
        """Evaluate tokens behind the cached ones; returns the seconds it took."""
        started = self._step_started = time.monotonic()
        try:
            self._llama.evaluate(tokens, len(self._cached))
        finally:
            self._step_started = None
        self._cached += tokens
        self.steps += 1
        seconds = time.monotonic() - started
        self._step_times.append(seconds)
        return seconds


def _piece(decoded: Decoded, end: End | None = None) -> Piece:
    return Piece(decoded.text, decoded.token_ids, end)


def _ms_since(began: float) -> float:
    return (time.monotonic() - began) * 1000
