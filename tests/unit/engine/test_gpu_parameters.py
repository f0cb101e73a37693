"""What llama.cpp is told where there are GPUs: all that can be seen of it on a machine without."""

from pathlib import Path

import llama_cpp
import pytest

from worker.engine.devices import Device
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
