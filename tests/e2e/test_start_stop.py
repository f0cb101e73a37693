"""Starting and stopping as a user does: one command, Ctrl-C, a closed terminal, mishaps."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import ROOT, Palaver, running_palaver, wait_until_gone
from tests.servers import environment, is_alive, process_tree, running_valkey


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "a folder with spaces"


def children_named(palaver: Palaver, name: str) -> list[int]:
    """Processes whose command line names a module or program."""
    found = []
    for pid in palaver.processes():
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if name in command:
            found.append(pid)
    return found


def test_a_conversation_survives_a_restart_of_everything(data_dir: Path) -> None:
    body = {"prompt": "My name is Ada.", "context": "Be brief.", "max_tokens": 8}
    with running_palaver(data_dir) as palaver, palaver.client() as client:
        first = client.post("/", json=body).json()
    with running_palaver(data_dir) as palaver, palaver.client() as client:
        again = {"prompt": "What is my name?", "id": first["id"], "max_tokens": 8}
        second = client.post("/", json=again).json()
    assert second["window"]["turns_kept"] == 2
    assert second["usage"]["prompt_tokens"] > first["usage"]["total_tokens"]
    stored = [data_dir / "redis", *(data_dir / "redis").rglob("*")]
    assert len(stored) > 1
    assert [path for path in stored if path.stat().st_mode & 0o077] == [], "nobody else reads it"


@pytest.mark.parametrize("how", ["ctrl-c", "terminal closed", "honcho killed"])
def test_nothing_is_left_behind(data_dir: Path, how: str) -> None:
    palaver = Palaver(data_dir, workers=2).wait_until_ready(2)
    pids = palaver.processes()
    assert len(pids) >= 10
    if how == "honcho killed":
        os.kill(palaver.pid, signal.SIGKILL)
    else:
        palaver.signal(signal.SIGINT if how == "ctrl-c" else signal.SIGHUP)
    palaver.wait()
    assert wait_until_gone(pids) == []


def test_ctrl_c_in_mid_reply_answers_and_loses_nothing(data_dir: Path) -> None:
    body = {"prompt": "Tell me a long story.", "max_tokens": 400, "ignore_eos": True}
    with running_palaver(data_dir) as palaver, palaver.client() as client:
        accepted = client.post("/", json=body, headers={"Prefer": "wait=1"})
        job = accepted.json()
        assert accepted.status_code == 202
    with running_palaver(data_dir) as palaver, palaver.client() as client:
        deadline = time.monotonic() + 60
        while (state := client.get(job["links"]["self"]).json())["status"] != "completed":
            assert time.monotonic() < deadline, state
            time.sleep(0.05)
    assert state["attempts"] == 1
    assert state["result"]["usage"]["completion_tokens"] == 400


def begin_long_reply(palaver: Palaver) -> str:
    """The path of a job that is being answered."""
    body = {"prompt": "Tell me a long story.", "max_tokens": 400, "ignore_eos": True}
    with palaver.client() as client:
        job = client.post("/jobs", json=body).json()["links"]["self"]
        deadline = time.monotonic() + 30
        while client.get(job).json()["status"] != "in_progress":
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return str(job)


def until_completed(palaver: Palaver, job: str) -> dict[str, Any]:
    with palaver.client() as client:
        deadline = time.monotonic() + 120
        while (state := client.get(job).json())["status"] != "completed":
            assert time.monotonic() < deadline, state
            time.sleep(0.05)
    assert state["result"]["usage"]["completion_tokens"] == 400
    return dict(state)


def test_a_stop_of_all_processes_at_once_charges_nothing(data_dir: Path) -> None:
    """As systemd does it: the server is told, too, while the worker has yet to hand over."""
    with running_palaver(data_dir, workers=2) as palaver:
        job, pids = begin_long_reply(palaver), palaver.processes()
        (server,) = children_named(palaver, "valkey-server")
        os.kill(server, signal.SIGTERM)
        time.sleep(0.5)  # it looks for signals ten times a second
        assert is_alive(server), "it does not go before its clients"
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        palaver.wait()
        assert wait_until_gone(pids) == []
    with running_palaver(data_dir) as palaver:
        assert until_completed(palaver, job)["attempts"] == 1


def test_the_server_goes_after_its_clients_when_its_supervisor_is_killed(data_dir: Path) -> None:
    with running_palaver(data_dir) as palaver:
        job, pids = begin_long_reply(palaver), palaver.processes()
        (supervisor,) = children_named(palaver, "-m shared.process.embedded")
        os.kill(supervisor, signal.SIGKILL)
        palaver.wait()
        assert wait_until_gone(pids) == []
    with running_palaver(data_dir) as palaver:
        assert until_completed(palaver, job)["attempts"] == 1


def run_palaver(data_dir: Path, *arguments: str) -> str:
    """What a command says about the server on this data folder."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env=environment(PALAVER_DATA_DIR=str(data_dir)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def busy_worker(data_dir: Path) -> str:
    """The id of the one that runs a turn, once its report says so."""
    deadline = time.monotonic() + 30
    while True:
        rows = [line.split() for line in run_palaver(data_dir, "workers").splitlines()[1:]]
        busy = [row[0] for row in rows if row[-2:] == ["1", "serving"]]
        if busy:
            return busy[0]
        assert time.monotonic() < deadline, rows


