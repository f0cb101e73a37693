"""A data folder of an older version starts and goes on; an older version refuses a newer one's."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from shared.errors import EX_CONFIG
from tests.e2e.old_data.make import COMMITS, WAITING, archive_of, old_version
from tests.e2e.processes import Palaver, running_palaver
from tests.servers import environment, free_port

ENDS_S = 50


@pytest.fixture(scope="module", params=COMMITS)
def data_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def palaver(data_format: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palaver]:
    data = tmp_path_factory.mktemp("data")
    with tarfile.open(archive_of(data_format)) as packed:
        packed.extractall(data, filter="data")
    # One thread: several that wait for one another would crawl on a busy machine.
    with running_palaver(data, PALAVER_THREADS="1") as palaver:
        yield palaver


def test_turns_that_waited_are_answered(palaver: Palaver) -> None:
    with palaver.client() as client:
        listed = get(client, "/conversations")["conversations"]
        waited = [one["id"] for one in listed if one["title"] in WAITING]
        assert len(waited) == len(WAITING)
        for conversation in waited:
            pending = get(client, f"/conversations/{conversation}")["pending"]
            assert all(
                get(client, f"/jobs/{job}?wait={ENDS_S}")["status"] == "completed"
                for job in pending
            )
            assert get(client, f"/conversations/{conversation}")["turns"] == 1


def test_conversations_are_read_and_continued(palaver: Palaver, data_format: str) -> None:
    with palaver.client() as client:
        listed = get(client, "/conversations")["conversations"]
        (first,) = (one for one in listed if one["title"] == "Name a famous person.")
        messages = get(client, f"/conversations/{first['id']}/messages")["messages"]
        assert [one["content"] for one in messages[::2]] == ["Name a famous person.", "When?"]
        assert all(one["content"] for one in messages[1::2])
        answer = client.post("/", json={"id": first["id"], "prompt": "Go on.", "max_tokens": 8})
        assert answer.json()["window"]["turns_kept"] == 3
        (made,) = (one for one in listed if one["metadata"])
        shown = get(client, f"/conversations/{made['id']}/messages")["messages"]
    assert [one["role"] for one in shown][:2] == ["user", "assistant"]
    with_call = [one for one in shown if "tool_calls" in one]
    assert len(with_call) == (data_format == "2")
    assert [one["content"] for one in shown if one["role"] == "tool"] == ["Rain."] * len(with_call)


def test_a_backup_of_it_can_be_made(palaver: Palaver, tmp_path: Path) -> None:
    variables = environment(REDIS_URL=palaver.redis_url)
    command = [sys.executable, "-m", "cli", "backup", str(tmp_path / "file")]
    made = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    assert " conversations with " in made.stderr


def test_an_older_process_refuses_it_by_name(palaver: Palaver, data_format: str) -> None:
    """Workers have raised the format; the old version does not read it, and says so."""
    with Redis.from_url(palaver.redis_url, decode_responses=True) as redis:
        assert redis.get("palaver:schema") == "3"
    try:
        with old_version(data_format) as code:
            for part in ("api", "worker"):
                started = subprocess.run(
                    [sys.executable, "-m", part],
                    cwd=code,
                    env=environment(REDIS_URL=palaver.redis_url, PORT=str(free_port())),
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                assert started.returncode == EX_CONFIG, started.stderr
                assert "the data in Redis have format 3" in started.stdout + started.stderr
    except subprocess.CalledProcessError:
        pytest.skip("the git history does not have that version")


def get(client: httpx.Client, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()
