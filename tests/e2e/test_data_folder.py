"""The data folder after a crash of the machine: what can be read is kept, and it is said."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from shared.errors import EX_CONFIG
from tests.e2e.processes import ROOT, Palaver, running_palaver
from tests.servers import environment


def say(palaver: Palaver, prompt: str, **fields: object) -> httpx.Response:
    body = {"prompt": prompt, "max_tokens": 4, **fields}
    return httpx.post(palaver.url, json=body, timeout=60)


def test_a_torn_tail_of_the_append_only_file_is_cut_off_with_a_message(tmp_path: Path) -> None:
    with running_palaver(tmp_path) as palaver:
        first = say(palaver, "Remember this.").json()
    [file] = (tmp_path / "redis").rglob("*.incr.aof")
    with open(file, "ab") as torn:
        torn.write(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf")
    with running_palaver(tmp_path) as palaver:
        palaver.wait_for(r"(?i)truncat")
        again = say(palaver, "Do you?", id=first["id"])
    assert again.status_code == 200
    assert again.json()["window"]["turns_kept"] == 2


def repair(data_dir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "repair"],
        cwd=ROOT,
        env=environment(PALAVER_DATA_DIR=str(data_dir), **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_damaged_append_only_file_stops_the_start_and_can_be_repaired(tmp_path: Path) -> None:
    with running_palaver(tmp_path) as palaver:
        first = say(palaver, "Remember this.").json()
        assert repair(tmp_path).returncode == 1, "not while a server runs"
        [file] = (tmp_path / "redis").rglob("*.incr.aof")
        whole = file.stat().st_size
        say(palaver, "This will be lost.")
    before = file.read_bytes()
    damaged = before[: whole + 200] + b"\0" * 40 + before[whole + 240 :]
    file.write_bytes(damaged)
    palaver = Palaver(tmp_path)
    assert palaver.wait(60) == EX_CONFIG
    assert palaver.text.count("cannot start") == 1, palaver.text
    assert "palaver repair" in palaver.text
    done = repair(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "about" in done.stdout
    [copy] = tmp_path.glob("redis-before-repair-*")
    assert (copy / file.name).read_bytes() == damaged
    assert [path for path in (copy, *copy.iterdir()) if path.stat().st_mode & 0o077] == []
    with running_palaver(tmp_path) as palaver:
        again = say(palaver, "Do you?", id=first["id"])
    assert again.status_code == 200
    assert again.json()["window"]["turns_kept"] == 2
    assert "nothing was changed" in repair(tmp_path).stdout


@pytest.mark.parametrize("variables", [{"REDIS_URL": "redis://localhost"}, {}])
def test_what_is_not_ours_to_mend_is_left_alone(tmp_path: Path, variables: dict[str, str]) -> None:
    done = repair(tmp_path, **variables)
    assert done.returncode == 1
    assert "cannot repair" in done.stderr
    assert list(tmp_path.iterdir()) == []
