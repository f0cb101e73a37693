"""The `palaver` command as a process, against a server with a scripted engine."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import EX_CONFIG
from shared.store.keys import Keys
from shared.store.workers import Workers
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import (
    Stack,
    as_in_a_terminal,
    environment,
    free_port,
    running_stack,
    running_valkey,
    running_worker,
)
from worker.engine.interface import EngineError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30
CHAT = "chat", "--interactive"
"""A dialogue through pipes."""


class Command:
    """A running `palaver …`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.text = ""

    async def until(self, pattern: str) -> None:
        """Return when this has been written."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while not re.search(pattern, self.text):
                piece = await self._process.stdout.read(4096)
                assert piece, f"{pattern!r} did not come: {self.text}"
                self.text += piece.decode()

    async def send(self, *lines: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        await self._process.stdin.drain()

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self._process.kill()

    async def ends(self) -> int:
        """Its status, after the end of its input."""
        async with asyncio.timeout(PATIENCE_S):
            out, _ = await self._process.communicate(b"")
            self.text += out.decode()
        assert self._process.returncode is not None
        return self._process.returncode


@asynccontextmanager
async def palaver(folder: Path, *arguments: str, **variables: str) -> AsyncIterator[Command]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", *arguments,
        cwd=ROOT,
        env=environment(XDG_STATE_HOME=str(folder), PYTHONUNBUFFERED="1", **variables),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=as_in_a_terminal,
    )  # fmt: skip
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def server(stack: Stack) -> tuple[str, str]:
    return "--url", str(stack.client.base_url).rstrip("/")


def script(prompt: str) -> str:
    said = last_prompt(prompt)
    if said == "fail":
        raise EngineError("as asked")
    return f"You said: {said}\x1b[2J"


async def test_a_conversation_is_continued(settings: Settings, tmp_path: Path) -> None:
    async with running_stack(settings, ScriptedEngine(script)) as stack:
        async with palaver(
            tmp_path, "chat", "--interactive", *server(stack), "--context", "Be brief."
        ) as chat:
            await chat.send("Hello.", "fail", "/no", "two\\", "lines", "/retry")
            assert await chat.ends() == 0
        assert "You said: Hello.[2J" in chat.text, "what a terminal would obey is left out"
        assert "(failed: " in chat.text
        assert "Unknown command /no" in chat.text
        async with palaver(tmp_path, *CHAT, *server(stack)) as chat:
            await chat.until(r"Continuing conversation \d+ \(2 turns\)")
            await chat.send("/history", "Still there?", "/new", "Anew.")
            assert await chat.ends() == 0
        assert chat.text.count("> two\nlines\n") >= 1
        [conversation] = re.findall(r"Continuing conversation (\d+)", chat.text)
        page = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
        said = [message["content"] for message in page["messages"] if message["role"] == "user"]
        assert said == ["Hello.", "two\nlines", "Still there?"]
        shown = (await stack.client.get(f"/conversations/{conversation}")).json()
        assert shown["context"] == "Be brief."


async def test_one_of_several_models_is_chosen(settings: Settings, tmp_path: Path) -> None:
    engines = [ScriptedEngine(name=name, fingerprint=name) for name in ("first", "second")]
    async with running_stack(settings, *engines) as stack:
        async with asyncio.timeout(PATIENCE_S):
            while len((await stack.client.get("/v1/models")).json()["data"]) < len(engines):
                await asyncio.sleep(0.05)
        async with palaver(
            tmp_path, "chat", "--interactive", *server(stack), "--model", "third"
        ) as chat:
            await chat.until("no worker runs the model 'third'; there are .*second")
            assert await chat.ends() == 1
        async with palaver(tmp_path, "models", *server(stack)) as models:
            assert await models.ends() == 0
        assert re.search(r"^second\t[\d,]+ tokens\t1 worker\tchat", models.text, re.MULTILINE)
        async with palaver(
            tmp_path, "chat", "--interactive", *server(stack), "--model", "second"
        ) as chat:
            await chat.send("One.")
            await chat.until("You said: One.")
            await chat.send("/model first", "Two.", "/model none", "Three.")
            assert await chat.ends() == 0
        assert "Failed: no worker runs the model 'none'" in chat.text
        async with palaver(tmp_path, *CHAT, *server(stack)) as chat:
            await chat.until("Continuing conversation")
            await chat.send("Four.")
            assert await chat.ends() == 0
        [conversation] = re.findall(r"Continuing conversation (\d+)", chat.text)
        page = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
    writers = [one["model"] for one in page["messages"] if one["role"] == "assistant"]
    assert writers == ["second", "first", "first", "first"]


def held(at: int) -> tuple[ScriptedEngine, "asyncio.Future[None]"]:
    """An engine that stops in mid-reply until its future is set."""
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    step: Callable[[int], Any] = lambda n: gate if n == at and not gate.done() else None  # noqa: E731
    return ScriptedEngine(piece_length=1, step=step), gate


async def test_a_reply_is_stopped_by_ctrl_c(settings: Settings, tmp_path: Path) -> None:
    engine, gate = held(5)
    async with (
        running_stack(settings, engine) as stack,
        palaver(tmp_path, *CHAT, *server(stack)) as chat,
    ):
        await chat.send("Hello.")
        await chat.until("You s")
        chat.interrupt()
        await chat.until("stopped; what is written is part of the conversation")
        gate.set_result(None)
        await chat.send("Again.")
        await chat.until("You said: Again.")
        assert await chat.ends() == 0


async def test_a_reply_that_was_stopped_is_continued(settings: Settings, tmp_path: Path) -> None:
    """In the terminal it goes on where it ended: what stands is not written again."""
    engine, gate = held(5)
    async with (
        running_stack(settings, engine) as stack,
        palaver(tmp_path, *CHAT, *server(stack)) as chat,
    ):
        await chat.send("/continue", "Hello.")
        await chat.until("There is no reply that was cut or stopped.")
        await chat.until("You s")
        chat.interrupt()
        await chat.until("part of the conversation: /continue goes on")
        gate.set_result(None)
        await chat.send("/continue")
        await chat.until("aid: Hello.")
        await chat.send("/continue")
        await chat.until("There is no reply that was cut or stopped.")
        assert await chat.ends() == 0
        assert chat.text.count("You s") == 1


async def test_a_reply_in_progress_is_followed_by_the_next_start(
    settings: Settings, tmp_path: Path
) -> None:
    engine, gate = held(5)
    async with running_stack(settings, engine) as stack:
        async with palaver(tmp_path, *CHAT, *server(stack)) as chat:
            await chat.send("Hello.")
            await chat.until("You s")
            chat.kill()
        async with palaver(tmp_path, *CHAT, *server(stack)) as chat:
            await chat.until("You s")
            gate.set_result(None)
            await chat.until("You said: Hello.")
            assert await chat.ends() == 0


async def test_a_missing_server_is_reported(tmp_path: Path) -> None:
    async with palaver(
        tmp_path, *CHAT, "--url", f"http://127.0.0.1:{free_port()}", "--id", "5"
    ) as chat:
        assert await chat.ends() == 1
    assert "is not reachable" in chat.text


async def test_bench_reports_and_leaves_nothing_behind(
    settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        arguments = ("--users", "2", "--seconds", "1", "--tokens", "5")
        async with palaver(tmp_path, "bench", *server(stack), *arguments) as bench:
            assert await bench.ends() == 0
        assert re.search(r"2 users, \d s: [1-9]\d* turns", bench.text), bench.text
        for line in ("reply tokens per second", "first token", "whole turn", "cached"):
            assert line in bench.text
        left = [key async for key in redis.scan_iter(f"{settings.namespace}:conv:*")]
        assert left == []


async def test_doctor_finds_no_problems(settings: Settings, tmp_path: Path) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        variables = {
            "REDIS_URL": str(settings.redis_url),
            "PALAVER_NAMESPACE": settings.namespace,
            "PORT": str(stack.client.base_url.port),
        }
        async with palaver(tmp_path, "doctor", **variables) as doctor:
            assert await doctor.ends() == 0, doctor.text
        for line in (
            r"✓ settings  listens on 127.0.0.1:\d+, open to everybody on this machine",
            r"✓ Redis     version \d+\.\d+\.\d+, \d+ MiB used",
            r"✓ workers   1 running, with scripted",
            r"✓ model     .*\.gguf \(135 million weights, \d+ MiB\)",
            r". GPU       ",
            r"✓ server    runs on port \d+ and is ready",
            r"No problems found\.",
        ):
            assert re.search(line, doctor.text), (line, doctor.text)


async def test_doctor_says_what_to_fix(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    with running_valkey("--maxmemory-policy", "allkeys-lru", "--appendonly", "no") as valkey:
        variables = {
            "REDIS_URL": valkey.url,
            "PORT": str(port),
            "HOST": "127.0.0.1",
            "PALAVER_MODEL_PATH": str(broken),
        }
        async with taken, palaver(tmp_path, "doctor", **variables) as doctor:
            assert await doctor.ends() == 1
    for line in (
        "✗ Redis     REDIS_URL: with maxmemory-policy allkeys-lru",
        "✗ model     ",
        f"✗ port      {port} is in use by another program; choose a different PORT",
        "3 problems to fix.",
    ):
        assert line in doctor.text, (line, doctor.text)


@pytest.mark.parametrize(
    ("variables", "finding"),
    [
        ({"PORT": "99999"}, "✗ settings  PORT=99999"),
        ({"HOST": "0.0.0.0"}, "✗ settings  HOST=0.0.0.0: without API keys"),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, "✗ Redis     is not reachable"),
        ({}, "· Redis     the embedded server is not running"),
    ],
)
async def test_doctor_names_one_thing(
    tmp_path: Path, variables: dict[str, str], finding: str
) -> None:
    variables = {"PORT": str(free_port()), "PALAVER_DATA_DIR": str(tmp_path)} | variables
    async with palaver(tmp_path, "doctor", **variables) as doctor:
        assert await doctor.ends() == int(finding.startswith("✗"))
    assert finding in doctor.text, doctor.text


async def test_keys_are_created_listed_and_revoked(tmp_path: Path) -> None:
    variables = {"PALAVER_API_KEYS_FILE": str(tmp_path / "keys.json")}

    async def keys(*arguments: str) -> tuple[int, str]:
        async with palaver(tmp_path, "keys", *arguments, **variables) as command:
            return await command.ends(), command.text

    status, created = await keys("create", "alice", "--queued", "5")
    assert status == 0
    assert re.search("^plv_", created, re.MULTILINE)
    _, listed = await keys("list")
    assert re.search(r"^alice\t.*queued=5", listed)
    assert "plv_" not in listed
    assert (await keys("revoke", "alice"))[0] == 0
    assert await keys("list") == (0, "")
    status, refused = await keys("revoke", "alice")
    assert status == EX_CONFIG
    assert "no key named 'alice'" in refused


async def test_workers_are_listed_and_drained(
    settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    variables = {"REDIS_URL": str(settings.redis_url), "PALAVER_NAMESPACE": settings.namespace}

    async def run(*arguments: str) -> tuple[int, str]:
        async with palaver(tmp_path, *arguments, **variables) as command:
            return await command.ends(), command.text

    assert await run("workers") == (0, "No worker is running.\n")
    async with running_worker(settings, ScriptedEngine(slots=3)) as task:
        (name,) = await until_there(redis, settings)
        status, listed = await run("drain")
        assert (status, await run("workers")) == (0, (0, listed))
        head, row = [line.split() for line in listed.splitlines()]
        assert head == ["ID", "HOST", "MODEL", "SLOTS", "RUNNING", "STATE"]
        assert row == [name, name.split(":")[0], "scripted", "3", "0", "serving"]

        status, refused = await run("drain", name, "nobody:1:ab")
        assert (status, refused) == (1, f"palaver: no worker nobody:1:ab; there are {name}\n")
        assert (await run("drain", "--host", "elsewhere"))[0] == 1
        assert not task.done()
        assert "draining" not in (await run("workers"))[1]

        status, drained = await run("drain", "--model", "scripted", "--wait")
        assert status == 0
        assert f"{name} drains" in drained
        assert "No other worker serves scripted" in drained
        assert await task, "it has ended, and says why"


async def test_a_worker_of_an_older_version_is_named_and_not_waited_for(
    settings: Settings, redis: Any, tmp_path: Path
) -> None:
    variables = {"REDIS_URL": str(settings.redis_url), "PALAVER_NAMESPACE": settings.namespace}
    keys = Keys(settings.namespace)
    await redis.hset(keys.worker("old:1:ab"), "model", "small")
    await redis.zadd(keys.workers, {"old:1:ab": 1})
    async with palaver(tmp_path, "drain", "--host", "old", "--wait", **variables) as command:
        assert await command.ends() == 1
    assert "old:1:ab cannot be asked to drain: send SIGTERM instead" in command.text


async def until_there(redis: Redis, settings: Settings) -> list[str]:
    """The ids of the workers, once there are any."""
    async with asyncio.timeout(PATIENCE_S):
        while not (names := list(await Workers(redis, Keys(settings.namespace)).all())):
            await asyncio.sleep(0.01)
    return names
