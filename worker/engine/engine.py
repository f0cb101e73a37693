"""The engine: one thread owns the model and steps; asyncio talks to it through queues."""

import asyncio
import logging
import queue
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

from worker.engine.batcher import Batcher
from worker.engine.drafter import Drafter, LookupDrafter, Unseeded
from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.encoding import Encoder
from worker.engine.interface import (
    EngineError,
    GenerationRequest,
    Grammar,
    ModelInfo,
    Piece,
    Segment,
)
from worker.engine.model import LlamaModel
from worker.engine.model_drafter import FirstOf, ModelDrafter
from worker.engine.pacer import PrefillPacer
from worker.engine.sequence import Sequence as Generation
from worker.engine.speculation import Speculation
from worker.engine.stats import EngineStats
from worker.engine.watchdog import Watchdog, thread_clock

log = logging.getLogger(__name__)

_Item = Piece | EngineError


class _Stream:
    """The output of one generation on its way to the coroutine that waits for it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.items: asyncio.Queue[_Item] = asyncio.Queue()
        self.cancelled = threading.Event()
        self.generation: Generation | None = None

    def cancel(self) -> None:
        """Stop the generation; its output is no longer wanted."""
        self.cancelled.set()
        if self.generation is not None:
            self.generation.cancelled.set()


@dataclass(frozen=True, kw_only=True, slots=True)
class Drafts:
    """Where drafts of few replies come from: the conversation itself, and then a smaller model.

    Args:
        model: owned by the engine's thread; None for the conversation alone.
    """

    model: LlamaModel | None = None


class LlamaEngine:
    """An `Engine` on one loaded model.

    Args:
        model: owned from now on by this engine's thread.
        info: the model's name and fingerprint.
        longest_step_s: seconds that a prefill step should stay under.
        stuck_after_s: a step is never called stuck before this.
        swap_bytes: host memory for idle conversations.
        grid: if set, chunks of prompts end at multiples of it (for comparing runs).
        drafts: where they come from; None for no drafts.
    """

    def __init__(
        self,
        model: LlamaModel,
        info: ModelInfo,
        *,
        longest_step_s: float,
        stuck_after_s: float,
        swap_bytes: int,
        grid: int | None = None,
        drafts: Drafts | None = None,
    ) -> None:
        self.model = info
        self.slots = model.num_slots
        self.window = model.slot_size
        self._llama = model
        self._encoder = Encoder(model.vocabulary)
        self._draft_model = drafts.model if drafts is not None else None
        self._watchdog, self._draft_watchdog = Watchdog(stuck_after_s), Watchdog(stuck_after_s)
        self._pacer = PrefillPacer(model.batch_size, longest_step_s)
        self._batcher = Batcher(
            model,
            self._pacer,
            swap_bytes=swap_bytes,
            grid=grid,
            watchdog=self._watchdog,
            drafter=self._drafter() if drafts is not None else None,
        )
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._outbox: defaultdict[asyncio.AbstractEventLoop, list[tuple[_Stream, _Item]]]
        self._outbox = defaultdict(list)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()
        for watchdog in (self._watchdog, self._draft_watchdog):
            watchdog.follow(thread_clock(self._thread.ident))

    def _drafter(self) -> Drafter:
        lookup = LookupDrafter(self._llama.is_end, Speculation())
        if self._draft_model is None:
            return Unseeded(lookup)
        other = ModelDrafter(self._draft_model, Speculation(), self._draft_watchdog)
        return Unseeded(FirstOf(lookup, other))

    @property
    def dropped(self) -> DroppedSessions:
        return self._batcher.dropped

    @property
    def prompt_speed(self) -> int:
        return self._batcher.prompt_speed

    @property
    def progress(self) -> int:
        return self._watchdog.progress

    def stats(self) -> EngineStats:
        return replace(self._batcher.stats(), placement=self._llama.placement)

    def stuck_for(self) -> float:
        return max(self._watchdog.stuck_for(), self._draft_watchdog.stuck_for())

    def tokenize(self, text: str) -> list[int]:
        return self._encoder.tokenize(text)

    def detokenize(self, token_ids: Sequence[int], *, controls: bool = False) -> str:
        piece_of = self._llama.vocabulary.piece_of
        pieces = (piece_of(token, special=controls) for token in token_ids)
        return b"".join(pieces).decode("utf-8", "replace")

    def encode(self, segments: Sequence[Segment]) -> list[int]:
        return self._encoder.encode(segments)

    def warm(self, session: str, token_ids: Sequence[int]) -> None:
        self._inbox.put(lambda: self._batcher.warm(session, tuple(token_ids)))

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        if request.sampling.json_schema is not None:
            # Compiled here and only once: in the engine's thread it would delay every reply.
            grammar = Grammar("json", request.sampling.json_schema)
            await asyncio.to_thread(self._llama.constraints.of, grammar)
        stream = _Stream()
        self._inbox.put(lambda: self._submit(request, stream))
        try:
            while True:
                item = await stream.items.get()
                if isinstance(item, EngineError):
                    raise item
                yield item
                if item.end is not None:
                    return
        finally:
            stream.cancel()

    async def close(self) -> None:
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)
        self._llama.close()
        if self._draft_model is not None:
            self._draft_model.close()

    # In the engine's thread.

    def _run(self) -> None:
        # Evaluate in no other thread, not even to warm up: each thread that does keeps a pool of
        # OpenMP threads. With more of them than cores they sleep instead of spinning while they
        # wait, which makes every token half as expensive again.
        try:
            self._pacer.record(*self._llama.warm_up())
        except EngineError as error:
            log.warning("the warm-up failed: %s", error)
        while self._take_requests():
            try:
                self._batcher.step()
            except Exception as error:
                log.exception("the engine failed")
                self._batcher.abort_all(EngineError(str(error)))
            self._flush()

    def _take_requests(self) -> bool:
        """Take all requests that have arrived; waits if there is no work. False ends the thread."""
        while True:
            try:
                command = self._inbox.get(block=not self._batcher.has_work)
            except queue.Empty:
                return True
            if command is None:
                self._batcher.abort_all(EngineError("the engine is stopping"))
                self._flush()
                return False
            command()
            self._flush()

    def _submit(self, request: GenerationRequest, stream: _Stream) -> None:
        if stream.cancelled.is_set():
            return
        try:
            stream.generation = self._batcher.submit(
                request, lambda item: self._outbox[stream.loop].append((stream, item))
            )
        except Exception as error:  # this thread must survive, and the client must get an answer
            log.exception("a request could not be queued")
            self._outbox[stream.loop].append((stream, EngineError(str(error))))
        if stream.generation is not None and stream.cancelled.is_set():
            stream.generation.cancelled.set()

    def _flush(self) -> None:
        """Deliver the output of a step with one call per event loop."""
        for loop, items in self._outbox.items():
            try:
                loop.call_soon_threadsafe(_deliver, items)
            except RuntimeError:
                log.debug("output is dropped: the event loop is closed")
        self._outbox.clear()


def _deliver(items: list[tuple[_Stream, _Item]]) -> None:
    for stream, item in items:
        stream.items.put_nowait(item)
