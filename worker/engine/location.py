"""Where a model runs: its device, and how much of it lies there."""

from collections.abc import Sequence
from typing import Any

import llama_cpp

from worker.engine.devices import CPU, Device, devices, gpus
from worker.engine.options import ModelOptions
from worker.engine.placement import Placement


def device_of(options: ModelOptions, available: Sequence[Device]) -> Device:
    """The device that holds the model, with the memory left there now.

    Args:
        available: the GPUs of this machine.
    """
    on_gpu = available and options.gpu_layers != 0
    usable = gpus() if on_gpu else [device for device in devices() if device.kind == CPU]
    return usable[options.device % len(usable)]


def placement_of(
    model: Any, options: ModelOptions, available: Sequence[Device], *, has_flash_attention: bool
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
        flash_attention=has_flash_attention,
    )
