"""The kit that measures a GPU, in small and on the CPU: every step gives rows, none is lost."""

import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from bench.gpu import kit
from bench.gpu.report import markdown
from bench.gpu.run import STEPS, Plan, Results, run_step, wait
from tests.e2e.processes import ROOT, wait_until_gone


@pytest.mark.timeout(300)
def test_a_run_in_small_fills_every_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu.run", "--profile", "tiny", "--output"]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    known = json.loads((tmp_path / "results.json").read_text())
    assert list(known["steps"]) == list(STEPS)
    assert all(step["rows"] for step in known["steps"].values())
    decoding = known["steps"]["engine"]["rows"]
    assert {(row["sequences"], row["sampling"]) for row in decoding} == {
        (count, kind) for count in (1, 4) for kind in ("defaults", "greedy", "penalties")
    }
    assert (tmp_path / "report.md").read_text() == markdown(known)
    for name in STEPS:
        assert f"## {name}" in done.stdout


def test_a_step_that_fails_costs_no_other(tmp_path: Path) -> None:
    results = Results(tmp_path, None)
    plan = Plan(profile="tiny", model=str(tmp_path / "missing.gguf"), batched_bench=None)
    deadline = time.monotonic() + 60
    run_step("machine", plan, results, dict(os.environ), deadline)
    run_step("state", plan, results, dict(os.environ), deadline)
    run_step("moves", plan, results, dict(os.environ), time.monotonic())
    known = json.loads((tmp_path / "results.json").read_text())["steps"]
    assert known["machine"]["rows"]
    assert known["state"]["error"] == "exit status 1"
    assert "missing.gguf" in "\n".join(known["state"]["log"])
    assert known["moves"]["skipped"] == "no time was left"
    assert results.failed == ["state"]


def test_a_step_that_takes_too_long_ends_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path / 'pid'}; sleep 60"
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    assert wait(process, 0.5) == "not done after 0 s"
    started = int((tmp_path / "pid").read_text())
    assert wait_until_gone([process.pid, started]) == []


def test_a_steps_status_is_told() -> None:
    process = subprocess.Popen(["sh", "-c", "exit 3"], start_new_session=True)
    assert wait(process, 20) == "exit status 3"


def test_a_kit_is_an_environment_of_its_own(tmp_path: Path) -> None:
    source, target = tmp_path / "kit", tmp_path / "unpacked"
    (source / kit.WHEELS).mkdir(parents=True)
    (tmp_path / "libllama.so").write_text("library")
    with tarfile.open(source / kit.BUILD, "w:xz") as archive:
        archive.add(tmp_path / "libllama.so", str(kit.LIBRARIES / "libllama.so"))
    with zipfile.ZipFile(source / kit.WHEELS / "some-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("some/server", b"\x7fELF")
        wheel.writestr("some/__init__.py", "")
    target.mkdir()
    unpacked = kit.unpack(source, target)
    assert (target / kit.LIBRARIES / "libllama.so").read_text() == "library"
    assert os.access(target / "site" / "some" / "server", os.X_OK)
    assert not os.access(target / "site" / "some" / "__init__.py", os.X_OK)
    found = unpacked.environment["PYTHONPATH"].split(os.pathsep)
    assert found == [str(target / "python"), str(target / "site")]
    assert unpacked.environment["LD_LIBRARY_PATH"].startswith(str(target / kit.LIBRARIES))
