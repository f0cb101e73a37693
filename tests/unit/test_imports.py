"""Who may import whom, and where key names stand: walks the syntax trees of all sources."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "worker", "shared")
SOURCES = sorted(
    str(file.relative_to(ROOT)) for package in PACKAGES for file in (ROOT / package).rglob("*.py")
)
SCRIPTS = sorted(str(file.relative_to(ROOT)) for file in (ROOT / "shared/store/lua").glob("*.lua"))
LLAMA = {
    f"worker/engine/{name}.py"
    for name in (
        "batch",
        "conversion",
        "devices",
        "library_log",
        "model",
        "model_file",
        "options",
        "sampler",
        "vocabulary",
    )
}
FORBIDDEN = {"api": ("worker",), "worker": ("api",), "shared": ("api", "worker")}
KEY_NAME = re.compile(r":?(conv|job|jobs|ready|lease|worker|doorbell):")


def imported(source: str, path: str) -> Iterator[str]:
    """The full names of the modules that a source imports, relative ones resolved."""
    package = list(Path(path).parent.parts)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module or ""]).strip(".")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def strangers(source: str, path: str) -> list[str]:
    """What this source imports against the rules."""
    own = Path(path).parts[0]
    bad = [name for name in imported(source, path) if within(name, *FORBIDDEN[own])]
    if path.startswith("worker/engine/"):
        bad += [
            name
            for name in imported(source, path)
            if within(name, *PACKAGES) and not within(name, "worker.engine")
            if name != "worker"
        ]
    if path not in LLAMA:
        bad += [name for name in imported(source, path) if within(name, "llama_cpp")]
    return bad


def key_names(source: str) -> list[str]:
    """String literals that begin like a key's name."""
    return [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if KEY_NAME.match(node.value)
    ]


def lua_key_names(source: str) -> list[str]:
    """The same in Lua, comments left out."""
    code = re.sub(r"--.*", "", source)
    literals = re.findall(r"'([^'\n]*)'|\"([^\"\n]*)\"", code)
    return [text for pair in literals for text in pair if KEY_NAME.match(text)]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_there_is_something_to_judge() -> None:
    assert set(SOURCES) > LLAMA
    assert "shared/store/lua/lib.lua" in SCRIPTS


@pytest.mark.parametrize("path", SOURCES)
def test_imports_run_from_api_and_worker_to_shared(path: str) -> None:
    assert strangers(read(path), path) == []


@pytest.mark.parametrize("path", [path for path in SOURCES if path != "shared/store/keys.py"])
def test_key_names_stand_in_one_file(path: str) -> None:
    assert key_names(read(path)) == []


@pytest.mark.parametrize("path", SCRIPTS)
def test_scripts_take_key_names_from_their_table(path: str) -> None:
    assert lua_key_names(read(path)) == []


def test_key_names_are_where_they_belong() -> None:
    assert len(key_names(read("shared/store/keys.py"))) > 5


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("api/conversations/chat.py", "import worker"),
        ("api/conversations/chat.py", "from worker.prompt.window import trim"),
        ("api/conversations/chat.py", "def f():\n    from ...worker import window"),
        ("worker/reply.py", "from api import app"),
        ("shared/store/claims.py", "import worker.prompt.window, os"),
        ("shared/store/claims.py", "from api.app import create_app"),
        ("worker/engine/engine.py", "from shared.errors import PalaverError"),
        ("worker/engine/engine.py", "from worker.prompt.window import trim"),
        ("worker/engine/engine.py", "from worker import window"),
        ("worker/engine/engine.py", "import llama_cpp"),
        ("worker/engine_setup.py", "from llama_cpp import llama_chat_format"),
    ],
)
def test_an_import_against_the_rules_is_noticed(path: str, source: str) -> None:
    assert strangers(source, path)


def test_a_key_name_elsewhere_is_noticed() -> None:
    assert key_names("x = 'job:1'")
    assert key_names("x = f'conv:{y}'")
    assert key_names("x = namespace + ':lease:' + job")
    assert not key_names("x = {'job': 1}")
    assert lua_key_names("redis.call('GET', 'job:' .. id) -- the job")
    assert lua_key_names("redis.call('GET', ns .. \":conv:\" .. id)")
    assert not lua_key_names("emit('{\"job\":1}') -- 'job:' is a comment")
