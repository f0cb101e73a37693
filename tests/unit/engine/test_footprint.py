"""What a model will take, measured before it is loaded, and what it takes then."""

import os
from pathlib import Path

import pytest

from tests.tiny_architectures import ARCHITECTURES, write, write_with_wide_heads
from worker.engine.backend import Part
from worker.engine.devices import Device
from worker.engine.footprint import measure
from worker.engine.model import LlamaModel
from worker.engine.model_file import ModelError
from worker.engine.options import ModelOptions

GPU = Device(name="GPU0", description="", kind=1, free_bytes=1 << 30, total_bytes=1 << 30)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kind_of_model_is_measured(architecture: str, tmp_path: Path) -> None:
    path = write(architecture, tmp_path / "model.gguf")
    footprint = measure(ModelOptions(path, 512, threads=1, slots=3), [])
    assert footprint is not None
    weights = footprint.embeddings + sum(layer.weights for layer in footprint.layers)
    assert 0.9 * path.stat().st_size < weights < path.stat().st_size
    assert footprint.kv > 0
    assert footprint.host_compute > 0


def test_the_cache_of_a_slot_is_as_large_as_what_is_saved_of_a_full_one(tmp_path: Path) -> None:
    path, sizes = write_with_wide_heads("llama", tmp_path / "model.gguf"), []
    for kv_type in ("f16", "q8_0"):
        options = ModelOptions(path, 512, threads=1, slots=2, kv_type=kv_type)
        footprint = measure(options, [])
        assert footprint is not None
        model = LlamaModel(options)
        model.evaluate([Part(0, 0, [5] * 512, True)])
        assert len(model.save(0)) == pytest.approx(footprint.kv, rel=0.15)
        model.close()
        sizes.append(footprint.kv)
    assert sizes[1] == pytest.approx(sizes[0] * 34 / 64, rel=0.01)


@pytest.mark.parametrize(("layers", "kept"), [(0, 0), (2, 2), (-1, 3)])
def test_experts_are_counted_where_they_stay(layers: int, kept: int, tmp_path: Path) -> None:
    path = write("qwen3moe", tmp_path / "model.gguf")
    footprint = measure(ModelOptions(path, 512, threads=1, cpu_moe=layers), [])
    assert footprint is not None
    sizes = [layer.kept for layer in footprint.layers]
    assert [size > 0 for size in sizes] == [True] * kept + [False] * (4 - kept)
    usual = measure(ModelOptions(path, 512, threads=1), [])
    assert usual is not None
    assert [layer.weights + layer.kept for layer in footprint.layers] == [
        layer.weights for layer in usual.layers
    ]


@pytest.mark.parametrize(
    ("load_mode", "is_mapped"), [("auto", True), ("mmap", True), ("none", False), ("mlock", False)]
)
def test_weights_that_are_no_pages_need_memory(
    load_mode: str, is_mapped: bool, tmp_path: Path
) -> None:
    path = write("llama", tmp_path / "model.gguf")
    footprint = measure(ModelOptions(path, 512, threads=1, load_mode=load_mode), [])  # type: ignore[arg-type]
    assert footprint is not None
    assert footprint.is_mapped == is_mapped


def test_measuring_takes_no_memory_for_what_it_measures(tmp_path: Path) -> None:
    path = write("llama", tmp_path / "model.gguf")
    before = _resident()
    footprint = measure(ModelOptions(path, 4096, threads=1, slots=256), [])
    assert footprint is not None
    assert footprint.kv * 256 > 300 << 20
    assert _resident() - before < 100 << 20


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_what_has_no_context_is_not_measured(tmp_path: Path) -> None:
    """Loading it says why."""
    narrow = write("llama", tmp_path / "narrow.gguf")
    assert measure(ModelOptions(narrow, 512, threads=1, kv_type="q8_0"), []) is None
    with pytest.raises(ModelError, match="PALAVER_KV_TYPE=q8_0"):
        LlamaModel(ModelOptions(narrow, 512, threads=1, kv_type="q8_0"))
