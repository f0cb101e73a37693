"""A model that the CPU runs slowly is converted once; whatever goes wrong, a model is run."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import pytest

from tests.servers import make_settings
from tests.tiny_model import write_hybrid, write_without_weights
from worker.engine.conversion import (
    BF16,
    Q8_0,
    choose_type,
    fast_on_this_machine,
    system_info,
    weights_of,
)
from worker.engine.model import LlamaModel
from worker.engine.model_file import ModelError
from worker.engine.options import ModelOptions
from worker.engine_setup import model_path

WITH_BF16 = "CPU : AVX512 = 1 | AVX512_BF16 = 1 | "
WITHOUT = "CPU : AVX2 = 1 | F16C = 1 | "


def fast(path: Path, folder: Path, memory: int = 16 << 30) -> Path:
    return fast_on_this_machine(path, folder, threads=1, memory=memory)


@pytest.fixture(scope="module")
def bundled() -> Path:
    return model_path(make_settings("unix:///nowhere"))


def test_the_type_follows_from_cpu_and_size() -> None:
    assert choose_type(1e8, WITH_BF16) is BF16
    assert choose_type(8e9, WITH_BF16) is Q8_0
    assert choose_type(1e8, WITHOUT) is Q8_0
    assert "CPU" in system_info()


def test_several_workers_convert_the_bundled_model_once(bundled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data folder" / "models"
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: fast(bundled, folder), range(3)))
    assert len(set(paths)) == 1
    ftype, num_weights = weights_of(paths[0])
    assert ftype in (BF16.ftype, Q8_0.ftype)
    assert num_weights == weights_of(bundled)[1]
    assert [file.name for file in folder.glob("*.gguf")] == [paths[0].name]
    assert not list(folder.glob("*.part"))
    assert paths[0].stat().st_size > bundled.stat().st_size


def test_a_fast_type_is_left_alone(tmp_path: Path) -> None:
    path = write_hybrid(tmp_path / "tiny.gguf")
    assert fast(path, tmp_path / "models") == path
    assert not (tmp_path / "models").exists()


def test_where_nothing_can_be_written_the_model_is_run_as_it_is(
    bundled: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert fast(bundled, tmp_path / "file" / "models") == bundled


def test_no_more_memory_is_taken_than_there_is_for_us(bundled: Path, tmp_path: Path) -> None:
    assert fast(bundled, tmp_path / "models", memory=64 << 20) == bundled


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("not a model")
    with pytest.raises(ModelError, match=r"notes\.gguf"):
        fast(path, tmp_path / "models")


def test_a_cache_that_does_not_fit_is_told_of_with_its_size(
    bundled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(shutil.copy(bundled, tmp_path))
    # Otherwise the window would be cut to what it was trained for.
    reader = gguf.GGUFReader(path, "r+")
    reader.fields["llama.context_length"].parts[-1][0] = 1 << 20
    reader.data.flush()
    options = ModelOptions(path, 1 << 20, threads=1, slots=256)
    with pytest.raises(ModelError, match=r"256 conversations of 1048576 tokens take about [0-9,]+"):
        LlamaModel(options)
    [warning] = [text for text in caplog.messages if "MiB are free on" in text]
    # 22.5 KiB a token.
    assert "take about 5,898,240 MiB" in warning


@pytest.mark.parametrize(
    ("architecture", "metadata", "reason"),
    [
        ("t5", {}, "encoder and a decoder"),
        ("t5encoder", {}, "embeddings|encoder"),
        ("llama", {"llama.attention.causal": False}, "embeddings"),
        ("llama", {"llama.pooling_type": 4}, "ranks texts"),
    ],
)
def test_a_model_that_generates_no_text_is_refused_by_its_kind(
    tmp_path: Path, architecture: str, metadata: dict[str, object], reason: str
) -> None:
    path = write_without_weights(tmp_path / "other.gguf", architecture, **metadata)
    with pytest.raises(ModelError, match=f"{architecture}.*({reason}).*PALAVER_MODEL_PATH"):
        fast(path, tmp_path / "models")
