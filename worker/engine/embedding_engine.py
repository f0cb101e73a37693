"""The engine of a model that makes embeddings: one thread owns the model."""

import asyncio
import logging
import queue
import statistics
import threading
import time
from collections.abc import Sequence

from worker.engine.backend import EvaluationFailed
from worker.engine.embedding import Embedded, EmbeddingRequest, TokenIds, Vector
from worker.engine.embedding_model import EmbeddingBackend
from worker.engine.embedding_queue import EmbeddingJob, EmbeddingQueue
from worker.engine.interface import EngineError, ModelInfo
from worker.engine.stats import Counters, EngineStats
from worker.engine.watchdog import Watchdog, thread_clock

log = logging.getLogger(__name__)

_WARM_UP_TEXT = "a"


class EmbeddingEngine:
    """An `Embedder` on one loaded model.

    Args:
        model: owned from now on by this engine's thread.
        info: the model's name and fingerprint.
        slots: turns that run together.
        stuck_after_s: a pass is never called stuck before this.
    """

    def __init__(
        self, model: EmbeddingBackend, info: ModelInfo, *, slots: int, stuck_after_s: float
    ) -> None:
        self.model = info
        self.slots = slots
        self.window = model.window
        self.vocabulary_size = model.vocabulary.size
        self._backend = model
        self._watchdog = Watchdog(stuck_after_s)
        self._counters = Counters()
        self._num_running = 0
        self._queue = EmbeddingQueue(model.pass_tokens, model.pass_texts)
        self._inbox: queue.SimpleQueue[EmbeddingJob | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()
        self._watchdog.follow(thread_clock(self._thread.ident))

    @property
    def progress(self) -> int:
        return self._watchdog.progress

    def stuck_for(self) -> float:
        return self._watchdog.stuck_for()

    def stats(self) -> EngineStats:
        counters, times = self._counters, list(self._watchdog.pass_times)
        return EngineStats(
            passes=counters.passes,
            running=self._num_running,
            evaluated=counters.evaluated,
            pass_ms=round(statistics.median(times) * 1000, 3) if times else 0.0,
            host_share=counters.host_share,
            placement=self._backend.placement,
        )

    def tokenize_whole(self, text: str) -> list[int]:
        return self._backend.vocabulary.tokenize_whole(text)

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Embedded] = loop.create_future()
        job = EmbeddingJob(request, lambda end: _deliver(loop, future, end))
        self._num_running += 1
        self._inbox.put(job)
        try:
            return await future
        finally:
            self._num_running -= 1
            job.cancelled.set()

    async def close(self) -> None:
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)
        self._backend.close()

    # In the engine's thread.

    def _run(self) -> None:
        self._warm_up()
        while self._take_jobs():
            began = time.monotonic()
            self._step()
            self._counters.step_s += time.monotonic() - began

    def _warm_up(self) -> None:
        """Evaluate something useless: the first passes are slow until all weights were read."""
        try:
            self._evaluate([tuple(self.tokenize_whole(_WARM_UP_TEXT))])
        except EngineError as error:
            log.warning("the warm-up failed: %s", error)

    def _take_jobs(self) -> bool:
        """Take all jobs that have arrived; waits if there is no work. False ends the thread."""
        while True:
            try:
                job = self._inbox.get(block=not len(self._queue))
            except queue.Empty:
                return True
            if job is None:
                for waiting in self._queue:
                    waiting.fail(EngineError("the engine is stopping"))
                return False
            self._queue.add(job)

    def _step(self) -> None:
        """One pass; a text whose vector cannot be made fails its own request alone."""
        items = self._queue.next_pass()
        texts = [job.request.texts[place] for job, place in items]
        try:
            results = self._evaluate_safely(texts) if texts else []
        except Exception as error:  # this thread must survive, and the clients must get an answer
            log.exception("the engine failed")
            results = [EngineError(str(error))] * len(texts)
        for (job, place), result in zip(items, results, strict=True):
            job.put(place, result)

    def _evaluate_safely(self, texts: Sequence[TokenIds]) -> list[Vector | EngineError]:
        """Evaluate texts together; where that fails, each alone."""
        try:
            return self._evaluate(texts)
        except EvaluationFailed as error:
            if len(texts) == 1:
                return [error]
            log.warning("a pass failed and is repeated text by text: %s", error)
            return [result for text in texts for result in self._evaluate_safely([text])]

    def _evaluate(self, texts: Sequence[TokenIds]) -> list[Vector | EngineError]:
        num_tokens = sum(map(len, texts))
        began = time.monotonic()
        self._watchdog.begin(num_tokens)
        try:
            return self._backend.evaluate(texts)
        finally:
            self._watchdog.end()
            self._counters.native_s += time.monotonic() - began
            self._counters.passes += 1
            self._counters.evaluated += num_tokens


def _deliver(
    loop: asyncio.AbstractEventLoop,
    future: "asyncio.Future[Embedded]",
    end: Embedded | EngineError,
) -> None:
    """Resolve a future of another thread's event loop."""
    try:
        loop.call_soon_threadsafe(_resolve, future, end)
    except RuntimeError:
        log.debug("vectors are dropped: the event loop is closed")


def _resolve(future: "asyncio.Future[Embedded]", end: Embedded | EngineError) -> None:
    if future.done():
        return
    if isinstance(end, EngineError):
        future.set_exception(end)
    else:
        future.set_result(end)
