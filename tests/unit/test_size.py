"""No file and no function grows beyond what one can hold in mind."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    str(file.relative_to(ROOT))
    for folder in ("api", "worker", "shared", "tests", "bench")
    for file in (ROOT / folder).rglob("*.py")
)
MAX_FILE = 400
MAX_FUNCTION = 55


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def long_functions(source: str) -> list[str]:
    """The functions of a source that are too long, with their lengths."""
    return [
        f"{node.name}: {length} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION
    ]


@pytest.mark.parametrize("path", SOURCES)
def test_files_are_short(path: str) -> None:
    num_lines = read(path).count("\n")
    assert num_lines <= MAX_FILE


@pytest.mark.parametrize("path", SOURCES)
def test_functions_are_short(path: str) -> None:
    assert long_functions(read(path)) == []


def test_what_is_too_long_is_noticed() -> None:
    assert "shared/store/claims.py" in SOURCES
    assert long_functions("def f():\n" + "    x = 1\n" * 54) == []
    assert long_functions("class C:\n  async def f(self):\n" + "    x = 1\n" * 55) == [
        "f: 56 lines"
    ]
