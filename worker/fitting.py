"""Fits a model into this machine's memory before it is loaded."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.config import Settings
from shared.environment import WORKERS_VARIABLE
from shared.process.machine import free_memory, usable_memory
from worker.engine.devices import Device, gpus
from worker.engine.fit import (
    UNLIMITED,
    Choice,
    Footprint,
    Memory,
    Wishes,
    changed,
    choose,
    describe,
)
from worker.engine.footprint import measure
from worker.engine.options import ModelOptions

log = logging.getLogger(__name__)

_DEVICE_RESERVE: Final = 512 << 20
"""Bytes of each GPU for what llama.cpp does not count: its libraries' own buffers."""
_HOST_RESERVE: Final = 256 << 20
"""Bytes of host memory for the process itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostMemory:
    """Bytes that this process could have now, and that it may have at most."""

    free: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """How to load a model so that it fits.

    Args:
        remark: what was chosen and why, in a sentence; None if that is unknown.
        is_less: whether it is less than was wanted, or might not fit all the same.
    """

    options: ModelOptions
    remark: str | None = None
    is_less: bool = False


def fit(settings: Settings, options: ModelOptions) -> Fitted:
    """Choose what is not set, layers on the GPU and slots, so that the model fits.

    Raises:
        DoesNotFit: what is set needs more memory than there is.
        ModelError: the model cannot be loaded.
    """
    available = gpus() if options.gpu_layers else []
    footprint = measure(options, available)
    if footprint is None:
        return Fitted(options=options)
    wishes = _wishes(settings, options, footprint, available)
    host = HostMemory(free=free_memory(), total=usable_memory())
    free, limit = room(options, available, host, workers_here())
    choice = choose(footprint, wishes, free, limit)
    return Fitted(
        options=_with(options, choice, wishes),
        remark=describe(choice, wishes, free),
        is_less=choice.is_tight or changed(choice, wishes) is not None,
    )


def workers_here() -> int:
    """How many workers were started together on this machine, as far as is known."""
    number = os.environ.get(WORKERS_VARIABLE, "")
    return max(1, int(number)) if number.isdecimal() else 1


def _with(options: ModelOptions, choice: Choice, wishes: Wishes) -> ModelOptions:
    # All layers stay -1, not their number: which threads run beside a GPU depends on it.
    is_reduced = choice.layers < wishes.layers
    return replace(
        options,
        slots=choice.slots,
        gpu_layers=choice.layers if is_reduced else options.gpu_layers,
        fitted=changed(choice, wishes) or "",
    )


def _wishes(
    settings: Settings, options: ModelOptions, footprint: Footprint, available: Sequence[Device]
) -> Wishes:
    layers = len(footprint.layers) if available else 0
    if options.gpu_layers >= 0:
        layers = min(layers, options.gpu_layers)
    return Wishes(
        layers=layers,
        slots=options.slots,
        layers_are_set="gpu_layers" in settings.model_fields_set,
        slots_are_set="slots" in settings.model_fields_set,
    )


def room(
    options: ModelOptions, available: Sequence[Device], host: HostMemory, workers: int
) -> tuple[Memory, Memory]:
    """What one of the workers may use now, and what it cannot exceed.

    Args:
        available: the GPUs of this machine.
        workers: that share it.
    """
    used = available
    if available and options.split == "none":
        used = [available[options.device % len(available)]]
    # Started together, all see the same memory free; started again, one sees what others have.
    sharing = workers if options.split != "none" else -(-workers // max(1, len(available)))
    free = sum(
        max(0, min(gpu.free_bytes, gpu.total_bytes // sharing) - _DEVICE_RESERVE) for gpu in used
    )
    limit = sum(gpu.free_bytes for gpu in used)
    if not all(gpu.total_bytes for gpu in used):
        # Its driver does not tell.
        free = limit = UNLIMITED
    host_free = max(0, min(host.free, host.total // workers) - _HOST_RESERVE)
    return Memory(device=free, host=host_free), Memory(device=limit, host=host.total)
