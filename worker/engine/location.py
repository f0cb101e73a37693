"""Where a model runs: its device, and how much of it lies there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import llama_cpp

from worker.engine.devices import CPU, Device, devices, gpus
from worker.engine.library_log import LibraryMessages
from worker.engine.options import ModelOptions
from worker.engine.placement import Placement

_FLASH_ATTENTION_ON: Final = "Flash Attention enabled"
"""What llama.cpp logs if it made the choice."""


def has_flash_attention(params: Any, messages: LibraryMessages) -> bool:
    """Whether a context with these parameters uses it, after these messages of its making."""
    is_certain = params.flash_attn_type == llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
    return is_certain or messages.contain(_FLASH_ATTENTION_ON)


def device_of(options: ModelOptions, available: Sequence[Device]) -> Device:
    """The device that holds the model, with the memory left there now; several as one.

    Args:
        available: the GPUs of this machine.
    """
    on_gpu = available and options.gpu_layers != 0
    if on_gpu and options.split != "none":
        return _together(gpus())
    usable = gpus() if on_gpu else [device for device in devices() if device.kind == CPU]
    return usable[options.device % len(usable)]


def _together(several: Sequence[Device]) -> Device:
    """GPUs over which a model is split, as if they were one."""
    kinds = Counter(device.description for device in several)
    names = (f"{count} × {name}" if count > 1 else name for name, count in kinds.items())
    return replace(
        several[0],
        description=", ".join(names),
        free_bytes=sum(device.free_bytes for device in several),
        total_bytes=sum(device.total_bytes for device in several),
    )


def placement_of(
    model: Any, options: ModelOptions, available: Sequence[Device], *, flash_attention: bool
) -> Placement:
    """What a loaded model runs on, for people."""
    layers = int(llama_cpp.llama_model_n_layer(model)) + 1
    wanted = layers if options.gpu_layers < 0 else min(options.gpu_layers, layers)
    device = device_of(options, available)
    return Placement(
        device=device.description,
        total_bytes=device.total_bytes,
        free_bytes=device.free_bytes,
        layers=layers,
        offloaded=wanted if available else 0,
        flash_attention=flash_attention,
        fitted=options.fitted,
    )
