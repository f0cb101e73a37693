"""LoRA files: loaded with a model, they change every token that it evaluates."""

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp

from worker.engine.interface import EngineError
from worker.engine.library_log import listening
from worker.engine.options import Adapter


class AdapterError(EngineError):
    """A LoRA file cannot be used with this model."""


def use_adapters(model: Any, context: Any, adapters: Sequence[Adapter]) -> None:
    """Have a context evaluate with these; they are freed with the model.

    Raises:
        AdapterError: one of them does not belong to this model.
    """
    if not adapters:
        return
    handles = [_load(model, adapter) for adapter in adapters]
    scales = [adapter.scale for adapter in adapters]
    status = llama_cpp.llama_set_adapters_lora(
        context,
        (llama_cpp.llama_adapter_lora_p_ctypes * len(handles))(*handles),
        len(handles),
        (ctypes.c_float * len(scales))(*scales),
    )
    if status != 0:
        raise AdapterError(f"PALAVER_LORA: llama_set_adapters_lora: {status}")


def _load(model: Any, adapter: Adapter) -> Any:
    # It warns of every tensor that it does not pack for the CPU.
    with listening(quietly=True) as messages:
        handle = llama_cpp.llama_adapter_lora_init(model, str(adapter.path).encode())
    if not handle:
        raise AdapterError(f"PALAVER_LORA={adapter.path}: it cannot be used: {messages.reason}")
    if llama_cpp.llama_adapter_get_alora_n_invocation_tokens(handle):
        raise AdapterError(
            f"PALAVER_LORA={adapter.path}: it is to begin only behind certain tokens (an activated "
            "LoRA), which is not supported"
        )
    return handle
