"""What llama.cpp is told where there are GPUs: all that can be seen of it on a machine without."""

import re
from pathlib import Path

import llama_cpp
import pytest

from worker.engine.devices import Device
from worker.engine.experts import tensors_of_experts
from worker.engine.options import ModelOptions, context_params, model_params


def gpu(number: int) -> Device:
    size = 80 << 30
    return Device(name=f"CUDA{number}", description="", kind=1, free_bytes=size, total_bytes=size)


def options(**changes: object) -> ModelOptions:
    defaults: dict[str, object] = {"window": 4096, "threads": 2, "slots": 8}
    return ModelOptions(Path("model.gguf"), **{**defaults, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("worker", "gpus", "chosen"), [(0, 1, 0), (1, 4, 1), (5, 4, 1), (7, 1, 0)])
def test_worker_n_puts_the_whole_model_on_gpu_n(worker: int, gpus: int, chosen: int) -> None:
    params = model_params(options(device=worker), [gpu(number) for number in range(gpus)])
    assert params.split_mode == llama_cpp.LLAMA_SPLIT_MODE_NONE
    assert (params.main_gpu, params.n_gpu_layers) == (chosen, -1)


def test_as_many_layers_as_are_set_go_to_the_gpu() -> None:
    assert model_params(options(gpu_layers=20), [gpu(0)]).n_gpu_layers == 20


def test_without_a_gpu_nothing_is_offloaded() -> None:
    assert model_params(options(), []).n_gpu_layers == 0


@pytest.mark.parametrize(
    ("asked", "gpus", "layers", "told"),
    [
        (None, 1, -1, llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO),
        (None, 1, 0, llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED),
        (None, 0, -1, llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED),
        (True, 0, -1, llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED),
        (False, 1, -1, llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED),
    ],
)
def test_flash_attention_is_the_librarys_choice_on_a_gpu(
    asked: bool | None, gpus: int, layers: int, told: int
) -> None:
    asked_options = options(flash_attention=asked, gpu_layers=layers)
    params = context_params(asked_options, [gpu(number) for number in range(gpus)])
    assert params.flash_attn_type == told


def test_the_cache_holds_a_window_for_each_slot_and_lies_on_the_gpu() -> None:
    params = context_params(options(), [gpu(0)])
    assert (params.n_ctx, params.n_seq_max, params.offload_kqv) == (8 * 4096, 8, True)


def test_a_step_has_room_for_a_token_of_each_slot() -> None:
    params = context_params(options(slots=200, batch=64), [gpu(0)])
    assert params.n_batch == params.n_ubatch == 200


@pytest.mark.parametrize(
    ("gpus", "changes", "told"),
    [
        (1, {"threads": 16}, 4),
        (1, {"threads": 64}, 4),
        (1, {"threads": 2}, 1),
        (1, {"threads": 16, "gpu_threads": 16}, 16),
        (1, {"threads": 16, "gpu_layers": 20}, 16),
        (0, {"threads": 16, "gpu_threads": 1}, 16),
    ],
)
def test_few_threads_wait_awake_beside_a_gpu(gpus: int, changes: dict[str, int], told: int) -> None:
    params = context_params(options(**changes), [gpu(number) for number in range(gpus)])
    assert (params.n_threads, params.n_threads_batch) == (told, told)


@pytest.mark.parametrize(
    ("changes", "gpus", "flash"),
    [
        ({}, 0, llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED),
        ({}, 1, llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO),
        ({"gpu_layers": 0}, 1, llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED),
        ({"flash_attention": True}, 1, llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED),
    ],
)
def test_a_quantized_cache_comes_with_flash_attention(
    changes: dict[str, object], gpus: int, flash: int
) -> None:
    params = context_params(options(kv_type="q8_0", **changes), [gpu(n) for n in range(gpus)])
    assert params.type_k == params.type_v == llama_cpp.GGML_TYPE_Q8_0
    assert params.flash_attn_type == flash


def test_without_settings_the_cache_has_half_floats() -> None:
    params = context_params(options(), [])
    assert params.type_k == params.type_v == llama_cpp.GGML_TYPE_F16


@pytest.mark.parametrize(
    ("split", "told"),
    [("layer", llama_cpp.LLAMA_SPLIT_MODE_LAYER), ("row", llama_cpp.LLAMA_SPLIT_MODE_ROW)],
)
def test_a_model_that_is_split_lies_on_all_gpus_whatever_the_worker(split: str, told: int) -> None:
    params = model_params(options(device=3, split=split), [gpu(number) for number in range(4)])
    assert (params.split_mode, params.main_gpu, params.n_gpu_layers) == (told, 0, -1)


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("auto", llama_cpp.LLAMA_LOAD_MODE_AUTO),
        ("none", llama_cpp.LLAMA_LOAD_MODE_NONE),
        ("mmap", llama_cpp.LLAMA_LOAD_MODE_MMAP),
        ("mlock", llama_cpp.LLAMA_LOAD_MODE_MLOCK),
        ("mmap+mlock", llama_cpp.LLAMA_LOAD_MODE_MMAP_MLOCK),
    ],
)
def test_weights_come_into_memory_as_is_set_with_and_without_a_gpu(mode: str, told: int) -> None:
    for available in ([], [gpu(0)]):
        assert model_params(options(load_mode=mode), available).load_mode == told
    assert llama_cpp.llama_model_default_params().load_mode == llama_cpp.LLAMA_LOAD_MODE_AUTO


@pytest.mark.parametrize(
    ("gpus", "layers", "is_told"), [(1, 0, False), (1, 3, True), (1, -1, True), (0, 3, False)]
)
def test_experts_are_kept_from_gpus_where_that_is_set(
    gpus: int, layers: int, is_told: bool
) -> None:
    params = model_params(options(cpu_moe=layers), [gpu(number) for number in range(gpus)])
    assert bool(params.tensor_buft_overrides) == is_told


def test_a_cpu_that_evaluates_experts_has_all_its_threads() -> None:
    params = context_params(options(cpu_moe=2, threads=16), [gpu(0)])
    assert (params.n_threads, params.n_threads_batch) == (16, 16)


@pytest.mark.parametrize(
    ("name", "layers", "stays"),
    [
        ("blk.0.ffn_up_exps.weight", 1, True),
        ("blk.1.ffn_up_exps.weight", 1, False),
        ("blk.11.ffn_gate_exps.bias", 2, False),
        ("blk.11.ffn_gate_exps.bias", 12, True),
        ("blk.60.ffn_gate_up_exps.weight", -1, True),
        ("blk.0.ffn_down_chexps.weight", -1, True),
        ("blk.0.ffn_down_shexp.weight", -1, False),
        ("blk.0.ffn_down.weight", -1, False),
        ("blk.0.ffn_gate_inp.weight", -1, False),
    ],
)
def test_only_what_few_tokens_need_stays_with_the_cpu(name: str, layers: int, stays: bool) -> None:
    assert bool(re.search(tensors_of_experts(layers), name)) == stays
