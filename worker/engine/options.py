"""How a model is loaded, as options of ours and as llama.cpp's parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import llama_cpp

from worker.engine.devices import Device
from worker.engine.experts import keep_on_cpu

KvType = Literal["f16", "q8_0"]
Split = Literal["none", "layer", "row"]
LoadMode = Literal["auto", "none", "mmap", "mlock", "mmap+mlock"]

_KV_TYPES: Final[dict[KvType, int]] = {
    "f16": llama_cpp.GGML_TYPE_F16,
    "q8_0": llama_cpp.GGML_TYPE_Q8_0,
}
_TYPE_REFUSALS: Final = ("cache type", "quantized V cache")
"""In what llama.cpp logs where a model's heads, or its attention, do not go with them."""
_SPLITS: Final[dict[Split, int]] = {
    "none": llama_cpp.LLAMA_SPLIT_MODE_NONE,
    "layer": llama_cpp.LLAMA_SPLIT_MODE_LAYER,
    "row": llama_cpp.LLAMA_SPLIT_MODE_ROW,
}
_LOAD_MODES: Final[dict[LoadMode, int]] = {
    "auto": llama_cpp.LLAMA_LOAD_MODE_AUTO,
    "none": llama_cpp.LLAMA_LOAD_MODE_NONE,
    "mmap": llama_cpp.LLAMA_LOAD_MODE_MMAP,
    "mlock": llama_cpp.LLAMA_LOAD_MODE_MLOCK,
    "mmap+mlock": llama_cpp.LLAMA_LOAD_MODE_MMAP_MLOCK,
}
_MOST_BESIDE_GPU: Final = 4
"""Threads that look up embeddings; these take less than a millisecond for 512 tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter:
    """A LoRA file; what it adds to the weights is multiplied by `scale`."""

    path: Path
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How to load a model.

    Args:
        path: the GGUF file.
        window: tokens of prompt and reply together: the size of a slot. It is never more than the
            model was trained for; 0 is just that.
        threads: for evaluation on the CPU.
        slots: conversations that the KV cache holds.
        gpu_layers: layers to put on the GPU; -1 is all. Without a GPU build it has no effect.
        device: number of the GPU, from 0, modulo the number of GPUs; of no account if the model is
            split over all of them.
        batch: the most tokens evaluated in one step.
        unified: slots share one KV buffer instead of having one each (docs/decisions/0010).
        flash_attention: None chooses the faster way: on where a GPU supports it, off on a CPU,
            unless `kv_type` needs it.
        device_copies: copy slots in place, not through the host; None chooses the faster way.
        drawing_threads: for drawing tokens; None chooses the faster way.
        gpu_threads: for what the CPU evaluates if all layers are on a GPU; None chooses the faster
            way.
        kv_type: of the numbers in the KV cache; a quantized one needs flash attention. Embeddings
            are made without: nothing of their texts is kept.
        split: whether one GPU holds the model, or all of them some layers, or some rows of each.
        cpu_moe: in how many of the first layers experts stay with the CPU; -1 is all.
        load_mode: how weights come into host memory.
        adapters: LoRA files.
        fitted: which of these numbers are smaller than wanted, so that it fits; empty if none is.
    """

    path: Path
    window: int
    threads: int
    slots: int = 1
    gpu_layers: int = -1
    device: int = 0
    batch: int = 512
    unified: bool = False
    flash_attention: bool | None = None
    device_copies: bool | None = None
    drawing_threads: int | None = None
    gpu_threads: int | None = None
    kv_type: KvType = "f16"
    split: Split = "none"
    cpu_moe: int = 0
    load_mode: LoadMode = "auto"
    adapters: tuple[Adapter, ...] = ()
    fitted: str = ""

    @property
    def step_tokens(self) -> int:
        """The most tokens of a step; one token of each slot must fit, or llama.cpp aborts."""
        return max(self.batch, self.slots)


def context_params(options: ModelOptions, available: Sequence[Device]) -> Any:
    """llama.cpp's parameters for a context.

    Args:
        available: the GPUs of this machine.
    """
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = options.window * options.slots
    params.n_batch = params.n_ubatch = options.step_tokens
    params.n_seq_max = options.slots
    params.kv_unified = options.unified
    params.flash_attn_type = _flash_attention(options, available)
    params.type_k = params.type_v = _KV_TYPES[options.kv_type]
    # Full caches also for sliding windows: slots are cut and continued anywhere.
    params.swa_full = True
    # The first is for single tokens, the second for everything longer.
    params.n_threads = params.n_threads_batch = _threads(options, available)
    params.no_perf = True
    return params


def embedding_params(options: ModelOptions, available: Sequence[Device], *, splits: bool) -> Any:
    """llama.cpp's parameters for a context that makes embeddings.

    Args:
        available: the GPUs of this machine.
        splits: whether a text may be evaluated in stretches. Otherwise all of it must fit one
            evaluation, as each token looks at all others.
    """
    params = llama_cpp.llama_context_default_params()
    # Multiples of the number of texts: llama.cpp plans for passes that these share evenly, and
    # aborts where such a pass does not fit.
    longest = max(options.step_tokens, options.window)
    params.n_ctx = params.n_batch = _multiple(longest, options.slots)
    params.n_ubatch = _multiple(options.step_tokens, options.slots) if splits else params.n_batch
    params.n_seq_max = options.slots
    # Texts share one buffer, whatever their lengths.
    params.kv_unified = True
    params.embeddings = True
    # For whole texts it is faster on CPUs, too, and needs no matrix of the text's length squared.
    params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO
    if options.flash_attention is not None:
        params.flash_attn_type = _flash_attention(options, available)
    params.n_threads = params.n_threads_batch = _threads(options, available)
    params.no_perf = True
    return params


def refuses_type(reason: str) -> bool:
    """Whether llama.cpp makes no context because of the numbers in its KV cache."""
    return any(words in reason for words in _TYPE_REFUSALS)


def _multiple(number: int, of: int) -> int:
    """The smallest multiple that is not less than a number."""
    return -(-number // of) * of


def model_params(options: ModelOptions, available: Sequence[Device]) -> Any:
    """llama.cpp's parameters for a model; as much as is wished goes to the `available` GPUs."""
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = options.gpu_layers if available else 0
    params.load_mode = _LOAD_MODES[options.load_mode]
    if available:
        params.split_mode = _SPLITS[options.split]
        params.main_gpu = options.device % len(available) if options.split == "none" else 0
        keep_on_cpu(params, options.cpu_moe)
    return params


def _threads(options: ModelOptions, available: Sequence[Device]) -> int:
    # Tokens' embeddings are looked up on the CPU, and nothing else. Its threads then wait awake for
    # the rest of the step, on cores that those that draw need.
    if not available or options.gpu_layers >= 0 or options.cpu_moe:
        return options.threads
    if options.gpu_threads is not None:
        return options.gpu_threads
    return max(1, min(_MOST_BESIDE_GPU, options.threads // 4))


def _flash_attention(options: ModelOptions, available: Sequence[Device]) -> int:
    # The CPU's kernel is much slower for short chunks (docs/benchmarks/engine.md).
    if options.flash_attention is None and available and options.gpu_layers != 0:
        return int(llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO)
    if options.flash_attention or (options.flash_attention is None and options.kv_type != "f16"):
        return int(llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED)
    return int(llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED)
