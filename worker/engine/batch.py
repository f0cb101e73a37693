"""A `llama_batch` over numpy arrays: filling it takes a microsecond, not a call per token."""

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt

from worker.engine.backend import Part


class Batch:
    """The tokens of one step, each of one slot.

    Args:
        size: the most tokens of a step.
    """

    def __init__(self, size: int) -> None:
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._num_slots = np.ones(size, np.int32)
        self._slot = np.zeros(size, np.int32)
        self._is_output = np.zeros(size, np.int8)
        self._slot_pointers = _pointers_into(self._slot)
        self.outputs: list[int] = []
        """Where in the batch tokens are drawn."""
        self.struct = llama_cpp.llama_batch()
        self.struct.token = _pointer(self._token, ctypes.c_int32)
        self.struct.embd = None
        self.struct.pos = _pointer(self._position, ctypes.c_int32)
        self.struct.n_seq_id = _pointer(self._num_slots, ctypes.c_int32)
        self.struct.seq_id = self._slot_pointers
        self.struct.logits = _pointer(self._is_output, ctypes.c_int8)

    def fill(self, parts: Sequence[Part]) -> None:
        """Replace the content; the parts' tokens must fit."""
        if all(part.sampled and len(part.token_ids) == 1 for part in parts):
            self._fill_with_decodes(parts)
        else:
            self._fill_with_any(parts)

    def fill_with_texts(self, texts: Sequence[Sequence[int]]) -> None:
        """Replace the content by whole texts, each in a slot of its own; all tokens are outputs."""
        end = 0
        for slot_id, text in enumerate(texts):
            begin, end = end, end + len(text)
            self._token[begin:end] = text
            self._position[begin:end] = np.arange(len(text))
            self._slot[begin:end] = slot_id
        self._is_output[:end] = 1
        self.outputs = list(range(end))
        self.struct.n_tokens = end

    def _fill_with_decodes(self, parts: Sequence[Part]) -> None:
        """A token of each slot, in one go: that is nearly every step."""
        end = len(parts)
        self._token[:end] = [part.token_ids[0] for part in parts]
        self._position[:end] = [part.start for part in parts]
        self._slot[:end] = [part.slot_id for part in parts]
        self._is_output[:end] = 1
        self.outputs = list(range(end))
        self.struct.n_tokens = end

    def _fill_with_any(self, parts: Sequence[Part]) -> None:
        end = 0
        self.outputs = []
        for part in parts:
            begin, end = end, end + len(part.token_ids)
            self._token[begin:end] = part.token_ids
            self._position[begin:end] = np.arange(part.start, part.start + end - begin)
            self._slot[begin:end] = part.slot_id
            self._is_output[begin:end] = 0
            self._is_output[end - part.num_outputs : end] = 1
            self.outputs += range(end - part.num_outputs, end)
        self.struct.n_tokens = end


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))


def _pointers_into(array: npt.NDArray[np.int32]) -> Any:
    """A pointer to each element: llama.cpp takes a list of slots for every token, ours have one."""
    kind = ctypes.POINTER(ctypes.c_int32)
    begin, step = array.ctypes.data, array.itemsize
    addresses = (begin + step * index for index in range(len(array)))
    return (kind * len(array))(*(ctypes.cast(address, kind) for address in addresses))
