"""What `palaver` loads: a command's help and a chat need nothing of the server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("falcon", "redis", "pydantic", "llama_cpp", "numpy", "uvicorn", "uvloop", "arq", "orjson")
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


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("chat", "--context"),
        ("bench", "--users"),
        ("doctor", "--help"),
        ("repair", "--help"),
        ("keys", "create"),
    ],
)
def test_help_loads_nothing_of_the_server(command: str, argument: str) -> None:
    report = probed(command, "--help")
    assert argument in report["out"]
    assert not {module.partition(".")[0] for module in report["modules"]} & {*HEAVY}
    assert len(report["modules"]) < MOST_MODULES


@pytest.mark.parametrize("module", ["cli.chat", "cli.bench", "cli.client", "shared.wire.sse"])
def test_what_talks_to_a_server_loads_nothing_of_it(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {name.partition(".")[0] for name in json.loads(done.stdout)} & {*HEAVY}
