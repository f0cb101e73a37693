"""What `palaver` loads: a command's help and a chat need nothing of the server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
SERVER = {"falcon", "redis", "pydantic", "llama_cpp", "numpy", "uvicorn", "uvloop", "arq", "orjson"}
TERMINAL = {"rich", "prompt_toolkit", "markdown_it", "pygments", "shtab"}
"""Worth their time only where a person looks, or asks for a completion."""
HEAVY = SERVER | TERMINAL
MOST_MODULES = 200
"""Of the standard library for the most part; with all settings there are more than 300."""

# In a process of its own: this one has loaded them all.
PROBE = """
import contextlib, io, json, sys
sys.argv = ["palaver", *json.loads(sys.argv[1])]
from cli.__main__ import main
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    main()
print(json.dumps({"out": out.getvalue(), "modules": list(sys.modules)}))
"""


def probed(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-c", PROBE, json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def loaded(report: dict[str, Any]) -> set[str]:
    return {module.partition(".")[0] for module in report["modules"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_of_the_server(command: str) -> None:
    report = probed(command, "--help")
    assert f"usage: palaver {command} " in report["out"]
    assert not loaded(report) & HEAVY
    assert len(report["modules"]) < MOST_MODULES


def test_all_commands_are_listed_and_none_is_loaded() -> None:
    report = probed("--help")
    assert all(
        f"\n    {name} " in report["out"] or f"\n    {name}\n" in report["out"] for name in COMMANDS
    )
    assert not [name for name in report["modules"] if name.startswith("cli.commands.")]
    assert not loaded(report) & HEAVY


def test_each_command_has_a_file_and_each_file_a_command() -> None:
    files = {path.stem for path in (ROOT / "cli" / "commands").glob("*.py")}
    assert files - {"__init__"} == set(COMMANDS)


@pytest.mark.parametrize(
    "module", ["cli.dialogue", "cli.one_shot", "cli.bench", "cli.client", "shared.wire.sse"]
)
def test_what_talks_to_a_server_loads_nothing_of_it(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {name.partition(".")[0] for name in json.loads(done.stdout)} & HEAVY
