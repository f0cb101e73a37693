"""What it costs to move a conversation from one slot to another, by each way that there is."""

import ctypes
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import llama_cpp
import numpy as np

from bench.gpu.engine_run import timed_ms, triple
from worker.engine.backend import Part
from worker.engine.model import LlamaModel

REPEATS: Final = 5


def ways(model: LlamaModel, tokens: int) -> Iterator[dict[str, Any]]:
    """Each way, with the time of the move and of the first step behind it.

    Args:
        model: its first slot holds `tokens`, another is free.
        tokens: of the conversation that is moved.
    """
    moves: dict[str, Callable[[LlamaModel, int, int], object]] = {
        "through the host": through_host,
        "on the device": on_device,
        "between streams": between_streams,
    }
    usual = triple([step_ms(model, 0, tokens) for _ in range(REPEATS)])
    yield {"way": "none", "tokens": tokens, "move_ms": (0.0, 0.0, 0.0), "next_step_ms": usual}
    for name, move in moves.items():
        moved, stepped = [], []
        for number in range(REPEATS):
            source, target = number % 2, (number + 1) % 2
            moved.append(timed_ms(move, model, source, target))
            model.clear(source)
            stepped.append(step_ms(model, target, tokens))
        if REPEATS % 2:
            # Back to where the next way begins.
            through_host(model, 1, 0)
            model.clear(1)
        yield {
            "way": name,
            "tokens": tokens,
            "move_ms": triple(moved),
            "next_step_ms": triple(stepped),
        }


def step_ms(model: LlamaModel, slot: int, tokens: int) -> float:
    """A token behind the conversation, taken back."""
    began = time.perf_counter()
    model.evaluate([Part(slot, tokens, [300], True)])
    ms = (time.perf_counter() - began) * 1000
    model.truncate(slot, tokens)
    return ms


def through_host(model: LlamaModel, source: int, target: int) -> None:
    model.load(target, model.save(source))


def on_device(model: LlamaModel, source: int, target: int) -> None:
    flags = llama_cpp.LLAMA_STATE_SEQ_FLAGS_ON_DEVICE
    size = llama_cpp.llama_state_seq_get_size_ext(model.context, source, flags)
    state = np.empty(size, np.uint8)
    pointer = state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
    llama_cpp.llama_state_seq_get_data_ext(model.context, pointer, size, source, flags)
    llama_cpp.llama_state_seq_set_data_ext(model.context, pointer, size, target, flags)


def between_streams(model: LlamaModel, source: int, target: int) -> None:
    """The copy itself is part of the next step."""
    memory = llama_cpp.llama_get_memory(model.context)
    llama_cpp.llama_memory_seq_cp(memory, source, target, -1, -1)
