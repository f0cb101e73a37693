"""LoRA files that a model is loaded with."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.tiny_architectures import write
from tests.tiny_lora import write_lora
from worker.engine.backend import Part
from worker.engine.interface import EngineError
from worker.engine.model import LlamaModel
from worker.engine.model_file import fingerprint
from worker.engine.options import Adapter, ModelOptions

TOKENS = list(range(10, 60))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("llama", tmp_path_factory.mktemp("models") / "base.gguf")


def logits(path: Path, *adapters: Adapter) -> npt.NDArray[np.float32]:
    """Of what follows some tokens."""
    model = LlamaModel(ModelOptions(path, 128, threads=1, adapters=adapters))
    model.evaluate([Part(0, 0, TOKENS, True)])
    row = np.array(model.logits()[0])
    model.close()
    return row


def test_an_adapter_changes_what_follows_and_one_of_scale_0_does_not(
    path: Path, tmp_path: Path
) -> None:
    lora = write_lora(tmp_path / "lora.gguf")
    alone = logits(path)
    assert (logits(path, Adapter(path=lora, scale=0.0)) == alone).all()
    half, full = (logits(path, Adapter(path=lora, scale=scale)) for scale in (0.5, 1.0))
    assert np.abs(half - alone).max() > 0.01
    assert np.abs(full - half).max() > 0.01


def test_adapters_add_up(path: Path, tmp_path: Path) -> None:
    one, other = (write_lora(tmp_path / f"{n}.gguf", seed=n) for n in (1, 2))
    alone = logits(path, Adapter(path=one))
    both = logits(path, Adapter(path=one), Adapter(path=other))
    assert np.abs(both - alone).max() > 0.01
    halves = logits(path, Adapter(path=one, scale=0.5), Adapter(path=one, scale=0.5))
    assert np.allclose(halves, alone, atol=0.01)


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"architecture": "qwen3"}, "model arch and LoRA arch mismatch"),
        ({"width": 32}, "wrong base model"),
        ({"invocation": [5, 6]}, "activated LoRA"),
    ],
)
def test_an_adapter_for_something_else_is_refused_by_name(
    path: Path, tmp_path: Path, flaw: dict[str, object], reason: str
) -> None:
    lora = write_lora(tmp_path / "other.gguf", **flaw)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=rf"^PALAVER_LORA={lora}: .*{reason}"):
        logits(path, Adapter(path=lora))


def test_a_file_that_is_no_adapter_is_refused_by_name(path: Path, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.gguf"
    nonsense.write_text("no model")
    for file in (nonsense, path):
        with pytest.raises(EngineError, match=f"^PALAVER_LORA={file}: it cannot be used: "):
            logits(path, Adapter(path=file))


def test_with_other_adapters_or_scales_it_is_another_model(path: Path, tmp_path: Path) -> None:
    """A reply that one worker began is no other's to continue as if it were its own."""
    one, other = (write_lora(tmp_path / f"{n}.gguf", seed=n) for n in (1, 2))
    variants = [
        (),
        (Adapter(path=one),),
        (Adapter(path=one, scale=0.5),),
        (Adapter(path=other),),
        (Adapter(path=one), Adapter(path=other)),
    ]
    prints = [fingerprint(path, adapters) for adapters in variants]
    assert len(set(prints)) == len(variants)
    assert prints[0] == fingerprint(path)
    assert prints[1] == fingerprint(path, [Adapter(path=one)])
