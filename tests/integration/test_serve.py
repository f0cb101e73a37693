"""`palaver serve`: what it refuses, and what its processes are told."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.config import load_settings
from shared.errors import EX_CONFIG
from shared.process.launch import environment as environment_of
from tests.integration.test_cli import ROOT
from tests.servers import environment, free_port


def serve(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "serve", *arguments],
        cwd=ROOT,
        env=environment(PORT=str(free_port()), PALAVER_DATA_DIR=str(folder)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_the_lines_of_another_procfile_are_started(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    both_run = "until [ -e worker.1 -a -e worker.2 ]; do sleep 0.05; done"
    line = f"cd {tmp_path}; echo I am $HONCHO_PROCESS_NAME; touch $HONCHO_PROCESS_NAME; {both_run}"
    file.write_text(f"worker: {line}; exit 3\n")
    done = serve(tmp_path, "--workers", "2", "--procfile", str(file))
    assert done.returncode == 3
    for name in ("worker.1", "worker.2"):
        assert f"I am {name}" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--workers", "-1"), "--workers -1: allowed are 0 and more"),
        (("--procfile", "/no/such/file"), "--procfile /no/such/file: there is no such file"),
    ],
)
def test_what_cannot_be_started_is_named(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    done = serve(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (EX_CONFIG, "")
    assert done.stderr == f"palaver: cannot start: {reason}\n"


def test_ctrl_c_does_not_wait_for_replies_unless_it_is_set() -> None:
    assert environment_of(load_settings(), 1)["PALAVER_GRACE"] == "0"
    set_elsewhere = environment_of(load_settings(PALAVER_GRACE=7), 1)
    assert "PALAVER_GRACE" not in set_elsewhere, "each process reads it where it stands"


def test_nothing_of_the_current_folder_is_run_where_path_is_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    folders = environment_of(load_settings(), 1)["PATH"].split(":")
    assert folders[0] == str(Path(sys.prefix) / "bin")
    assert "" not in folders
