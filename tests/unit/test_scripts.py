"""The text that Redis runs: each script with what it needs, and little where it runs often."""

import re

import pytest

from shared.store.scripts import FOLDER, script_text

LIBRARY = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.joinpath("lib").iterdir()}
NAMES = [file.name.removesuffix(".lua") for file in FOLDER.iterdir() if file.is_file()]
DEFINITION = re.compile(r"^local function (\w+)|^local (\w+) =", re.MULTILINE)


def defined(text: str) -> set[str]:
    return {function or variable for function, variable in DEFINITION.findall(text)}


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_everything_of_the_library_that_it_uses(name: str) -> None:
    text = script_text(name)
    missing = set().union(*map(defined, LIBRARY.values())) - defined(text)
    code = re.sub(r"--.*", "", text)
    assert not {word for word in missing if re.search(rf"(?<![\w.'\"]){word}\b(?!')", code)}


@pytest.mark.parametrize("name", ["clock", "beat", "publish", "places", "announce"])
def test_what_runs_all_the_time_is_short(name: str) -> None:
    assert len(script_text(name)) < len(script_text("submit")) / 2
