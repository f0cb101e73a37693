"""llama.cpp's low-level API behind a small class: evaluation in slots, their states, samplers.

The only file that decodes. Nothing here is safe to call from two threads, except for `vocabulary`.
"""

import ctypes
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import llama_cpp
import numpy as np
import numpy.typing as npt

from worker.engine.adapters import use_adapters
from worker.engine.backend import EvaluationFailed, NoRoom, Part, State, TokenSampler
from worker.engine.batch import Batch
from worker.engine.constraint import Constraints
from worker.engine.devices import Device, gpus
from worker.engine.drawing import Drawer, compiled
from worker.engine.interface import EngineError, SamplingOptions
from worker.engine.library_log import listening
from worker.engine.location import device_of, has_flash_attention, placement_of
from worker.engine.model_file import (
    ModelError,
    cache_bytes,
    check_purpose,
    load_model,
    longest_window,
    window_of,
)
from worker.engine.options import ModelOptions, context_params, model_params, refuses_type
from worker.engine.recommended import recommended_sampling
from worker.engine.sampler import Sampler, draw_all
from worker.engine.vocabulary import ModelVocabulary

log = logging.getLogger(__name__)

_NO_SLOT: Final = 1
_INVALID_BATCH: Final = -1
_MOST_DRAWING: Final = 4
"""Threads that read logits; more than that wait for each other (docs/benchmarks/gpu.md)."""
_WARM_UP: Final = 32
"""Tokens; few, for slow machines."""


