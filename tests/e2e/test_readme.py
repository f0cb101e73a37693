"""The command lines of README and docs, literally."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.e2e.processes import ROOT, Palaver, running_palaver

README = "README.md"
GETTING_STARTED = "docs/getting-started.md"


def commands(page: str, name: str) -> list[str]:
    """The lines of the block under the comment that names it."""
    pattern = rf"<!-- run by tests/e2e/test_readme.py{name} -->\n```sh\n(.*?)```"
    text = (ROOT / page).read_text(encoding="utf-8")
    (lines,) = re.findall(pattern, text, re.DOTALL)
    return str(lines).strip().splitlines()


@pytest.fixture(scope="module")
def palaver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palaver]:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 3000)) == 0:
            pytest.skip("port 3000, which the lines name, is in use on this machine")
    with running_palaver(tmp_path_factory.mktemp("readme"), PORT="3000") as palaver:
        yield palaver


def run(command: str, folder: Path) -> bytes:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, check=True, timeout=60
    ).stdout


def test_the_dialogue_answers_as_documented(palaver: Palaver, tmp_path: Path) -> None:
    lines = commands(README, "")
    assert len(lines) == 2
    first, second = (orjson.loads(run(line, tmp_path)) for line in lines)
    assert first["context"] == "Answer in one short sentence."
    assert first["reply"]
    assert second["id"] == first["id"]
    assert second["window"]["turns_kept"] == 2
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert set(second) | {"context"} == set(first)


def test_every_mode_answers_as_documented(palaver: Palaver, tmp_path: Path) -> None:
    outputs = [run(line, tmp_path) for line in commands(GETTING_STARTED, ": modes")]
    accepted, waited, events, cancelled, streamed, sync, once = outputs
    job = orjson.loads(accepted)
    finished = orjson.loads(waited)
    assert job["status"] in ("queued", "in_progress")
    assert (finished["job"], finished["status"]) == (job["job"], "completed")
    assert orjson.loads(cancelled) == finished, "a finished job is not changed"
    for stream in (events, streamed):
        kinds = re.findall(rb"^event: (\w+)$", stream, re.MULTILINE)
        assert kinds[0] == b"queued"
        assert b"token" in kinds
        assert kinds[-1] == b"completed"
    assert orjson.loads(sync)["reply"]
    assert orjson.loads(once)["reply"]


def test_an_edit_replaces_as_documented(palaver: Palaver, tmp_path: Path) -> None:
    first, edited, page = (
        orjson.loads(run(line, tmp_path)) for line in commands(GETTING_STARTED, ": edit")
    )
    assert edited["id"] == first["id"]
    messages = page["messages"]
    assert [message["number"] for message in messages] == [1, 2]
    assert messages[0]["content"] == edited["prompt"] == "Name an ocean."
    assert messages[1]["content"] == edited["reply"]


def test_the_example_streams_a_whole_reply(palaver: Palaver) -> None:
    command = f"{sys.executable} {ROOT}/examples/resume.py 'Say hello.'"
    assert run(command, ROOT).strip()
