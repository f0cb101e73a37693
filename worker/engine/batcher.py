"""The engine's step: admit, schedule, run, postprocess.

Everything here runs in the engine's thread and is deterministic for a given order of requests.
"""

import logging
import statistics
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from worker.engine.backend import Backend, EvaluationFailed, NoRoom, NotFinite, Part
from worker.engine.drafter import DecodedStep, Drafter
from worker.engine.draws import PendingDraw, drawn_in_rounds
from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.interface import EngineError, GenerationRequest
from worker.engine.kv_cache import MIN_SHARED, KvCache, Slot
from worker.engine.pacer import PrefillPacer
from worker.engine.prefixes import common_prefix
from worker.engine.scheduler import Chunk, Scheduler
from worker.engine.sequence import Sequence, Sink
from worker.engine.stats import Counters, EngineStats
from worker.engine.watchdog import Watchdog

log = logging.getLogger(__name__)

_NEVER_STUCK_S: Final = float("inf")
_GAP_STEPS: Final = 3
"""Steps that a gap between busy slots stays open, as the next turn usually fills it.

Where moving a slot costs less than the passes that a gap costs, it is closed at once.
"""
_MAX_WARMED: Final = 64
"""Windows that wait to be evaluated ahead of time; the oldest are dropped."""


class Batcher:
    """Evaluates many sequences together, step by step.

    Args:
        backend: the model.
        pacer: sets the size of prompts' chunks.
        swap_bytes: host memory for idle conversations.
        grid: if set, chunks and shared prefixes end at multiples of it (for comparing runs).
        watchdog: times each step.
        drafter: drafts tokens of replies, if slots can forget those that are not drawn.
    """

    def __init__(
        self,
        backend: Backend,
        pacer: PrefillPacer,
        *,
        swap_bytes: int,
        grid: int | None = None,
        watchdog: Watchdog | None = None,
        drafter: Drafter | None = None,
    ) -> None:
        self._counters = Counters()
        self._watchdog = watchdog or Watchdog(_NEVER_STUCK_S)
        self._backend = backend
        self._pacer = pacer
        self._grid = grid
        self._drafter = drafter if backend.can_truncate else None
        self._scheduler = Scheduler(
            packed=backend.packed,
            grid=grid,
            drafter=self._drafter,
            slot_size=backend.slot_size,
            batch_size=backend.batch_size,
        )
        self._cache = KvCache(
            backend,
            num_slots=backend.num_slots,
            swap_bytes=swap_bytes,
            packed=backend.packed,
            copies_fast=backend.copies_fast,
            window=backend.window,
            grid=grid or 1,
        )
        self._warm: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._gap_steps = 0
        self._gap_patience = 1 if backend.copies_fast else _GAP_STEPS

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._scheduler.running or self._scheduler.waiting or self._warm)

    @property
    def dropped(self) -> DroppedSessions:
        """Conversations whose tokens it no longer has."""
        return self._cache.dropped

    @property
    def prompt_speed(self) -> int:
        """Tokens of prompts that are evaluated in a second; 0 as long as that is not known."""
        return self._pacer.tokens_per_s

    def submit(self, request: GenerationRequest, sink: Sink) -> Sequence | None:
        """Queue a request, whose pieces go to `sink`; None if it has already ended."""
        self._warm.pop(request.session, None)
        is_full = len(request.prompt) + len(request.generated) >= self._backend.slot_size
        if is_full and not request.generated:
            sink(EngineError("the window is full: the prompt leaves no room for a reply"))
            return None
        try:
            sequence = self._new_sequence(request, sink)
        except EngineError as error:
            sink(error)
            return None
        if is_full or len(request.generated) >= request.max_tokens:
            sequence.finish()
            return None
        self._scheduler.waiting.append(sequence)
        return sequence

    def _new_sequence(self, request: GenerationRequest, sink: Sink) -> Sequence:
        sampler = self._backend.make_sampler(request.sampling)
        try:
            return Sequence(request, self._backend, sampler, sink)
        except EngineError:
            # These options do not allow what was generated before.
            sampler.close()
            raise

    def warm(self, session: str, token_ids: tuple[int, ...]) -> None:
        """Evaluate the start of a conversation's next prompt when there is nothing else to do."""
        if 1 < len(token_ids) < self._backend.slot_size:
            self._warm[session] = token_ids
            self._warm.move_to_end(session)
            while len(self._warm) > _MAX_WARMED:
                self._warm.popitem(last=False)

    def step(self) -> None:
        """Admit, schedule, run and postprocess once."""
        began, native = time.monotonic(), self._backend.native_s
        self._abort_cancelled()
        self._finish_stopped()
        self._admit()
        self._close_gaps()
        for chunks in self._scheduler.schedule(self._budget()).passes:
            self._run(chunks)
        self._counters.step_s += time.monotonic() - began
        self._counters.native_s += self._backend.native_s - native

    def abort_all(self, error: EngineError) -> None:
        """Fail all requests and forget what the slots hold."""
        for sequence in (*self._scheduler.running, *self._scheduler.waiting):
            sequence.slot = None
            sequence.fail(error)
        self._scheduler.running.clear()
        self._scheduler.waiting.clear()
        self._warm.clear()
        self._cache.clear_all()

    def stats(self) -> EngineStats:
        """What was done so far; may be called from another thread."""
        counters, times = self._counters, list(self._watchdog.pass_times)
        return EngineStats(
            passes=counters.passes,
            running=len(self._scheduler.running),
            waiting=len(self._scheduler.waiting),
            evaluated=counters.evaluated,
            cached=counters.cached,
            generated=counters.generated,
            drafted=counters.drafted,
            accepted=counters.accepted,
            kv_tokens=self._cache.num_tokens,
            kv_capacity=self._backend.num_slots * self._backend.slot_size,
            swapped_out=len(self._cache.swap_space),
            swapped_bytes=self._cache.swap_space.num_bytes,
            preemptions=counters.preemptions,
            pass_ms=round(statistics.median(times) * 1000, 3) if times else 0.0,
            batch_fill=counters.batch_fill,
            host_share=counters.host_share,
        )

    # Admitting.

    def _budget(self) -> int:
        if self._grid is not None:
            return self._grid
        return self._pacer.size(alongside_decodes=self._scheduler.is_decoding)

    def _abort_cancelled(self) -> None:
        for sequence in [s for s in self._scheduler.running if s.cancelled.is_set()]:
            self._release(sequence)
            sequence.close()
        waiting = self._scheduler.waiting
        for sequence in [s for s in waiting if s.cancelled.is_set()]:
            waiting.remove(sequence)
            sequence.close()

    def _finish_stopped(self) -> None:
        """End the replies of which no more is wanted."""
        for sequence in [s for s in self._scheduler.running if s.request.enough.is_set()]:
            self._release(sequence)
            sequence.finish("stopped")
        waiting = self._scheduler.waiting
        for sequence in [s for s in waiting if s.request.enough.is_set()]:
            waiting.remove(sequence)
            sequence.finish("stopped")

    def _admit(self) -> None:
        if self._scheduler.waiting:
            self._pause_background()
        for sequence in self._scheduler.candidates:
            if self._scheduler.is_full or not self._cache.has_free_slot:
                return
            if not self._should_wait_to_share(sequence):
                self._scheduler.waiting.remove(sequence)
                self._start(sequence)
        if not self._scheduler.running and self._warm:
            session, token_ids = self._warm.popitem(last=False)
            request = GenerationRequest(session, token_ids, max_tokens=0)
            self._start(Sequence(request, self._backend, None, _discard))

    def _start(self, sequence: Sequence) -> None:
        slot, num_cached = self._cache.allocate(sequence.request.session, sequence.token_ids)
        if sequence.num_cached is None and not sequence.is_background:
            self._counters.cached += num_cached
        sequence.start(slot, num_cached)
        self._scheduler.running.append(sequence)

    def _should_wait_to_share(self, sequence: Sequence) -> bool:
        """Whether a prefix of it is being evaluated right now and is worth waiting for."""
        for other in self._scheduler.running:
            if other.num_remaining <= 1:
                continue
            shared = min(
                common_prefix(other.token_ids, sequence.token_ids), len(sequence.token_ids) - 1
            )
            shared -= shared % (self._grid or 1)
            if shared < other.num_computed + 1 or shared < MIN_SHARED:
                continue
            if shared >= MIN_SHARED + self._cache.matched(
                sequence.request.session, sequence.token_ids
            ):
                other.border = min(shared, other.border or shared)
                return True
        return False

    def _pause_background(self) -> None:
        for sequence in [s for s in self._scheduler.running if s.is_background]:
            self._release(sequence)

    def _close_gaps(self) -> None:
        self._gap_steps = self._gap_steps + 1 if self._cache.has_gap() else 0
        if self._gap_steps < self._gap_patience:
            return
        for old, new in self._cache.compact():
            for sequence in self._scheduler.running:
                if sequence.slot is old:
                    sequence.slot = new

    # Running.

    def _run(self, chunks: list[Chunk]) -> None:
        """One pass over the weights, then a token for each sequence that is fully evaluated."""
        # One that ran before may have taken a slot from these.
        chunks = [chunk for chunk in chunks if chunk.sequence.slot is not None]
        if not chunks:
            return
        parts = [chunk.part() for chunk in chunks]
        try:
            with self._watched_step(parts):
                began = time.monotonic()
                self._backend.evaluate(parts)
        except NoRoom:
            self._make_room(chunks)
        except EvaluationFailed as error:
            self._isolate(chunks, error)
        else:
            self._finish_pass(chunks, parts, time.monotonic() - began)

    def _finish_pass(self, chunks: list[Chunk], parts: list[Part], took_s: float) -> None:
        if chunks[0].is_decode:
            self._pacer.record_decodes(took_s)
        elif len(chunks) == 1:
            self._pacer.record(len(parts[0].token_ids), took_s)
        drawing = self._postprocess(chunks, parts)
        if drawing:
            self._draw(drawing)
            is_pure = chunks[0].is_decode and len(drawing) == len(chunks)
            self._record_draws(drawing, took_s if is_pure else None)

    def _postprocess(self, chunks: list[Chunk], parts: list[Part]) -> list[PendingDraw]:
        """Record what was evaluated; returns the replies that get a token now."""
        drawing: list[PendingDraw] = []
        output = 0
        for chunk, part in zip(chunks, parts, strict=True):
            sequence, slot = chunk.sequence, _slot_of(chunk.sequence)
            token_ids = part.token_ids[: len(part.token_ids) - part.num_drafted]
            if sequence.num_generated == 0 or len(token_ids) > 1:
                self._counters.evaluated += len(token_ids)
            sequence.advance(slot, token_ids)
            if part.sampled and sequence.sampler is not None:
                drawing.append(PendingDraw(chunk, slot, sequence.sampler, output))
            elif sequence.num_remaining == 0:
                self._release(sequence)
            output += part.num_outputs
        return drawing

    def _draw(self, drawing: list[PendingDraw]) -> None:
        """Draw tokens of each reply; where there is none, only that reply fails."""
        poisoned: list[tuple[Sequence, NotFinite]] = []
        for draw, token in drawn_in_rounds(self._backend, drawing):
            if isinstance(token, NotFinite):
                poisoned.append((draw.sequence, token))
            elif isinstance(token, EngineError):
                self._fail(draw.sequence, token)
            else:
                self._counters.generated += 1
                self._append(draw.sequence, token)
        for draw in drawing:
            if draw.num_rejected and not self._cache.resync(draw.slot):
                log.warning("slots cannot be cut back: nothing more is drafted")
                self._scheduler.stop_drafting()
        if poisoned:
            self._retry_clean(poisoned)

    def _record_draws(self, drawing: list[PendingDraw], took_s: float | None) -> None:
        """Count draws, and learn from a step of nothing but replies."""
        accepted = tuple(draw.num_accepted for draw in drawing)
        num_drafted = drawing[0].num_drafted
        self._counters.count_draws(num_drafted, accepted)
        if self._drafter is not None and took_s is not None:
            step = DecodedStep(num_drafted=num_drafted, accepted=accepted, seconds=took_s)
            self._drafter.record(step)

    def _append(self, sequence: Sequence, token: int) -> None:
        try:
            has_ended = sequence.append(token)
        except EngineError as error:
            self._fail(sequence, error)
        except Exception:  # what one model writes must not end the replies of the others
            log.exception("a reply could not be read")
            self._fail(sequence, EngineError("the reply could not be read"))
        else:
            if has_ended or self._is_full(sequence):
                self._release(sequence)

    def _is_full(self, sequence: Sequence) -> bool:
        if len(sequence.token_ids) < self._backend.slot_size:
            return False
        sequence.finish()
        return True

    @contextmanager
    def _watched_step(self, parts: list[Part]) -> Iterator[None]:
        self._watchdog.begin(sum(len(part.token_ids) for part in parts))
        try:
            yield
        finally:
            self._watchdog.end()
        self._counters.passes += 1

    def _release(self, sequence: Sequence) -> None:
        """Stop running a sequence; its slot keeps what was evaluated."""
        self._scheduler.running.remove(sequence)
        self._scheduler.is_full = False
        if sequence.slot is not None:
            self._cache.free(sequence.slot)
            sequence.slot = None

    # When a step fails.

    def _make_room(self, chunks: list[Chunk]) -> None:
        """Leave out drafts, swap out idle conversations, shrink chunks, or preempt a reply.

        Only the first of these that is possible; the youngest reply is preempted.
        """
        if chunks[0].drafts:
            self._run([chunk.without_drafts() for chunk in chunks])
            return
        if self._cache.swap_out_idle():
            return
        if all(len(chunk.part().token_ids) > 1 for chunk in chunks) and self._pacer.shrink():
            return
        running = self._scheduler.running
        if len(running) == 1:
            self._fail(running[0], EngineError("the KV cache is full"))
            return
        youngest = next(sequence for sequence in reversed(running) if not sequence.is_alone)
        log.info("no room in the KV cache: one of %d replies waits", len(running))
        self._preempt(youngest)

    def _preempt(self, sequence: Sequence) -> None:
        """Swap out a running sequence until there is room for it again."""
        self._counters.preemptions += 1
        self._cache.swap_out(_slot_of(sequence))
        sequence.slot = None
        self._scheduler.preempt(sequence)

    def _isolate(self, chunks: list[Chunk], error: EvaluationFailed) -> None:
        """Run each sequence of a failed step alone; only those that fail again are given up."""
        for chunk in chunks:
            self._cache.resync(_slot_of(chunk.sequence))
        if len(chunks) == 1 and not chunks[0].drafts:
            self._fail(chunks[0].sequence, error)
            return
        log.warning("a step of %d sequences failed (%s); trying each alone", len(chunks), error)
        for chunk in chunks:
            self._run([chunk.without_drafts()])

    def _retry_clean(self, poisoned: list[tuple[Sequence, NotFinite]]) -> None:
        """Evaluate replies again in clean slots: NaN left there before may have poisoned them.

        A reply that gets NaN again fails.
        """
        self._cache.scrub([_slot_of(sequence) for sequence, _ in poisoned])
        for sequence, error in poisoned:
            if sequence.is_second_try:
                self._fail(sequence, error)
            else:
                log.warning("%s; its reply is evaluated once more", error)
                sequence.is_second_try = True

    def _fail(self, sequence: Sequence, error: EngineError) -> None:
        self._release(sequence)
        sequence.fail(error)


def _slot_of(sequence: Sequence) -> Slot:
    assert sequence.slot is not None, "it runs"
    return sequence.slot


def _discard(_item: object) -> None:
    """The sink of a window that is evaluated ahead of time."""
