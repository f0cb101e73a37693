"""Converts a model file that this CPU runs slowly, once, to a type that it runs fast.

llama.cpp has fast matrix kernels only for some types. Weights of another type are converted to a
larger one that holds every value at least as exactly; docs/benchmarks/engine.md compares speed and
perplexity.
"""

import contextlib
import ctypes
import fcntl
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import llama_cpp

from worker.engine.devices import gpus
from worker.engine.model_file import (
    ModelError,
    fingerprint,
    metadata,
    purpose_of,
    without_weights,
)

log = logging.getLogger(__name__)

_LARGEST_BF16: Final = 2 << 30
"""Bytes; in a larger file, reading the weights costs more than the faster kernels gain."""
_ROOM: Final = 1.2
"""Free disk space required, as a multiple of the new file's size."""
_MEMORY_SHARE: Final = 0.6
"""Share of the usable memory that the new file may take."""


@dataclass(frozen=True, slots=True)
class WeightType:
    """A type to convert to; `ftype` is llama.cpp's number for it, `bits` are per weight."""

    name: str
    ftype: int
    bits: float


BF16: Final = WeightType("bf16", llama_cpp.LLAMA_FTYPE_MOSTLY_BF16, 16.0)
Q8_0: Final = WeightType("q8_0", llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, 8.5)

_SLOW: Final = (llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_1, llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_1)
"""Types without fast kernels."""


def fast_on_this_machine(path: Path, folder: Path, *, threads: int, memory: int) -> Path:
    """The model file to run: `path` itself, or what it was converted to, now or earlier.

    Nothing is converted if there is a GPU.

    Args:
        path: a GGUF file.
        folder: for converted files; created if it does not exist.
        threads: for the conversion.
        memory: usable bytes of this machine.

    Raises:
        ModelError: `path` is not a model.
    """
    ftype, num_weights = weights_of(path)
    if ftype not in _SLOW or gpus() or "-of-" in path.name:
        return path
    kind = choose_type(num_weights, system_info())
    target = folder / f"{path.stem}-{fingerprint(path)}-{kind.name}.gguf"
    size = round(num_weights * kind.bits / 8)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "convert.lock"):
            if target.exists():
                return target
            if (reason := _too_large(size, folder, memory)) is not None:
                log.warning("%s is not converted to a faster type: %s", path.name, reason)
                return path
            convert(path, target, kind, threads)
    except (OSError, ModelError) as error:
        log.warning("%s could not be converted to a faster type: %s", path.name, error)
        return path
    return target


def choose_type(num_weights: float, features: str) -> WeightType:
    """BF16 if the CPU can multiply it and the model is small, else Q8_0.

    Args:
        features: llama.cpp's description of the CPU.
    """
    has_bf16 = re.search(r"(AVX512_BF16|AMX_INT8) = 1", features) is not None
    small = num_weights * BF16.bits / 8 <= _LARGEST_BF16
    return BF16 if has_bf16 and small else Q8_0


def convert(path: Path, target: Path, kind: WeightType, threads: int) -> None:
    """Write `path` with other weights to `target`, which appears only when complete.

    Raises:
        ModelError: llama.cpp failed.
    """
    log.info("converting %s to %s, once", path.name, kind.name)
    began = time.monotonic()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.allow_requantize = kind.ftype, threads, True
    unfinished = target.with_suffix(f".{os.getpid()}.part")
    try:
        status = llama_cpp.llama_model_quantize(
            str(path).encode(), str(unfinished).encode(), ctypes.byref(params)
        )
        if status != 0:
            raise ModelError(f"llama_model_quantize: {status}")
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    log.info("converted in %.1f s", time.monotonic() - began)


def weights_of(path: Path) -> tuple[int | None, int]:
    """llama.cpp's number of a file's main weight type, if known, and the number of weights.

    Raises:
        ModelError: it is not a model, or none that can be used.
    """
    with without_weights(path) as model:
        purpose_of(model, path)
        # llama_model_ftype works only with all weights loaded.
        ftype = metadata(model, "general.file_type") or ""
        num_weights = int(llama_cpp.llama_model_n_params(model))
    return (int(ftype) if ftype.isdigit() else None), num_weights


def system_info() -> str:
    """llama.cpp's description of this machine."""
    return str(llama_cpp.llama_print_system_info().decode())


def _too_large(size: int, folder: Path, memory: int) -> str | None:
    if size > memory * _MEMORY_SHARE:
        return f"it would take {size >> 20} MiB of {memory >> 20} MiB of memory"
    free = shutil.disk_usage(folder).free
    if size * _ROOM > free:
        return f"it would take {size >> 20} MiB of {free >> 20} MiB left on the disk"
    return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time converts; several workers may start together."""
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
