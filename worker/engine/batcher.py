"""The engine's tick: admit, plan, decode, sample, finish.

Everything here runs in the engine's thread and is deterministic for a given order of requests.
"""

import logging
import statistics
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from worker.engine.backend import Backend, EvaluationFailed, NoRoom, NotFinite, Part, TokenSampler
from worker.engine.interface import EngineError, GenerationRequest
from worker.engine.kv_cache import MIN_SHARED, KvCache, Slot
from worker.engine.pacer import PrefillPacer
from worker.engine.prefixes import common_prefix
from worker.engine.scheduler import Scheduler, Work
from worker.engine.sequence import Sequence, Sink
from worker.engine.stats import EngineStats
from worker.engine.watchdog import Watchdog

log = logging.getLogger(__name__)

_NEVER_STUCK_S: Final = float("inf")
_GAP_TICKS: Final = 3
"""A gap between busy slots stays open for so long: mostly the next turn fills it.

Where moving a slot costs less than the passes that a gap costs, it is closed at once.
"""
_MOST_WARMED: Final = 64
"""Windows that wait to be evaluated ahead; the oldest are forgotten."""


class Batcher:
    """Evaluates many sequences together, step by step.

    Args:
        backend: the model.
        pacer: how large a prompt's chunks are.
        swap_bytes: host memory for idle conversations.
        grid: if set, chunks and shared prefixes end at multiples of it (for comparing runs).
        watchdog: is told of each step.
    """

    def __init__(
        self,
        backend: Backend,
        pacer: PrefillPacer,
        *,
        swap_bytes: int,
        grid: int | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.steps = 0
        self._watchdog = watchdog or Watchdog(_NEVER_STUCK_S)
        self._backend = backend
        self._pacer = pacer
        self._grid = grid
        self._scheduler = Scheduler(packed=backend.packed, grid=grid)
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
        self._gap_ticks = 0
        self._gap_patience = 1 if backend.copies_fast else _GAP_TICKS
        self._evaluated = self._cached = self._generated = self._preemptions = 0
        self._decoding_passes = self._decoded = 0
        self._tick_s = 0.0
        self._native_s = 0.0

    @property
    def has_work(self) -> bool:
        """Whether a tick would do anything."""
        return bool(self._scheduler.running or self._scheduler.waiting or self._warm)

    def submit(self, request: GenerationRequest, sink: Sink) -> Sequence | None:
        """Take a request; its pieces go to `sink`. None if it has ended already."""
        self._warm.pop(request.session, None)
        is_full = len(request.prompt) + len(request.emitted) >= self._backend.slot_size
        if is_full and not request.emitted:
            sink(EngineError("the window is full: the prompt leaves no room for a reply"))
            return None
        try:
            sequence = self._begun(request, sink)
        except EngineError as error:
            sink(error)
            return None
        if is_full or len(request.emitted) >= request.max_tokens:
            sequence.finish_at_once()
            return None
        self._scheduler.waiting.append(sequence)
        return sequence

    def _begun(self, request: GenerationRequest, sink: Sink) -> Sequence:
        sampler = self._backend.make_sampler(request.sampling)
        try:
            return Sequence(request, self._backend, sampler, sink)
        except EngineError:
            # What was emitted before cannot be gone on with under these options.
            sampler.close()
            raise

    def warm(self, session: str, token_ids: tuple[int, ...]) -> None:
        """Evaluate what a conversation's next prompt begins with, once there is nothing else."""
        if 1 < len(token_ids) < self._backend.slot_size:
            self._warm[session] = token_ids
            self._warm.move_to_end(session)
            while len(self._warm) > _MOST_WARMED:
                self._warm.popitem(last=False)

    def tick(self) -> None:
        """One step of everything that runs."""
        began, native = time.monotonic(), self._backend.native_s
        self._drop_cancelled()
        self._admit()
        self._close_gaps()
        for works in self._scheduler.plan(self._budget()).passes:
            self._evaluate([work for work in works if work.sequence.slot is not None])
        self._tick_s += time.monotonic() - began
        self._native_s += self._backend.native_s - native

    def fail_all(self, error: EngineError) -> None:
        """Give everything up, and forget what the slots hold."""
        for sequence in (*self._scheduler.running, *self._scheduler.waiting):
            sequence.slot = None
            sequence.fail(error)
        self._scheduler.running.clear()
        self._scheduler.waiting.clear()
        self._warm.clear()
        self._cache.clear_all()

    def stats(self) -> EngineStats:
        """Figures; may be asked for by another thread."""
        times = list(self._watchdog.step_times)
        return EngineStats(
            steps=self.steps,
            running=len(self._scheduler.running),
            waiting=len(self._scheduler.waiting),
            evaluated=self._evaluated,
            cached=self._cached,
            generated=self._generated,
            lane_tokens=self._cache.num_tokens,
            lane_capacity=self._backend.num_slots * self._backend.slot_size,
            parked=len(self._cache.swap_space),
            parked_bytes=self._cache.swap_space.num_bytes,
            preemptions=self._preemptions,
            step_ms=round(statistics.median(times) * 1000, 3) if times else 0.0,
            batch_fill=round(self._decoded / max(1, self._decoding_passes), 2),
            host_share=round(1 - self._native_s / self._tick_s, 4) if self._tick_s else 0.0,
        )

    # Admitting.

    def _budget(self) -> int:
        if self._grid is not None:
            return self._grid
        return self._pacer.size(beside_decodes=self._scheduler.is_decoding)

    def _drop_cancelled(self) -> None:
        for sequence in [s for s in self._scheduler.running if s.cancelled.is_set()]:
            self._leave(sequence)
            sequence.close()
        waiting = self._scheduler.waiting
        for sequence in [s for s in waiting if s.cancelled.is_set()]:
            waiting.remove(sequence)
            sequence.close()

    def _admit(self) -> None:
        if self._scheduler.waiting:
            self._stop_background()
        for sequence in self._scheduler.candidates:
            if self._scheduler.is_full or not self._cache.has_free_slot:
                return
            if not self._shares_soon(sequence):
                self._scheduler.waiting.remove(sequence)
                self._start(sequence)
        if not self._scheduler.running and self._warm:
            session, token_ids = self._warm.popitem(last=False)
            request = GenerationRequest(session, token_ids, max_tokens=0)
            self._start(Sequence(request, self._backend, None, _nobody))

    def _start(self, sequence: Sequence) -> None:
        slot, num_cached = self._cache.allocate(sequence.request.session, sequence.token_ids)
        if sequence.num_cached is None and not sequence.is_background:
            self._cached += num_cached
        sequence.begin(slot, num_cached)
        self._scheduler.running.append(sequence)

    def _shares_soon(self, sequence: Sequence) -> bool:
        """Whether a prefix of it is being evaluated just now, so that it should wait for that."""
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

    def _stop_background(self) -> None:
        for sequence in [s for s in self._scheduler.running if s.is_background]:
            self._leave(sequence)

    def _close_gaps(self) -> None:
        self._gap_ticks = self._gap_ticks + 1 if self._cache.has_gap() else 0
        if self._gap_ticks < self._gap_patience:
            return
        for old, new in self._cache.compact():
            for sequence in self._scheduler.running:
                if sequence.slot is old:
                    sequence.slot = new

    # Evaluating.

    def _evaluate(self, works: list[Work]) -> None:
        """One pass: evaluate, then draw where a prompt or the last token is complete."""
        if not works:
            return None
        parts = [work.part() for work in works]
        try:
            with self._watched_step(parts):
                began = time.monotonic()
                self._backend.evaluate(parts)
        except NoRoom:
            return self._make_room(works)
        except EvaluationFailed as error:
            return self._isolate(works, error)
        took_s = time.monotonic() - began
        if len(works) == 1 and len(parts[0].token_ids) > 1:
            self._pacer.record(len(parts[0].token_ids), took_s)
        elif len(parts[0].token_ids) == 1:
            self._pacer.record_decodes(took_s)
        return self._advance(works, parts)

    def _advance(self, works: list[Work], parts: list[Part]) -> None:
        drawing: list[tuple[Sequence, TokenSampler]] = []
        for work, part in zip(works, parts, strict=True):
            sequence, slot = work.sequence, work.sequence.slot
            assert slot is not None
            if sequence.num_generated == 0 or len(part.token_ids) > 1:
                self._evaluated += len(part.token_ids)
            sequence.advance(slot, part.token_ids)
            if part.sampled and sequence.sampler is not None:
                drawing.append((sequence, sequence.sampler))
            elif sequence.num_remaining == 0:
                self._leave(sequence)
        if drawing:
            self._decoding_passes += 1
            self._decoded += len(drawing)
            self._draw(drawing)

    def _draw(self, drawing: list[tuple[Sequence, TokenSampler]]) -> None:
        """The next token of each reply; if there is none to be had, that is its end alone."""
        drawn = self._backend.draw([sampler for _, sampler in drawing])
        spoilt: list[tuple[Sequence, NotFinite]] = []
        for (sequence, _), token in zip(drawing, drawn, strict=True):
            if isinstance(token, NotFinite):
                spoilt.append((sequence, token))
            elif isinstance(token, EngineError):
                self._fail(sequence, token)
            else:
                self._generated += 1
                if sequence.take(token) or self._is_full(sequence):
                    self._leave(sequence)
        if spoilt:
            self._try_again(spoilt)

    def _is_full(self, sequence: Sequence) -> bool:
        if len(sequence.token_ids) < self._backend.slot_size:
            return False
        sequence.finish_at_once()
        return True

    @contextmanager
    def _watched_step(self, parts: list[Part]) -> Iterator[None]:
        self._watchdog.begin(sum(len(part.token_ids) for part in parts))
        try:
            yield
        finally:
            self._watchdog.end()
        self.steps += 1

    def _leave(self, sequence: Sequence) -> None:
        """It runs no longer; its slot keeps what was evaluated."""
        self._scheduler.running.remove(sequence)
        self._scheduler.is_full = False
        if sequence.slot is not None:
            self._cache.free(sequence.slot)
            sequence.slot = None

    # When a step does not succeed.

    def _make_room(self, works: list[Work]) -> None:
        """Swap out idle conversations, else shrink the chunks, else preempt the youngest reply."""
        if self._cache.swap_out_idle():
            return
        if all(len(work.part().token_ids) > 1 for work in works) and self._pacer.shrink():
            return
        running = self._scheduler.running
        if len(running) == 1:
            self._fail(running[0], EngineError("the KV cache is full"))
            return
        youngest = next(one for one in reversed(running) if not one.is_alone)
        self._preemptions += 1
        log.info("no room in the KV cache: one of %d replies waits", len(running))
        running.remove(youngest)
        self._cache.swap_out(_slot_of(youngest))
        youngest.slot = None
        self._scheduler.put_back(youngest)

    def _isolate(self, works: list[Work], error: EvaluationFailed) -> None:
        """Try each sequence of a failed step alone: only those that fail again are given up."""
        for work in works:
            self._cache.resync(_slot_of(work.sequence))
        if len(works) == 1:
            self._fail(works[0].sequence, error)
            return
        log.warning("a step of %d sequences failed (%s); trying each alone", len(works), error)
        for work in works:
            self._evaluate([work])

    def _try_again(self, spoilt: list[tuple[Sequence, NotFinite]]) -> None:
        """Evaluate replies afresh, in clean slots: they may be spoilt by what was there before.

        Whose prompt gives no numbers again fails.
        """
        self._cache.scrub([_slot_of(sequence) for sequence, _ in spoilt])
        for sequence, error in spoilt:
            if sequence.is_second_try:
                self._fail(sequence, error)
            else:
                log.warning("%s; its reply is evaluated once more", error)
                sequence.is_second_try = True

    def _fail(self, sequence: Sequence, error: EngineError) -> None:
        self._leave(sequence)
        sequence.fail(error)


def _slot_of(sequence: Sequence) -> Slot:
    assert sequence.slot is not None, "it runs"
    return sequence.slot


def _nobody(_item: object) -> None:
    """Who reads what a window that is evaluated ahead gives."""
