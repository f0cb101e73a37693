"""Clients for Node.js, unmodified: what each was given is the last line that its script prints."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Serve

FOLDER = Path(__file__).with_name("node")
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NODE is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").exists(),
        reason="its clients are not installed: npm install in tests/clients/node",
    ),
]


@pytest.mark.parametrize("script", ["openai", "anthropic", "ai_openai", "ai_anthropic"])
def test_a_quick_start_shows_the_reply(serve: Serve, script: str) -> None:
    served = serve(lambda _: "Hello from the model.")
    command = [str(NODE), f"{script}.mjs", f"{served.url.rstrip('/')}/"]
    run = subprocess.run(
        command, cwd=FOLDER, capture_output=True, text=True, timeout=50, check=False
    )
    assert run.returncode == 0, run.stderr
    assert set(json.loads(run.stdout.splitlines()[-1])) == {"Hello from the model."}
