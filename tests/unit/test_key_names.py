"""Key names in Redis are spelt in one file, `shared/store/keys.py`."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYS = ROOT / "shared/store/keys.py"
KEY_NAME = re.compile(r":?(conv|job|jobs|ready|lease|worker|doorbell):")


def spelt_in_python(source: str) -> list[str]:
    """String literals that begin like a key's name."""
    return [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if KEY_NAME.match(node.value)
    ]


def spelt_in_lua(source: str) -> list[str]:
    """The same in Lua, without comments."""
    code = re.sub(r"--.*", "", source)
    literals = re.findall(r"'([^'\n]*)'|\"([^\"\n]*)\"", code)
    return [text for pair in literals for text in pair if KEY_NAME.match(text)]


def test_key_names_are_spelt_in_one_file() -> None:
    sources = {
        path: path.read_text(encoding="utf-8")
        for folder in ("api", "cli", "shared", "worker")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".lua")
    }
    spelt = {
        path: spelt_in_lua(source) if path.suffix == ".lua" else spelt_in_python(source)
        for path, source in sources.items()
    }
    assert len(spelt.pop(KEYS)) > 5
    assert any(path.suffix == ".lua" for path in spelt)
    assert {path: names for path, names in spelt.items() if names} == {}


def test_a_key_name_elsewhere_is_noticed() -> None:
    assert spelt_in_python("x = 'job:1'")
    assert spelt_in_python("x = f'conv:{y}'")
    assert spelt_in_python("x = namespace + ':lease:' + job")
    assert not spelt_in_python("x = {'job': 1}")
    assert spelt_in_lua("redis.call('GET', 'job:' .. id) -- the job")
    assert spelt_in_lua("redis.call('GET', ns .. \":conv:\" .. id)")
    assert not spelt_in_lua("publish('{\"job\":1}') -- 'job:' is a comment")
