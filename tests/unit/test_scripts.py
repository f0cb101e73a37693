"""The text that Redis runs: each script with what it needs of the library, and little else."""

import re

import pytest

from shared.store.keys import with_key_names
from shared.store.lua_library import used_part, without_comments
from shared.store.scripts import FOLDER, script_text

LIBRARY = [file.read_text(encoding="utf-8") for file in FOLDER.joinpath("lib").iterdir()]
NAMES = [file.name.removesuffix(".lua") for file in FOLDER.iterdir() if file.is_file()]
DEFINITION = re.compile(r"^local function (\w+)|^local (\w+) =", re.MULTILINE)


def defined(text: str) -> set[str]:
    return {function or variable for function, variable in DEFINITION.findall(text)}


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_everything_of_the_library_that_it_uses(name: str) -> None:
    text = script_text(name)
    missing = set().union(*map(defined, LIBRARY)) - defined(text)
    code = re.sub(r"'[^']*'", "''", text)
    assert not {word for word in missing if re.search(rf"(?<![\w.]){word}\b", code)}


@pytest.mark.parametrize("name", ["clock", "beat", "publish", "places", "announce"])
def test_what_runs_all_the_time_is_short(name: str) -> None:
    assert len(script_text(name)) < len(script_text("submit")) / 2


def test_of_a_library_only_what_is_used_stays_and_what_must_run() -> None:
    library = """
local A, B = 1, 2
local unused = {
  1,
}
local function inner() return A end
local function outer()
  if inner() then
    return 1
  end
end
for i = 1, 2 do ARGV[i] = i end
"""
    used = used_part(library, "return x.unused + outer()")
    assert defined(used) == {"inner", "outer"}
    assert "local A, B = 1, 2\n" in used
    assert "for i = 1" in used


def test_what_stands_behind_two_dots_is_used() -> None:
    assert used_part("local a = 1\nlocal b = 2\n", "return 'x'..a") == "local a = 1\n"


def test_names_of_keys_are_spelled_out() -> None:
    assert with_key_names("return {key.leases, key.messages(f(key.job(id)))}") == (
        "local ns = ARGV[1] .. ':'\n"
        "return {(ns .. 'leases'), (ns .. 'conv:' .. (f((ns .. 'job:' .. (id)))) .. ':messages')}"
    )


def test_a_key_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        with_key_names("return key.nothing")


def test_an_id_that_does_not_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="not closed"):
        with_key_names("return key.job(f(id)")


def test_comments_are_left_out() -> None:
    assert without_comments("-- why\n  -- and how\nreturn '--'\n") == "return '--'\n"
