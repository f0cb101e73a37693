"""The devices that llama.cpp's backends see on this machine."""

import ctypes
import os
from dataclasses import dataclass
from typing import Final

from llama_cpp import _ggml

CPU: Final = 0
_GPU: Final = 1
_INTEGRATED_GPU: Final = 2
"""`GGML_BACKEND_DEVICE_TYPE_…`"""

_NO_GPUS: Final = ("CPU", "BLAS", "RPC")
"""Backends of llama.cpp that are not for GPUs."""

_SPLITS: Final = b"ggml_backend_split_buffer_type"
"""What a backend has that can."""

_TRACES: Final = {
    "cuda": ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/nvidiactl"),
    "hip": ("/dev/kfd",),
}
"""Files that GPU drivers create, by the build that uses them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A device of this build of llama.cpp.

    Args:
        name: llama.cpp's name, such as `CUDA0`.
        description: the product name.
        kind: `GGML_BACKEND_DEVICE_TYPE_…`.
        free_bytes, total_bytes: its memory, at the time of the question.
    """

    name: str
    description: str
    kind: int
    free_bytes: int
    total_bytes: int


def devices() -> list[Device]:
    """All devices of this build, the CPU included."""
    library = _library()
    handles = map(library.ggml_backend_dev_get, range(library.ggml_backend_dev_count()))
    return [_described(library, handle) for handle in handles]


def gpus() -> list[Device]:
    """The GPUs that models use; integrated ones only where there are no others."""
    available = devices()
    discrete = [device for device in available if device.kind == _GPU]
    return discrete or [device for device in available if device.kind == _INTEGRATED_GPU]


def why_no_gpu() -> str | None:
    """Why no GPU is used, in a sentence; None if one is, or none can be expected."""
    if gpus():
        return None
    if backends := gpu_backends():
        return (
            f"llama.cpp is built for {', '.join(backends)}, but finds no GPU that it can use (no "
            "driver, one older than the build asks for, or a variable that hides the GPU): the CPU "
            "does the work"
        )
    kind = next((kind for kind, paths in _TRACES.items() if any(map(os.path.exists, paths))), None)
    if kind is None:
        return None
    return (
        "there is a GPU in this machine, but llama.cpp is built for the CPU alone: "
        f"`make install GPU={kind}` builds it for the GPU"
    )


def describe() -> str:
    """What this build of llama.cpp runs on here, in one line."""
    available = gpus()
    if available:
        names = ", ".join(f"{device.description} ({device.name})" for device in available)
        return f"runs on {names}"
    return f"runs on the CPU: {why_no_gpu() or 'there is no GPU'}"


def gpu_backends() -> list[str]:
    """The kinds of GPU that llama.cpp is built for, present or not."""
    library = _library()
    handles = map(library.ggml_backend_reg_get, range(library.ggml_backend_reg_count()))
    names = (library.ggml_backend_reg_name(handle).decode() for handle in handles)
    return [name for name in names if name not in _NO_GPUS]


def can_split_rows() -> bool:
    """Whether llama.cpp's build for a kind of GPU can spread each layer over several."""
    library = _library()
    handles = map(library.ggml_backend_reg_get, range(library.ggml_backend_reg_count()))
    return any(library.ggml_backend_reg_get_proc_address(handle, _SPLITS) for handle in handles)


def _described(library: ctypes.CDLL, handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    library.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    return Device(
        name=library.ggml_backend_dev_name(handle).decode("utf-8", "replace"),
        description=library.ggml_backend_dev_description(handle).decode("utf-8", "replace"),
        kind=library.ggml_backend_dev_type(handle),
        free_bytes=free.value,
        total_bytes=total.value,
    )


def _library() -> ctypes.CDLL:
    """The library with the signatures of the functions used here, which the bindings lack."""
    library: ctypes.CDLL = _ggml.libggml
    size_pointer = ctypes.POINTER(ctypes.c_size_t)
    library.ggml_backend_reg_count.restype = ctypes.c_size_t
    library.ggml_backend_reg_get.argtypes = [ctypes.c_size_t]
    library.ggml_backend_reg_get.restype = ctypes.c_void_p
    library.ggml_backend_reg_name.argtypes = [ctypes.c_void_p]
    library.ggml_backend_reg_name.restype = ctypes.c_char_p
    library.ggml_backend_reg_get_proc_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    for name, result in (("type", ctypes.c_int), ("name", ctypes.c_char_p)):
        function = getattr(library, f"ggml_backend_dev_{name}")
        function.argtypes, function.restype = [ctypes.c_void_p], result
    library.ggml_backend_dev_description.argtypes = [ctypes.c_void_p]
    library.ggml_backend_dev_description.restype = ctypes.c_char_p
    library.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p, size_pointer, size_pointer]
    library.ggml_backend_dev_memory.restype = None
    return library


if __name__ == "__main__":
    print(describe())
