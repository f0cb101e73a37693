"""The page's modules that draw nothing, without a browser: `page/*.test.js`, run by Node.

Nobody else needs Node; where it is missing these tests are skipped.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted((Path(__file__).parent / "page").glob("*.test.js"))
OLDEST = (20, 19)
"""Loads modules without being told that they are some."""


@pytest.fixture(scope="module")
def node() -> str:
    path = shutil.which("node")
    if path is None:
        pytest.skip("needs Node")
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, re.findall(r"\d+", shown)[:2])) < OLDEST:
        pytest.skip(f"needs Node {OLDEST[0]}.{OLDEST[1]}, there is {shown.strip()}")
    return path


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_the_page(node: str, file: Path) -> None:
    run = subprocess.run([node, "--test", str(file)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_there_are_some() -> None:
    assert len(TESTS) >= 2
