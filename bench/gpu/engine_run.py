"""The engine ticked by hand, as a worker has it but for Redis and asyncio."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.engine.backend import Part
from worker.engine.batcher import Batcher
from worker.engine.interface import EngineError, GenerationRequest, Piece, SamplingOptions
from worker.engine.model import LlamaModel
from worker.engine.pacer import PrefillPacer

LONGEST_STEP_S: Final = 2.5
"""What a worker's settings give at their defaults: a quarter of its heartbeat."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One tick of the engine, and its shares: evaluation, drawing; seconds."""

    seconds: float
    decode_s: float
    draw_s: float

    @property
    def rest_s(self) -> float:
        """All else: what is next, text, bookkeeping."""
        return self.seconds - self.decode_s - self.draw_s


class EngineRun:
    """A batcher with some replies, ticked by hand."""

    def __init__(self, model: LlamaModel) -> None:
        self.has_begun = 0
        self.running = 0
        self._model = model
        self._has_ended = False
        pacer = PrefillPacer(model.batch_size, LONGEST_STEP_S)
        self._batcher = Batcher(model, pacer, swap_bytes=0)
        self._num_requests = 0

    def submit(self, prompt: tuple[int, ...], max_tokens: int, sampling: SamplingOptions) -> None:
        self._num_requests += 1
        self.running += 1
        has_begun = False

        def take(item: Piece | EngineError) -> None:
            nonlocal has_begun
            if isinstance(item, EngineError):
                if not self._has_ended:
                    raise item
                return
            self.has_begun += not has_begun
            has_begun = True
            self.running -= item.end is not None

        request = GenerationRequest(str(self._num_requests), prompt, max_tokens, sampling=sampling)
        self._batcher.submit(request, take)

    @property
    def generated(self) -> int:
        """Tokens of all replies so far."""
        return self._batcher.stats().generated

    def until_begun(self, count: int) -> float:
        """Tick until so many replies have begun; returns the seconds that it took."""
        began = time.perf_counter()
        while self.has_begun < count:
            self._batcher.step()
        return time.perf_counter() - began

    def ticks(self, count: int) -> list[Tick]:
        found = []
        for _ in range(count):
            model, began = self._model, time.perf_counter()
            decode_s, draw_s = model.decode_s, model.draw_s
            self._batcher.step()
            seconds = time.perf_counter() - began
            decode_s, draw_s = model.decode_s - decode_s, model.draw_s - draw_s
            found.append(Tick(seconds=seconds, decode_s=decode_s, draw_s=draw_s))
        return found

    def end(self) -> None:
        """Give up what runs, and empty all slots."""
        self._has_ended = True
        self._batcher.abort_all(EngineError("the bench ends"))


def prefill(model: LlamaModel, prompt: tuple[int, ...]) -> None:
    """Evaluate a prompt in the first slot, in the largest steps that there are."""
    for start in range(0, len(prompt), model.batch_size):
        chunk = prompt[start : start + model.batch_size]
        model.evaluate([Part(0, start, chunk, start + len(chunk) == len(prompt))])


def triple(samples: Sequence[float]) -> tuple[float, float, float]:
    """Median, smallest, largest."""
    return statistics.median(samples), min(samples), max(samples)


def timed_ms(act: Callable[..., object], *arguments: Any) -> float:
    began = time.perf_counter()
    act(*arguments)
    return (time.perf_counter() - began) * 1000
