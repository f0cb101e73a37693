"""What is chosen fits by its own figures, and more memory never gives less."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.fit import (
    DoesNotFit,
    Footprint,
    Layer,
    Memory,
    Wishes,
    changed,
    choose,
    describe,
    needs_of,
)

MIB = 1 << 20
GIB = 1 << 30
EIGHT_B = Footprint(
    layers=(*[Layer(weights=140 * MIB)] * 32, Layer(weights=500 * MIB)),
    embeddings=280 * MIB,
    kv=437 * MIB,
    compute=300 * MIB,
    host_compute=20 * MIB,
    largest=400 * MIB,
)
"""Like Llama 3 8B at 4 bits: 5 GB of weights, 3.4 GB for 8 slots of 3,500 tokens."""
ALL = Wishes(layers=33, slots=8)
PLENTY = Memory(device=80 * GIB, host=64 * GIB)

sizes = st.integers(0, 3000)
memories = st.builds(Memory, device=sizes, host=sizes)
layers = st.builds(
    Layer, weights=sizes.map(lambda size: size // 10), kept=sizes.map(lambda s: s // 20)
)
footprints = st.builds(
    Footprint,
    layers=st.lists(layers, min_size=1, max_size=9).map(tuple),
    embeddings=sizes.map(lambda size: size // 10),
    copied=sizes.map(lambda size: size // 10),
    kv=sizes.map(lambda size: size // 5),
    compute=sizes.map(lambda size: size // 10),
    host_compute=sizes.map(lambda size: size // 10),
    largest=sizes.map(lambda size: size // 10),
    is_mapped=st.booleans(),
)
wishes = st.builds(
    Wishes,
    layers=st.integers(0, 9),
    slots=st.integers(1, 8),
    layers_are_set=st.booleans(),
    slots_are_set=st.booleans(),
)


def possible(footprint: Footprint, wanted: Wishes) -> Wishes:
    """No more layers than the model has."""
    return replace(wanted, layers=min(wanted.layers, len(footprint.layers)))


@given(footprint=footprints, wanted=wishes, free=memories, limit=memories)
def test_what_is_chosen_fits_or_is_said_to_be_tight_or_is_refused(
    footprint: Footprint, wanted: Wishes, free: Memory, limit: Memory
) -> None:
    wanted = possible(footprint, wanted)
    try:
        choice = choose(footprint, wanted, free, limit)
    except DoesNotFit:
        least = needs_of(
            footprint,
            wanted.layers if wanted.layers_are_set else 0,
            wanted.slots if wanted.slots_are_set else 1,
        )
        assert least.device > limit.device or least.host > limit.host
        return
    room = limit if choice.is_tight else free
    assert choice.needs == needs_of(footprint, choice.layers, choice.slots)
    assert choice.needs.device <= room.device
    assert choice.needs.host <= room.host
    assert choice.layers == wanted.layers or not wanted.layers_are_set
    assert choice.slots == wanted.slots or not wanted.slots_are_set
    assert 0 <= choice.layers <= wanted.layers
    assert 1 <= choice.slots <= wanted.slots


@given(footprint=footprints, wanted=wishes, free=memories, more=memories)
def test_more_memory_never_gives_less(
    footprint: Footprint, wanted: Wishes, free: Memory, more: Memory
) -> None:
    wanted, endless = possible(footprint, wanted), Memory(device=1 << 40, host=1 << 40)
    larger = Memory(device=free.device + more.device, host=free.host + more.host)
    small = choose(footprint, wanted, free, endless)
    large = choose(footprint, wanted, larger, endless)
    assert large.layers >= small.layers
    assert large.slots >= small.slots
    assert small.is_tight or not large.is_tight


def test_with_enough_memory_nothing_is_less_than_wanted() -> None:
    choice = choose(EIGHT_B, ALL, PLENTY, PLENTY)
    assert (choice.layers, choice.slots, changed(choice, ALL)) == (33, 8, None)
    assert describe(choice, ALL, PLENTY) == (
        "with 33 layers on the GPU and 8 slots the model takes 8,776 of 81,920 MiB there, 20 of "
        "65,536 MiB of host memory, and 280 MiB of the file's pages"
    )


def test_slots_give_way_before_layers_do() -> None:
    choice = choose(EIGHT_B, ALL, Memory(device=7 * GIB, host=16 * GIB), PLENTY)
    assert (choice.layers, choice.slots) == (33, 4)
    text = describe(choice, ALL, Memory(device=7 * GIB, host=16 * GIB))
    assert text.startswith("4 of 8 slots (PALAVER_SLOTS) fit into memory: with 33 layers")


def test_a_model_that_is_too_large_for_a_gpu_is_partly_on_the_cpu() -> None:
    free = Memory(device=4 * GIB, host=16 * GIB)
    choice = choose(EIGHT_B, ALL, free, free)
    assert (choice.layers, choice.slots) == (19, 1)
    assert changed(choice, ALL) == (
        "19 of 33 layers on the GPU (PALAVER_GPU_LAYERS) and 1 of 8 slots (PALAVER_SLOTS)"
    )
    assert choose(EIGHT_B, ALL, replace(free, device=0), free).layers == 0


def test_what_is_set_stays_and_the_other_gives_way() -> None:
    free = Memory(device=7 * GIB, host=16 * GIB)
    slots_set = choose(EIGHT_B, replace(ALL, slots_are_set=True), free, free)
    assert (slots_set.slots, slots_set.layers < 33) == (8, True)
    layers_set = choose(EIGHT_B, replace(ALL, layers=10, layers_are_set=True), free, free)
    assert (layers_set.layers, layers_set.slots) == (10, 8)


def test_what_is_set_and_cannot_fit_is_refused_with_figures() -> None:
    free = Memory(device=7 * GIB, host=16 * GIB)
    wanted = replace(ALL, slots_are_set=True, layers_are_set=True)
    with pytest.raises(DoesNotFit) as refusal:
        choose(EIGHT_B, wanted, free, free)
    assert "and 8 slots the model takes 8,776 of 7,168 MiB there" in str(refusal.value)
    for name in ("CONTEXT_LENGTH", "SLOTS", "GPU_LAYERS", "CPU_MOE", "KV_TYPE=q8_0"):
        assert f"PALAVER_{name}" in str(refusal.value)


def test_what_is_set_and_may_fit_is_tried_with_a_warning() -> None:
    wanted = replace(ALL, slots_are_set=True, layers_are_set=True)
    free = Memory(device=8 * GIB, host=16 * GIB)
    choice = choose(EIGHT_B, wanted, free, Memory(device=9 * GIB, host=16 * GIB))
    assert choice.is_tight
    assert describe(choice, wanted, free).endswith(": it may not fit")


def test_without_a_gpu_slots_have_what_the_weights_leave() -> None:
    wanted = Wishes(layers=0, slots=8)
    assert choose(EIGHT_B, wanted, Memory(device=0, host=16 * GIB), PLENTY).slots == 8
    assert choose(EIGHT_B, wanted, Memory(device=0, host=7 * GIB), PLENTY).slots == 3
    cramped = Memory(device=0, host=5 * GIB)
    choice = choose(EIGHT_B, wanted, cramped, PLENTY)
    assert choice.slots == 1, "an eighth of the memory is for slots, whatever the weights take"
    packed = choose(replace(EIGHT_B, is_mapped=False), wanted, cramped, PLENTY)
    assert packed.is_tight, "weights that are no pages of the file cannot give way"


def test_weights_beyond_the_host_s_memory_are_warned_of() -> None:
    wanted, free = Wishes(layers=0, slots=1), Memory(device=0, host=4 * GIB)
    small = replace(EIGHT_B, kv=100 * MIB)
    text = describe(choose(small, wanted, free, free), wanted, free)
    assert text.endswith("weights will be read from the disk again and again")


def test_experts_that_stay_with_the_cpu_take_host_memory() -> None:
    experts = replace(EIGHT_B, layers=(*[Layer(weights=40, kept=100)] * 32, Layer(weights=500)))
    needs = needs_of(experts, 33, 1)
    assert needs.device < EIGHT_B.kv + EIGHT_B.compute + EIGHT_B.largest + 32 * 40 + 501
    assert needs.mapped == EIGHT_B.embeddings + 32 * 100
