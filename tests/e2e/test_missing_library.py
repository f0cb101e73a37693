"""A build of llama.cpp whose libraries are not here is told of in one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import EX_CONFIG
from tests.e2e.processes import ROOT
from tests.servers import environment

REASON = "Failed to load shared library 'libggml.so': libcublas.so.13: cannot open shared object"


@pytest.mark.parametrize(("module", "status"), [("worker.child", EX_CONFIG), ("worker.check", 1)])
def test_a_missing_library_is_no_traceback(tmp_path: Path, module: str, status: int) -> None:
    (tmp_path / "llama_cpp").mkdir()
    (tmp_path / "llama_cpp" / "__init__.py").write_text(f"raise RuntimeError({REASON!r})\n")
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environment(PYTHONPATH=str(tmp_path), REDIS_URL="redis://127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status
    [line] = done.stderr.splitlines()
    assert REASON in line