def test_a_drained_worker_hands_over_and_is_not_started_again(data_dir: Path) -> None:
    with running_palaver(data_dir, workers=2, PALAVER_HEARTBEAT="0.5") as palaver:
        job = begin_long_reply(palaver)
        worker = busy_worker(data_dir)
        assert run_palaver(data_dir, "drain", worker, "--wait") == f"{worker} drains\n"
        palaver.wait_for("worker has drained, and is not started again")
        assert until_completed(palaver, job)["attempts"] == 1
        assert worker not in run_palaver(data_dir, "workers")
        assert len(children_named(palaver, "-m worker.child")) == 1
        pids = palaver.processes()
    assert wait_until_gone(pids) == []


def test_a_killed_supervisor_takes_its_child_along(data_dir: Path) -> None:
    with running_palaver(data_dir, PALAVER_LEASE="2") as palaver:
        job, pids = begin_long_reply(palaver), palaver.processes()
        (supervisor, *_) = children_named(palaver, "-m worker")
        (child,) = children_named(palaver, "-m worker.child")
        os.kill(supervisor, signal.SIGKILL)
        assert wait_until_gone([child]) == []
        palaver.wait()
        assert wait_until_gone(pids) == []
    with running_palaver(data_dir, PALAVER_LEASE="2") as palaver:
        until_completed(palaver, job)


def test_nohup_is_respected(data_dir: Path) -> None:
    palaver = Palaver(data_dir, BEFORE="nohup")
    try:
        palaver.wait_until_ready()
        pids = palaver.processes()
        palaver.signal(signal.SIGHUP)
        for pid in pids:
            os.kill(pid, signal.SIGHUP)
        with palaver.client() as client:
            answer = client.post("/", json={"prompt": "Still there?", "max_tokens": 4})
        assert answer.status_code == 200
        assert palaver.processes() == pids
    finally:
        palaver.stop()


def test_a_killed_worker_takes_nothing_else_down(data_dir: Path) -> None:
    with running_palaver(data_dir) as palaver, palaver.client() as client:
        before = set(palaver.processes())
        (child,) = children_named(palaver, "worker.child")
        os.kill(child, signal.SIGKILL)
        palaver.wait_for(r"worker \S+ is ready", 2)
        answer = client.post("/", json={"prompt": "Hello", "max_tokens": 4})
        assert answer.status_code == 200
        assert before - {child} <= set(palaver.processes())


def test_a_killed_redis_comes_back_with_everything(data_dir: Path) -> None:
    with running_palaver(data_dir) as palaver, palaver.client() as client:
        first = client.post("/", json={"prompt": "Hello", "max_tokens": 4}).json()
        time.sleep(1.1)  # the append-only file is synced once a second: what is older is safe
        (server,) = children_named(palaver, "valkey-server")
        os.kill(server, signal.SIGKILL)
        palaver.wait_for("redis ended with status")
        deadline = time.monotonic() + 20
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, palaver.text
            time.sleep(0.05)
        answer = client.post("/", json={"prompt": "Again", "id": first["id"], "max_tokens": 4})
        assert answer.status_code == 200, answer.text
        assert answer.json()["window"]["turns_kept"] == 2


def test_a_busy_port_is_a_clear_message(data_dir: Path) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        port = occupant.getsockname()[1]
        palaver = Palaver(data_dir, PORT=str(port))
        assert palaver.wait() == 78
    assert f"cannot start: PORT={port}: cannot listen" in palaver.text


def test_a_second_start_on_the_same_data_is_a_clear_message(data_dir: Path) -> None:
    with running_palaver(data_dir) as first:
        second = Palaver(data_dir)
        assert second.wait() == 78
        assert "another Palaver" in second.text
        assert str(data_dir) in second.text
        with first.client() as client:
            assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [("PALAVER_LEASE", "soon"), ("PALAVER_MODEL_PATH", "/nowhere.gguf"), ("HOST", "0.0.0.0")],
)
def test_a_bad_setting_stops_the_start_by_name(data_dir: Path, name: str, value: str) -> None:
    variables: dict[str, Any] = {name: value}
    palaver = Palaver(data_dir, 1, **variables)
    assert palaver.wait() == 78
    assert f"cannot start: {name}={value}" in palaver.text


def test_a_broken_model_stops_the_start_with_a_message(data_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF but not really")
    palaver = Palaver(data_dir, PALAVER_MODEL_PATH=str(broken))
    assert palaver.wait() == 78
    assert "llama.cpp cannot load this model" in palaver.text


def test_with_redis_url_that_server_is_used(data_dir: Path) -> None:
    with (
        running_valkey() as server,
        running_palaver(data_dir, REDIS_URL=server.url) as palaver,
        palaver.client() as client,
    ):
        answer = client.post("/", json={"prompt": "Hello", "max_tokens": 4})
        assert answer.status_code == 200
        assert not (data_dir / "redis").exists()
        pids = process_tree(palaver.pid)
        palaver.stop()
        assert wait_until_gone(pids) == []
