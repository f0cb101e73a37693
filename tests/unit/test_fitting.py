"""How much of a machine's memory is a worker's, and what it makes of it."""

from pathlib import Path

import pytest

from shared.config import Settings
from shared.process.machine import usable_memory
from tests.servers import make_settings
from tests.tiny_architectures import write_with_long_window
from worker.engine.devices import Device
from worker.engine.fit import UNLIMITED, DoesNotFit
from worker.engine.footprint import measure
from worker.engine.options import ModelOptions, Split
from worker.fitting import HostMemory, fit, room

GIB = 1 << 30
HALF = GIB // 2
"""What is left alone on each GPU."""
HOST = HostMemory(free=20 * GIB, total=24 * GIB)


def gpu(free_gib: int = 70, total_gib: int = 80) -> Device:
    free, total = free_gib * GIB, total_gib * GIB
    return Device(name="GPU", description="", kind=1, free_bytes=free, total_bytes=total)


def options(split: Split = "none", device: int = 0) -> ModelOptions:
    return ModelOptions(Path("model.gguf"), 4096, threads=1, split=split, device=device)


@pytest.mark.parametrize(
    ("workers", "gpus", "split", "share"),
    [
        (1, [gpu()], "none", 70 * GIB - HALF),
        (2, [gpu()], "none", 40 * GIB - HALF),
        (2, [gpu(), gpu(50)], "none", 50 * GIB - HALF),
        (3, [gpu(), gpu(50)], "none", 40 * GIB - HALF),
        (1, [gpu(), gpu(50)], "layer", 120 * GIB - 2 * HALF),
        (2, [gpu(), gpu(50)], "layer", 80 * GIB - 2 * HALF),
        (1, [], "none", 0),
        (1, [gpu(0, 0)], "none", UNLIMITED),
    ],
)
def test_workers_share_the_gpus_that_they_use(
    workers: int, gpus: list[Device], split: Split, share: int
) -> None:
    free, _ = room(options(split, device=1), gpus, HOST, workers)
    assert free.device == share


def test_workers_share_the_host_and_none_counts_on_what_others_use() -> None:
    shares = [room(options(), [], HOST, workers)[0].host for workers in (1, 2, 24)]
    assert shares == [20 * GIB - GIB // 4, 12 * GIB - GIB // 4, GIB - GIB // 4]
    _, limit = room(options(), [gpu()], HOST, 2)
    assert (limit.device, limit.host) == (70 * GIB, 24 * GIB)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_with_long_window(tmp_path_factory.mktemp("models") / "long.gguf")


def settings_for(path: Path, window: int, **variables: object) -> tuple[Settings, ModelOptions]:
    settings = make_settings("unix:///nowhere", PALAVER_MODEL_PATH=path, **variables)
    return settings, short_steps(path, window, settings.slots)


def short_steps(path: Path, window: int, slots: int) -> ModelOptions:
    """Otherwise the buffers of a step would take more than the cache of such a small model."""
    return ModelOptions(path, window, threads=1, slots=slots, batch=8, flash_attention=True)


def window_of_share(path: Path, share: int) -> int:
    """The window of which this many fit into all memory of this machine."""
    footprint = measure(short_steps(path, 1 << 16, 1), [])
    assert footprint is not None
    return usable_memory() // share * (1 << 16) // footprint.kv // 256 * 256


def test_slots_that_are_not_set_are_as_many_as_fit(path: Path) -> None:
    fitted = fit(*settings_for(path, window_of_share(path, 6)))
    assert 1 <= fitted.options.slots < 6
    assert fitted.is_less
    assert fitted.remark is not None
    assert f"{fitted.options.slots} of 8 slots (PALAVER_SLOTS) fit into memory" in fitted.remark
    assert fitted.options.fitted == f"{fitted.options.slots} of 8 slots (PALAVER_SLOTS)"


def test_slots_that_are_set_and_cannot_fit_are_refused_with_figures(path: Path) -> None:
    with pytest.raises(
        DoesNotFit, match=r"8 slots the model takes [0-9,]+ of [0-9,]+ MiB of host memory"
    ):
        fit(*settings_for(path, window_of_share(path, 6), PALAVER_SLOTS=8))


def test_what_fits_is_loaded_as_it_was_wanted(path: Path) -> None:
    settings, wanted = settings_for(path, 512)
    fitted = fit(settings, wanted)
    assert (fitted.options, fitted.is_less) == (wanted, False)
