"""The commands of the pages, literally, a page's in one shell, beside a server on port 3000."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.documented import commands_run_by
from tests.e2e.processes import ROOT, Palaver, running_palaver
from tests.servers import environment, make_settings
from worker.engine_setup import model_path

TEST = "tests/e2e/test_documented_commands.py"
PAGES = sorted({block.page for block in commands_run_by(TEST)})
FISH = ".config/fish/completions"
EXAMPLE_MODEL = "/models/your-model.gguf"
"""Its place is taken by the bundled one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: Palaver's examples and command, some notes, and a change in git."""
    folder = tmp_path_factory.mktemp("user")
    for place in ("bin", ".venv/bin", FISH, "data"):
        (folder / place).mkdir(parents=True)
    command = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m cli "$@"\n'
    for place in ("bin/palaver", ".venv/bin/palaver"):
        (folder / place).write_text(command)
        (folder / place).chmod(0o755)
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(sys.executable)
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "notes.txt").write_text("The river Isar runs through Munich.\n")
    for words in ("init -q", "add notes.txt"):
        subprocess.run(["git", *words.split()], cwd=folder, check=True)
    (folder / "notes.txt").write_text("The river Isar runs through Munich, in Bavaria.\n")
    return folder


@pytest.fixture(scope="module")
def palaver(folder: Path) -> Iterator[Palaver]:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 3000)) == 0:
            pytest.skip("port 3000, which the lines name, is in use on this machine")
    settings: dict[str, Any] = {"PORT": "3000", "PYTHONPATH": str(ROOT), "PALAVER_MAX_TOKENS": "40"}
    with running_palaver(folder / "data", folder=folder, **settings) as palaver:
        yield palaver


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_every_command_succeeds(page: str, palaver: Palaver, folder: Path) -> None:
    blocks = [block for block in commands_run_by(TEST) if block.page == page]
    lines = "\n".join(line for block in blocks for line in block.lines)
    if "jq" in lines and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    done = run(
        lines.replace(EXAMPLE_MODEL, str(model_path(make_settings("unix:///nowhere")))), folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def run(lines: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """As somebody types them who does not go on after an error, and types a prompt behind them."""
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", lines],
        cwd=folder,
        env=environment(HOME=str(folder), PATH=path, PYTHONPATH=str(ROOT)),
        input="Hello.\n",
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
