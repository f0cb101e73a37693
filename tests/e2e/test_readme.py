"""The README's command lines, literally."""

import re
import socket
import subprocess
from pathlib import Path

import orjson
import pytest

from tests.e2e.processes import ROOT, running_palaver

TESTED = re.compile(r"<!-- run by tests/e2e/test_readme.py -->\n```sh\n(.*?)```", re.DOTALL)


def port_3000_is_free() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", 3000)) != 0


def test_the_dialogue_answers_as_documented(tmp_path: Path) -> None:
    (lines,) = TESTED.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    commands = lines.strip().splitlines()
    assert len(commands) == 2
    if not port_3000_is_free():
        pytest.skip("port 3000, which the README's lines name, is in use on this machine")
    with running_palaver(tmp_path / "data", PORT="3000"):
        first, second = (
            orjson.loads(
                subprocess.run(
                    ["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True
                ).stdout
            )
            for command in commands
        )
    assert first["context"] == "Answer in one short sentence."
    assert first["reply"]
    assert second["id"] == first["id"]
    assert second["window"]["turns_kept"] == 2
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert set(second) | {"context"} == set(first)