class LlamaModel:
    """A loaded model with one evaluation context.

    Raises:
        ModelError: the file is missing, damaged, or does not fit into memory.
    """

    def __init__(self, options: ModelOptions) -> None:
        self.num_slots = options.slots
        self.batch_size = options.step_tokens
        self.packed = not options.unified
        self.native_s = 0.0
        self.decode_s = 0.0
        """Seconds of evaluation alone; `native_s` includes drawing and states."""
        self.draw_s = 0.0
        llama_cpp.llama_backend_init()
        available = gpus()
        self._model = load_model(options.path, model_params(options, available))
        check_purpose(self._model, options.path, "text")
        self.slot_size, warning = window_of(self._model, options.window)
        if warning is not None:
            log.warning("%s", warning)
        options = replace(options, window=self.slot_size)
        self.context = self._make_context(options, available)
        self.placement = placement_of(
            self._model, options, available, flash_attention=self._has_flash_attention
        )
        self._memory = llama_cpp.llama_get_memory(self.context)
        self.vocabulary = ModelVocabulary(self._model)
        self.constraints = Constraints(self.vocabulary)
        self.context_length = longest_window(self._model)
        self.recommended, remarks = recommended_sampling(self._model)
        for remark in remarks:
            log.warning("%s: %s", options.path.name, remark)
        self.piece_of, self.is_end = self.vocabulary.piece_of, self.vocabulary.is_end
        self.text_of_control = self.vocabulary.text_of_control
        self.window = int(llama_cpp.llama_model_n_swa(self._model))
        is_on_gpu = self.placement.offloaded > 0
        self._copies_in_place = self._can_copy_in_place(options, is_on_gpu=is_on_gpu)
        self.copies_fast = self._copies_in_place and (is_on_gpu or bool(options.device_copies))
        self._copying: set[int] = set()
        self._batch = Batch(self.batch_size)
        self._logits: npt.NDArray[np.float32] | None = None
        self.drawer = Drawer(_drawing_threads(options, is_on_gpu=is_on_gpu), compiled())

    def _make_context(self, options: ModelOptions, available: Sequence[Device]) -> Any:
        params = context_params(options, available)
        needed, device = cache_bytes(self._model, options), device_of(options, available)
        size = (
            f"{options.slots} conversations of {options.window} tokens take about "
            f"{needed >> 20:,} MiB (PALAVER_SLOTS, PALAVER_CONTEXT_LENGTH)"
        )
        if needed > device.free_bytes:
            log.warning(
                "%s, and %d MiB are free on %s", size, device.free_bytes >> 20, device.description
            )
        with listening() as messages:
            context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            reason = messages.reason or "there is no context"
            cause = f"PALAVER_KV_TYPE={options.kv_type}" if refuses_type(reason) else size
            raise ModelError(f"{options.path}: {cause}: {reason}")
        if not llama_cpp.llama_get_memory(context):
            raise ModelError(f"{options.path}: this model remembers nothing and cannot chat")
        use_adapters(self._model, context, options.adapters)
        self._has_flash_attention = has_flash_attention(params, messages)
        return context

    def _can_copy_in_place(self, options: ModelOptions, *, is_on_gpu: bool) -> bool:
        """Whether slots are copied in place.

        That copies a slot's whole buffer: much faster than through the host on a GPU, and slower
        than copying the tokens in it on a CPU; but a saved state lacks what a sliding window has
        passed, and a copy does not. States that are no caches cannot be taken back.
        """
        wanted = options.device_copies
        if wanted is None:
            wanted = is_on_gpu or self.window > 0
        return wanted and self.can_truncate and self.packed

    @property
    def can_truncate(self) -> bool:
        """Whether it keeps nothing but caches: no part of a recurrent model's state is undone."""
        return not (
            llama_cpp.llama_model_is_recurrent(self._model)
            or llama_cpp.llama_model_is_hybrid(self._model)
        )

    def warm_up(self) -> tuple[int, float]:
        """Evaluate something useless: the first steps are slow until all weights were read.

        Returns:
            Tokens of a step, and the seconds that they took.
        """
        size = min(_WARM_UP, self.batch_size, self.slot_size)
        part, seconds = Part(0, 0, [0] * size, True), 0.0
        for _ in range(2):
            began = time.monotonic()
            self.evaluate([part])
            seconds = time.monotonic() - began
            self.clear(0)
        return size, seconds

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return self.vocabulary.tokenize(text, special=special, continues=True)

    def make_sampler(self, options: SamplingOptions) -> Sampler:
        return Sampler(self.vocabulary, options, lambda grammar: self.constraints.of(grammar))

    def evaluate(self, parts: Sequence[Part]) -> None:
        count = sum(len(part.token_ids) for part in parts)
        if not 0 < count <= self.batch_size:
            # More would abort the process.
            raise EvaluationFailed(f"a step of {count} tokens; allowed are 1 to {self.batch_size}")
        self._batch.fill(parts)
        self._logits = None
        began = time.monotonic()
        with self._native():
            status = llama_cpp.llama_decode(self.context, self._batch.struct)
            # A GPU is only told what to do by then: without this, a step's time, the prompts'
            # pace and a hung device would show wherever its results are first looked at.
            llama_cpp.llama_synchronize(self.context)
        self.decode_s += time.monotonic() - began
        if status != _INVALID_BATCH:
            # Copies are made before anything else.
            self._copying.clear()
        if status == _NO_SLOT:
            raise NoRoom("the KV cache is full")
        if status != 0:
            raise EvaluationFailed(f"llama_decode: {status}")

    def draw(
        self, samplers: Sequence[TokenSampler], outputs: Sequence[int] | None = None
    ) -> list[int | EngineError]:
        ours = [sampler for sampler in samplers if isinstance(sampler, Sampler)]
        began = time.monotonic()
        with self._native():
            rows = _rows_at(self.logits(), range(len(ours)) if outputs is None else outputs)
            tokens = draw_all(rows, ours, self.drawer)
        self.draw_s += time.monotonic() - began
        return tokens

    @property
    def outputs(self) -> list[int]:
        """Where in the last step's batch tokens are drawn."""
        return self._batch.outputs

    def logits(self) -> npt.NDArray[np.float32]:
        """The last step's logits: outputs × vocabulary, a view valid until the next step."""
        if self._logits is None:
            pointer = llama_cpp.llama_get_logits(self.context)
            shape = (len(self._batch.outputs), self.vocabulary.size)
            self._logits = np.ctypeslib.as_array(pointer, shape=shape)
        return self._logits

    def save(self, slot_id: int) -> State:
        self._settle(slot_id)
        with self._native():
            size = llama_cpp.llama_state_seq_get_size(self.context, slot_id)
            state = np.empty(size, np.uint8)
            written = llama_cpp.llama_state_seq_get_data(
                self.context, _bytes_at(state), size, slot_id
            )
        return state[:written]

    def load(self, slot_id: int, state: State) -> bool:
        assert isinstance(state, np.ndarray)
        self._settle(slot_id)
        with self._native():
            read = llama_cpp.llama_state_seq_set_data(
                self.context, _bytes_at(state), len(state), slot_id
            )
        if not read:
            self.clear(slot_id)
        return bool(read)

    def copy(self, source: int, target: int) -> bool:
        if not self._copies_in_place:
            return self.load(target, self.save(source))
        with self._native():
            llama_cpp.llama_memory_seq_cp(self._memory, source, target, -1, -1)
        # The cells are assigned at once; their contents follow with the next evaluation.
        self._copying |= {source, target}
        return True

    def _settle(self, slot_id: int) -> None:
        """Make sure that a slot's content has been copied, with a useless evaluation if need be.

        Raises:
            EvaluationFailed: no slot has room for a token.
        """
        if slot_id not in self._copying:
            return
        for candidate in range(self.num_slots):
            length = llama_cpp.llama_memory_seq_pos_max(self._memory, candidate) + 1
            if length < self.slot_size:
                self.evaluate([Part(candidate, length, [0], False)])
                self.truncate(candidate, length)
                return
        raise EvaluationFailed("no slot has room left")

    def first(self, slot_id: int) -> int:
        position = int(llama_cpp.llama_memory_seq_pos_min(self._memory, slot_id))
        # A saved state that was cut back beyond its window has nothing left: no length is complete.
        return position if position >= 0 else self.slot_size

    def truncate(self, slot_id: int, length: int) -> bool:
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, slot_id, length, -1))

    def clear(self, slot_id: int) -> None:
        llama_cpp.llama_memory_seq_rm(self._memory, slot_id, -1, -1)

    def wipe(self) -> None:
        with self._native():
            llama_cpp.llama_memory_clear(self._memory, True)
        self._copying.clear()

    @contextmanager
    def _native(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.native_s += time.monotonic() - began

    def close(self) -> None:
        """Free everything."""
        self.drawer.close()
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self._model)


def _rows_at(logits: npt.NDArray[np.float32], numbers: Sequence[int]) -> npt.NDArray[np.float32]:
    """Rows in ascending order; neighbours, as in nearly every step, without copying them."""
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return logits[numbers[0] : numbers[-1] + 1]
    return logits[list(numbers)]


def _bytes_at(state: npt.NDArray[np.uint8]) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def _drawing_threads(options: ModelOptions, *, is_on_gpu: bool) -> int:
    """Threads that draw tokens.

    Where the CPU evaluates, its threads wait awake for the next step, on the cores that these
    would need.
    """
    if options.drawing_threads is not None:
        return options.drawing_threads
    return min(_MOST_DRAWING, options.threads) if is_on_gpu else 1
