"""A model that cannot be loaded as it is set ends the start with one sentence, and no restart."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import EX_CONFIG
from tests.servers import environment
from tests.tiny_architectures import write, write_with_long_window
from tests.tiny_lora import write_lora

ROOT = Path(__file__).resolve().parents[2]


def refusal(path: Path, **variables: str) -> str:
    """What a worker says that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "worker.child"],
        cwd=ROOT, env=environment(PALAVER_MODEL_PATH=str(path), **variables),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == EX_CONFIG, done.stderr
    lines = [line for line in done.stderr.splitlines() if "cannot start" in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_more_slots_than_fit(tmp_path: Path) -> None:
    path = write_with_long_window(tmp_path / "long.gguf")
    text = refusal(path, PALAVER_SLOTS="256", PALAVER_CONTEXT_LENGTH="3000000")
    assert "it does not fit: with 256 slots the model takes" in text
    assert "MiB of host memory" in text


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"PALAVER_KV_TYPE": "q8_0"}, "PALAVER_KV_TYPE=q8_0: "),
        ({"PALAVER_KV_TYPE": "q8_0", "PALAVER_FLASH_ATTENTION": "off"}, "may be auto or on"),
        ({"PALAVER_LORA": "{folder}/qwen3.gguf:0.5"}, "model arch and LoRA arch mismatch"),
        ({"PALAVER_LORA": "{folder}/nowhere.gguf"}, "there is no such file"),
    ],
)
def test_what_does_not_go_with_the_model(
    tmp_path: Path, variables: dict[str, str], reason: str
) -> None:
    path = write("llama", tmp_path / "model.gguf")
    write_lora(tmp_path / "qwen3.gguf", architecture="qwen3")
    placed = {name: value.format(folder=tmp_path) for name, value in variables.items()}
    assert reason in refusal(path, PALAVER_CONTEXT_LENGTH="512", **placed)
