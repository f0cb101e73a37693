"""Decoding with llama.cpp's samplers on the device, behind the last layer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import llama_cpp

from worker.engine.backend import Part
from worker.engine.batch import Batch
from worker.engine.devices import gpus
from worker.engine.model_file import load_model
from worker.engine.options import ModelOptions, context_params, model_params

CHUNK: Final = 512


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How tokens are drawn; `top_k` 0 is greedy."""

    name: str
    top_k: int
    on_device: bool


MODES: Final = (
    Mode(name="defaults, on the device", top_k=40, on_device=True),
    Mode(name="greedy, on the device", top_k=0, on_device=True),
)


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """Milliseconds of a step in all, and until its evaluation was complete."""

    total_ms: float
    decode_ms: float


class DeviceLoop:
    """A bare loop around `llama_decode`, with a chain for each slot.

    Args:
        options: of the model and the context.
        mode: where the chains are.
    """

    def __init__(self, options: ModelOptions, mode: Mode) -> None:
        llama_cpp.llama_backend_init()
        self._slots = range(options.slots)
        found = gpus()
        self._model = load_model(options.path, model_params(options, found))
        params = context_params(options, found)
        params.n_outputs_max, params.n_outputs_max_per_seq = options.slots, 1
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        self._batch = Batch(options.step_tokens)
        self._chains = [_chain(mode.top_k, seed=slot + 1) for slot in self._slots]
        self._length = 0
        self._tokens: list[int] = []
        if mode.on_device:
            for slot, chain in zip(self._slots, self._chains, strict=True):
                if not llama_cpp.llama_set_sampler(self._context, slot, chain):
                    raise RuntimeError("the samplers cannot be put on the device")

    def prefill(self, size: int, prompt_of: Callable[[int, int], tuple[int, ...]]) -> None:
        """Another prompt in each slot, and its first token."""
        for slot in self._slots:
            prompt = prompt_of(slot, size)
            for start in range(0, size, CHUNK):
                chunk = prompt[start : start + CHUNK]
                self._evaluate([Part(slot, start, chunk, start + len(chunk) == size)])
            self._tokens.append(self._draw(self._chains[slot], 0))
        self._length = size

    def steps(self, count: int) -> list[StepTime]:
        """A token in all slots, so many times."""
        return [self._step() for _ in range(count)]

    def _step(self) -> StepTime:
        began = time.perf_counter()
        parts = [Part(slot, self._length, [self._tokens[slot]], True) for slot in self._slots]
        self._evaluate(parts)
        evaluated = time.perf_counter()
        self._tokens = [self._draw(chain, slot) for slot, chain in enumerate(self._chains)]
        self._length += 1
        total_ms = (time.perf_counter() - began) * 1000
        return StepTime(total_ms=total_ms, decode_ms=(evaluated - began) * 1000)

    def _evaluate(self, parts: list[Part]) -> None:
        self._batch.fill(parts)
        status = llama_cpp.llama_decode(self._context, self._batch.struct)
        if status != 0:
            raise RuntimeError(f"llama_decode: {status}")
        llama_cpp.llama_synchronize(self._context)

    def _draw(self, chain: Any, output: int) -> int:
        return int(
            llama_cpp.llama_sampler_sample(chain, self._context, self._batch.outputs[output])
        )

    def close(self) -> None:
        """Free everything; the context lets go of the chains first."""
        llama_cpp.llama_free(self._context)
        for chain in self._chains:
            llama_cpp.llama_sampler_free(chain)
        llama_cpp.llama_model_free(self._model)


def _chain(top_k: int, seed: int) -> Any:
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    samplers = [llama_cpp.llama_sampler_init_greedy()]
    if top_k > 0:
        samplers = [
            llama_cpp.llama_sampler_init_top_k(top_k),
            llama_cpp.llama_sampler_init_top_p(0.95, 1),
            llama_cpp.llama_sampler_init_min_p(0.05, 1),
            llama_cpp.llama_sampler_init_temp(0.8),
            llama_cpp.llama_sampler_init_dist(seed),
        ]
    for sampler in samplers:
        llama_cpp.llama_sampler_chain_add(chain, sampler)
    return chain
