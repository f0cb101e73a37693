"""What is set and cannot be, or changes nothing on this machine, is said by name."""

from pathlib import Path

import llama_cpp
import pytest

from tests.tiny_architectures import write
from worker.engine.devices import Device, can_split_rows, gpus
from worker.engine.library_log import listening
from worker.engine.loading import check_split, without_effect
from worker.engine.model_file import ModelError, load_model
from worker.engine.options import LoadMode, ModelOptions, Split, model_params

GPU = Device(name="CUDA0", description="", kind=1, free_bytes=1 << 35, total_bytes=1 << 35)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for architecture in ("llama", "qwen3moe"):
        write(architecture, folder / f"{architecture}.gguf")
    return folder


def test_rows_are_split_only_where_the_gpus_can() -> None:
    options = ModelOptions(Path("a.gguf"), 512, threads=1, split="row")
    with pytest.raises(ModelError, match=r"^PALAVER_SPLIT=row: .*allowed are none and layer$"):
        check_split(options, [GPU, GPU], rows=False)
    check_split(options, [GPU, GPU], rows=True)
    check_split(options, [], rows=False)


@pytest.mark.skipif(bool(gpus()), reason="there is a GPU")
def test_a_build_for_the_cpu_splits_no_rows() -> None:
    assert not can_split_rows()


@pytest.mark.parametrize(
    ("split", "num_gpus", "warns"),
    [("layer", 1, True), ("row", 0, True), ("layer", 2, False), ("none", 1, False)],
)
def test_a_split_needs_several_gpus(folder: Path, split: Split, num_gpus: int, warns: bool) -> None:
    options = ModelOptions(folder / "llama.gguf", 512, threads=1, split=split)
    warnings = without_effect(options, [GPU] * num_gpus)
    assert warnings == [
        f"PALAVER_SPLIT={split} changes nothing: there are no two GPUs" for _ in range(warns)
    ]


@pytest.mark.parametrize(
    ("architecture", "num_gpus", "reason"),
    [
        ("llama", 1, "llama.gguf is no mixture of experts"),
        ("qwen3moe", 0, "there is no GPU"),
        ("qwen3moe", 1, None),
    ],
)
def test_experts_are_kept_off_gpus_where_there_are_both(
    folder: Path, architecture: str, num_gpus: int, reason: str | None
) -> None:
    options = ModelOptions(folder / f"{architecture}.gguf", 512, threads=1, cpu_moe=-1)
    warnings = without_effect(options, [GPU] * num_gpus)
    assert warnings == ([f"PALAVER_CPU_MOE=-1 changes nothing: {reason}"] if reason else [])


def test_llama_cpp_follows_what_it_is_told_of_experts(folder: Path) -> None:
    """Here all are with the CPU anyway; what it logs shows that it was told."""
    options = ModelOptions(folder / "qwen3moe.gguf", 512, threads=1, cpu_moe=2)
    with listening() as messages:
        llama_cpp.llama_model_free(load_model(options.path, model_params(options, [GPU])))
    for layer, told in ((0, True), (1, True), (2, False)):
        assert messages.contain(f"blk.{layer}.ffn_up_exps.weight (") == told


@pytest.mark.parametrize("mode", ["auto", "none", "mmap", "mlock", "mmap+mlock"])
def test_every_load_mode_loads_unless_memory_cannot_be_locked(folder: Path, mode: LoadMode) -> None:
    refusal = refusal_of(ModelOptions(folder / "llama.gguf", 512, threads=1, load_mode=mode))
    assert not refusal or ("mlock" in mode and "PALAVER_LOAD_MODE" in refusal)


def refusal_of(options: ModelOptions) -> str:
    """Why it cannot be loaded; empty if it can."""
    try:
        llama_cpp.llama_model_free(load_model(options.path, model_params(options, [])))
    except ModelError as error:
        return str(error)
    return ""
