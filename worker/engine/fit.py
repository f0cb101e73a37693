"""How many layers go to a GPU, and how many slots there are, in the memory that there is.

What is set is never changed, and the start is refused if it cannot fit. Of what is not set, slots
give way before layers do: to wait for a slot costs less than a model of which a part is on the CPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from worker.engine.interface import EngineError

UNLIMITED: Final = 1 << 62
"""Bytes, where nobody knows."""
_CACHE_SHARE: Final = 8
"""The share of host memory that is for slots even if the weights fill it: an eighth."""
_MEBIBYTE: Final = 1 << 20


class DoesNotFit(EngineError):
    """What is set needs more memory than there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer's weights in bytes: those that go to a GPU with it, and experts that do not."""

    weights: int
    kept: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """What a model takes, in bytes.

    Args:
        layers: its layers in order, and its output as the last.
        embeddings: weights that no GPU gets.
        copied: those of them that a GPU copies, where they are the output as well.
        kv: the KV cache of a slot, all layers together.
        compute, host_compute: buffers for a step, on the GPUs if anything is there, and beside
            them; the CPU needs as much as the GPUs for layers that are left to it.
        largest: its largest tensor, which a GPU borrows for long prompts.
        is_mapped: whether weights on the host are pages of the file, and need no memory of
            their own.
    """

    layers: tuple[Layer, ...]
    embeddings: int = 0
    copied: int = 0
    kv: int = 0
    compute: int = 0
    host_compute: int = 0
    largest: int = 0
    is_mapped: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes on the GPUs that a worker uses, together, and on the host."""

    device: int
    host: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """Bytes on the GPUs, on the host, and of a file's pages that should stay in host memory."""

    device: int
    host: int
    mapped: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What was set, and what is wanted if it can be.

    Args:
        layers: on the GPU; 0 without one.
        slots: conversations.
        layers_are_set, slots_are_set: whether no other number may be chosen.
    """

    layers: int
    slots: int
    layers_are_set: bool = False
    slots_are_set: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What was chosen, and what it takes; `is_tight` if that may be more than is free."""

    layers: int
    slots: int
    needs: Needs
    is_tight: bool = False


def choose(footprint: Footprint, wishes: Wishes, free: Memory, limit: Memory) -> Choice:
    """The most that fits into what is free.

    With more memory there are never fewer layers, nor fewer slots.

    Args:
        limit: more than this there cannot be, whoever gives way.

    Raises:
        DoesNotFit: not even the least that may be chosen fits into the limit.
    """
    last = Choice(layers=0, slots=1, needs=Needs(device=0, host=0))
    for layers, slots in _preferred(wishes):
        needs = needs_of(footprint, layers, slots)
        last = Choice(layers=layers, slots=slots, needs=needs)
        if _fits(needs, free):
            return last
    if last.needs.device > limit.device or last.needs.host > limit.host:
        raise DoesNotFit(f"it does not fit: {_described(last, limit)}; {_ADVICE}")
    return Choice(layers=last.layers, slots=last.slots, needs=last.needs, is_tight=True)


_ADVICE: Final = (
    "PALAVER_CONTEXT_LENGTH and PALAVER_SLOTS make it smaller, PALAVER_GPU_LAYERS and "
    "PALAVER_CPU_MOE move it off the GPU, PALAVER_KV_TYPE=q8_0 halves what slots take"
)


def needs_of(footprint: Footprint, layers: int, slots: int) -> Needs:
    """What a model takes with this many layers, counted from its output, on a GPU."""
    first = len(footprint.layers) - layers
    below, above = footprint.layers[:first], footprint.layers[first:]
    num_attending = max(1, len(footprint.layers) - 1)
    kv = footprint.kv * slots
    device_kv = kv * max(0, layers - 1) // num_attending
    device = device_kv + sum(layer.weights for layer in above)
    if layers:
        device += footprint.copied + footprint.compute
        device += footprint.largest if below or any(layer.kept for layer in above) else 0
    weights = footprint.embeddings + sum(layer.kept for layer in footprint.layers)
    weights += sum(layer.weights for layer in below)
    host = kv - device_kv + footprint.host_compute + (footprint.compute if below else 0)
    if footprint.is_mapped:
        return Needs(device=device, host=host, mapped=weights)
    return Needs(device=device, host=host + weights)


def describe(choice: Choice, wishes: Wishes, free: Memory) -> str:
    """What was chosen and why, in a sentence."""
    needed = _described(choice, free)
    if choice.is_tight:
        return f"{needed}: it may not fit"
    if (changes := changed(choice, wishes)) is not None:
        return f"{changes} fit into memory: {needed}"
    if choice.needs.host + choice.needs.mapped > free.host:
        return f"{needed}: weights will be read from the disk again and again"
    return needed


def changed(choice: Choice, wishes: Wishes) -> str | None:
    """What is less than was wanted, in a few words; None if nothing is."""
    parts = []
    if choice.layers < wishes.layers:
        parts.append(f"{choice.layers} of {wishes.layers} layers on the GPU (PALAVER_GPU_LAYERS)")
    if choice.slots < wishes.slots:
        parts.append(f"{choice.slots} of {wishes.slots} slots (PALAVER_SLOTS)")
    return " and ".join(parts) or None


def _preferred(wishes: Wishes) -> Iterator[tuple[int, int]]:
    """Layers and slots, the best first; neither ever grows on the way."""
    fewest = wishes.slots if wishes.slots_are_set else 1
    for slots in range(wishes.slots, fewest - 1, -1):
        yield wishes.layers, slots
    if not wishes.layers_are_set:
        for layers in range(wishes.layers - 1, -1, -1):
            yield layers, fewest


def _fits(needs: Needs, free: Memory) -> bool:
    for_slots = max(free.host - needs.mapped, free.host // _CACHE_SHARE)
    return needs.device <= free.device and needs.host <= for_slots


def _described(choice: Choice, memory: Memory) -> str:
    needs, slots = choice.needs, f"{choice.slots} slot{'s' * (choice.slots != 1)}"
    takes = f"{_of(needs.host, memory.host)} of host memory"
    if needs.mapped >= _MEBIBYTE:
        takes += f", and {needs.mapped // _MEBIBYTE:,} MiB of the file's pages"
    if not choice.layers:
        return f"with {slots} the model takes {takes}"
    layers = f"{choice.layers} layer{'s' * (choice.layers != 1)} on the GPU"
    on_gpu = f"{_of(needs.device, memory.device)} there"
    return f"with {layers} and {slots} the model takes {on_gpu}, {takes}"


def _of(needed: int, memory: int) -> str:
    if memory == UNLIMITED:
        return f"{needed // _MEBIBYTE:,} MiB"
    return f"{needed // _MEBIBYTE:,} of {memory // _MEBIBYTE:,} MiB"
