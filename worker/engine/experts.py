"""Mixtures of experts on a GPU: whose experts stay with the CPU.

Experts are most of such a model's weights, and few of them take part in a token: a CPU is fast
enough for them while everything else is on the GPU.
"""

import ctypes
from typing import Any, Final

from llama_cpp import _ggml

_EXPERTS: Final = r"\.ffn_(?:up|down|gate|gate_up)_(?:ch|)exps"
"""In the names of their tensors, those that all tokens share apart."""


class _Override(ctypes.Structure):
    """`llama_model_tensor_buft_override`, which the bindings lack."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


def keep_on_cpu(params: Any, layers: int) -> None:
    """Have the experts of the first layers stay with the CPU.

    Args:
        params: of a model that is to be loaded; they own what they point to.
        layers: -1 is all.
    """
    if not layers:
        return
    library = _ggml.libggml
    library.ggml_backend_cpu_buffer_type.restype = ctypes.c_void_p
    # Ends with an empty one.
    overrides = (_Override * 2)(
        _Override(tensors_of_experts(layers).encode(), library.ggml_backend_cpu_buffer_type())
    )
    params.tensor_buft_overrides = ctypes.addressof(overrides)
    params.owned_overrides = overrides


def tensors_of_experts(layers: int) -> str:
    """A regular expression for the tensors of the experts in the first layers; -1 is all."""
    if layers < 0:
        return _EXPERTS
    return rf"^blk\.(?:{'|'.join(map(str, range(layers)))}){_EXPERTS}"
