"""The GPUs that llama.cpp's backends see."""

import ctypes
from typing import Final

from llama_cpp import _ggml

_TYPE_GPU: Final = 1
"""`GGML_BACKEND_DEVICE_TYPE_GPU`."""


def gpu_count() -> int:
    """How many GPUs this build of llama.cpp can use here."""
    library = _ggml.libggml
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    library.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    library.ggml_backend_dev_type.restype = ctypes.c_int
    devices = map(library.ggml_backend_dev_get, range(library.ggml_backend_dev_count()))
    return sum(library.ggml_backend_dev_type(device) == _TYPE_GPU for device in devices)
