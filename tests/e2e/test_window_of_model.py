"""The window is never longer than a model was trained for, or than its file stretches it."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT
from tests.servers import environment
from tests.tiny_architectures import write
from tests.tiny_model import write_without_weights
from worker.engine.model import LlamaModel
from worker.engine.model_file import ModelError, window_of, without_weights
from worker.engine.options import ModelOptions

TRAINED = 4096
SCALING = "llama.rope.scaling"


@pytest.mark.parametrize(
    ("asked", "metadata", "window"),
    [
        (4096, {}, 4096),
        (0, {}, 4096),
        (4097, {}, 4096),
        (8192, {f"{SCALING}.type": "none", f"{SCALING}.factor": 4.0}, 4096),
        (8192, {f"{SCALING}.type": "linear", f"{SCALING}.factor": 2.0}, 8192),
        (9000, {f"{SCALING}.factor": 2.0}, 8192),
        (0, {f"{SCALING}.type": "linear", f"{SCALING}.factor": 2.5}, 10240),
        (
            32_768,
            {
                f"{SCALING}.type": "yarn",
                f"{SCALING}.factor": 4.0,
                f"{SCALING}.original_context_length": 8192,
            },
            32_768,
        ),
        # Its length is the stretched one already.
        (
            0,
            {
                f"{SCALING}.type": "yarn",
                f"{SCALING}.factor": 4.0,
                f"{SCALING}.original_context_length": 1024,
            },
            4096,
        ),
        (0, {f"{SCALING}.factor": float("inf")}, 4096),
    ],
)
def test_a_window_is_cut_to_what_the_file_says(
    asked: int, metadata: dict[str, object], window: int, tmp_path: Path
) -> None:
    path = write_without_weights(
        tmp_path / "model.gguf", "llama", **{"llama.context_length": TRAINED, **metadata}
    )
    with without_weights(path) as model:
        found, remark = window_of(model, asked)
    assert found == window
    if asked > window:
        assert remark == (
            f"PALAVER_CONTEXT_LENGTH={asked} is more than the model was trained for: the window "
            f"has {window} tokens"
        )
    else:
        assert remark is None


def test_its_own_window_must_be_told_by_the_file(tmp_path: Path) -> None:
    path = write_without_weights(tmp_path / "model.gguf", "llama", **{"llama.context_length": 0})
    with without_weights(path) as model:
        assert window_of(model, 3500) == (3500, None)
        with pytest.raises(ModelError, match="PALAVER_CONTEXT_LENGTH=0"):
            window_of(model, 0)


def test_a_model_is_loaded_with_the_window_that_it_can_have(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("llama", tmp_path / "model.gguf")
    with caplog.at_level(logging.WARNING):
        longer = LlamaModel(ModelOptions(path, 5000, threads=1))
        own = LlamaModel(ModelOptions(path, 0, threads=1))
    assert (longer.slot_size, own.slot_size) == (TRAINED, TRAINED)
    assert "PALAVER_CONTEXT_LENGTH=5000 is more than the model was trained for" in caplog.text
    longer.close()
    own.close()


def test_what_a_worker_would_warn_of_is_told_beforehand(tmp_path: Path) -> None:
    path = write("llama", tmp_path / "tiny.gguf")
    variables = environment(PALAVER_MODEL_PATH=str(path), PALAVER_CONTEXT_LENGTH="5000")
    done = subprocess.run(
        [sys.executable, "-m", "worker.check"],
        cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    window, template = json.loads(done.stdout)["remarks"]
    assert "PALAVER_CONTEXT_LENGTH=5000" in window
    assert template.startswith(
        "tiny.gguf has no chat template; ChatML is used, although its vocabulary has no "
        "<|im_start|> and no <|im_end|>"
    )
    assert "PALAVER_CHAT_TEMPLATE" in template
