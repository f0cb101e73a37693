"""Measures what a model will take before it is loaded.

llama.cpp lays it out without memory and says what it would allocate, which holds for every
architecture; the weights of each layer are in the file's list of tensors.
"""

import ctypes
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import llama_cpp
from llama_cpp import _ggml

from worker.engine.devices import Device
from worker.engine.experts import tensors_of_experts
from worker.engine.fit import Footprint, Layer
from worker.engine.library_log import LibraryMessages, listening
from worker.engine.model_file import load_model, window_of
from worker.engine.options import ModelOptions, context_params, model_params

log = logging.getLogger(__name__)

_CACHE: Final = re.compile(r"^llama_(?:kv_cache|memory)\w*: .*\bsize = +([\d.]+) MiB \(")
_COMPUTE: Final = re.compile(r": +(\S+) compute buffer size = +([\d.]+) MiB")
_OUTPUT: Final = re.compile(r" output buffer size = +([\d.]+) MiB")
_WEIGHTS: Final = re.compile(r": +(\S+) model buffer size = ")
_PACKED: Final = frozenset({"CPU_REPACK", "CPU_HBM", "AMX"})
"""Buffers of weights that the CPU has packed for itself."""
_EMBEDDINGS: Final = "token_embd"
_LAYER: Final = re.compile(r"^blk\.(\d+)\.")
_PART: Final = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")
_MEBIBYTE: Final = 1 << 20


def measure(options: ModelOptions, available: Sequence[Device]) -> Footprint | None:
    """What the model takes on these GPUs with all layers there; None if that cannot be said.

    Raises:
        ModelError: it cannot be loaded.
    """
    messages = _laid_out(options, available)
    if messages is None:
        return None
    compute: Counter[bool] = Counter()
    for name, size in messages.matches(_COMPUTE):
        compute[_is_host(name)] += _bytes(size)
    outputs = sum(_bytes(size) for (size,) in messages.matches(_OUTPUT))
    caches = sum(_bytes(size) for (size,) in messages.matches(_CACHE))
    tensors = dict(_tensors(options.path))
    buffers = {name for (name,) in messages.matches(_WEIGHTS)}
    # What is packed is no page of the file any more.
    is_mapped = options.load_mode in ("auto", "mmap") and not any(
        name.startswith("CPU_") for name in buffers
    )
    return Footprint(
        layers=_layers(tensors, options),
        embeddings=sum(size for name, size in tensors.items() if _EMBEDDINGS in name),
        copied=0 if "output.weight" in tensors else tensors.get(f"{_EMBEDDINGS}.weight", 0),
        kv=caches,
        compute=compute[False],
        host_compute=compute[True] + outputs * options.slots,
        largest=max(tensors.values(), default=0),
        is_mapped=is_mapped,
    )


def _laid_out(options: ModelOptions, available: Sequence[Device]) -> LibraryMessages | None:
    """What llama.cpp logs of a model and a context without memory; None if it makes none."""
    params = model_params(replace(options, gpu_layers=-1, load_mode="none"), available)
    params.no_alloc = True
    with listening(quietly=True) as messages:
        model = load_model(options.path, params)
        try:
            window, _ = window_of(model, options.window)
            # Of one slot: llama.cpp keeps books on each token of a cache, and these take memory.
            options = replace(options, window=window, slots=1, batch=options.step_tokens)
            context = llama_cpp.llama_init_from_model(model, context_params(options, available))
            if not context:
                return None  # loading it will say why
            llama_cpp.llama_free(context)
        finally:
            llama_cpp.llama_model_free(model)
    return messages


def _layers(tensors: dict[str, int], options: ModelOptions) -> tuple[Layer, ...]:
    """The weights of each layer, the output's as the last."""
    weights: Counter[int] = Counter()
    kept: Counter[int] = Counter()
    experts = re.compile(tensors_of_experts(options.cpu_moe)) if options.cpu_moe else None
    output = 0
    for name, size in tensors.items():
        if (layer := _LAYER.match(name)) is not None:
            is_kept = experts is not None and experts.search(name) is not None
            (kept if is_kept else weights)[int(layer[1])] += size
        elif _EMBEDDINGS not in name:
            output += size
    layers = [
        Layer(weights=weights[number], kept=kept[number])
        for number in range(max([*weights, *kept], default=-1) + 1)
    ]
    return (*layers, Layer(weights=output))


def _tensors(path: Path) -> Iterator[tuple[str, int]]:
    """Names and sizes of the tensors of a model file, and of those that belong to it."""
    library = _gguf()
    for file in _parts(path):
        handle = library.gguf_init_from_file(str(file).encode(), _Init(True, None))
        if not handle:
            continue
        try:
            for number in range(library.gguf_get_n_tensors(handle)):
                name = library.gguf_get_tensor_name(handle, number)
                yield name.decode(), library.gguf_get_tensor_size(handle, number)
        finally:
            library.gguf_free(handle)


def _parts(path: Path) -> list[Path]:
    """The files of a model that is split into several, or its only one."""
    part = _PART.search(path.name)
    if part is None:
        return [path]
    stem, count = path.name[: part.start()], int(part[1])
    return [path.with_name(f"{stem}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1)]


class _Init(ctypes.Structure):
    """`gguf_init_params`."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p))


def _gguf() -> Any:
    """The library with the signatures of the functions used here, which the bindings lack."""
    library = _ggml.libggml
    library.gguf_init_from_file.argtypes = [ctypes.c_char_p, _Init]
    library.gguf_init_from_file.restype = ctypes.c_void_p
    library.gguf_get_n_tensors.argtypes = [ctypes.c_void_p]
    library.gguf_get_n_tensors.restype = ctypes.c_int64
    for name, result in (("name", ctypes.c_char_p), ("size", ctypes.c_size_t)):
        function = getattr(library, f"gguf_get_tensor_{name}")
        function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_int64], result
    library.gguf_free.argtypes = [ctypes.c_void_p]
    library.gguf_free.restype = None
    return library


def _is_host(buffer: str) -> bool:
    """Whether a buffer of this name is in host memory: such as `CPU` or `CUDA_Host`."""
    return buffer.startswith("CPU") or buffer.endswith("_Host")


def _bytes(mebibytes: str) -> int:
    return round(float(mebibytes) * _MEBIBYTE)
