"""Every block of commands on a page is run by a test, or says why it is not."""

import re
from pathlib import Path

import pytest

from tests.documented import PAGES, ROOT, Commands, commands_on

BLOCKS = [block for page in PAGES for block in commands_on(page)]
MODULE = re.compile(r"\bpython3? -m ((?:bench|tests)[\w.]*)")
PATH = re.compile(r"tests/[\w/.]+")


def test_there_are_blocks() -> None:
    assert len(BLOCKS) > 40


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_it_is_run_or_says_why_not(block: Commands) -> None:
    assert block.test or block.why


def test_what_runs_it_exists() -> None:
    named = {path for block in BLOCKS for path in PATH.findall(f"{block.test} {block.why}")}
    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_test_that_runs_blocks_reads_them_from_the_page() -> None:
    for block in BLOCKS:
        if block.test:
            code = (ROOT / block.test).read_text(encoding="utf-8")
            assert "read_text" in code or "commands_run_by" in code, block


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line for block in BLOCKS for line in block.lines]
    named = {word for line in lines for word in re.findall(r"\bmake ([a-z]+)", line)}
    assert len(named) > 5
    assert named <= targets


def test_measuring_modules_exist() -> None:
    lines = [line for block in BLOCKS for line in block.lines]
    named = {name for line in lines for name in MODULE.findall(line)}
    assert len(named) > 2
    assert [name for name in named if not _is_module(name)] == []


def _is_module(name: str) -> bool:
    path = Path(ROOT, *name.split("."))
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()
