"""What operators do with `palaver` at Redis: look at everybody's turns, end them, requeue them."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator

import pytest

from shared.config import Settings
from tests.documented import commands_run_by
from tests.integration.test_cli import ROOT, held
from tests.scripted import ScriptedEngine
from tests.servers import Stack, environment, make_settings, running_stack

pytestmark = pytest.mark.slow

RUN_BOOK = ROOT / "docs" / "operations.md"


class Operator:
    """Runs `palaver …` where nothing is known but Redis."""

    def __init__(self, settings: Settings) -> None:
        self._variables = {
            "REDIS_URL": str(settings.redis_url),
            "PALAVER_NAMESPACE": settings.namespace,
            "PORT": "not a port",
        }

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli", *arguments,
            cwd=ROOT,
            env=environment(**self._variables),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
def operator(settings: Settings) -> Operator:
    return Operator(settings)


@pytest.fixture
async def stack(settings: Settings) -> AsyncIterator[Stack]:
    """A server whose worker has written the beginning of its only reply."""
    engine, gate = held(5)
    async with running_stack(settings, engine) as stack:
        yield stack
        if not gate.done():
            gate.set_result(None)


async def begun(stack: Stack, **body: object) -> tuple[str, int]:
    """A turn that runs: its job and its conversation."""
    job = (await stack.client.post("/jobs", json={"prompt": "A secret.", **body})).json()
    async with asyncio.timeout(30):
        while (await stack.client.get(f"/jobs/{job['job']}")).json()["status"] == "queued":
            await asyncio.sleep(0.02)
    return job["job"], job["id"]


async def test_turns_are_listed_as_the_page_has_them(stack: Stack, operator: Operator) -> None:
    assert (await operator.run("jobs"))[1].startswith("No turn runs")
    running, conversation = await begun(stack)
    body = {"prompt": "Behind it.", "id": conversation}
    waiting = (await stack.client.post("/jobs", json=body)).json()["job"]

    status, listed, _ = await operator.run("jobs")
    head, first, second = listed.splitlines()
    assert (status, head.split()[:2]) == (0, ["JOB", "CONVERSATION"])
    assert first.startswith(running)
    assert second.startswith(waiting)
    assert f"behind {running}" in second
    assert "secret" not in listed, "nothing that anybody wrote"

    _, printed, _ = await operator.run("jobs", "--json")
    assert json.loads(printed) == (await stack.client.get("/ops/turns")).json()


async def test_a_turn_is_found_by_every_id_of_it(stack: Stack, operator: Operator) -> None:
    job, conversation = await begun(stack)
    for text in (job, f"resp_{job}"):
        status, shown, _ = await operator.run("job", text)
        assert status == 0
        lines = dict(line.split(maxsplit=1) for line in shown.splitlines())
        assert (lines["job"], lines["id"]) == (job, str(conversation))
        assert lines["status"] == "in_progress"
    _, printed, _ = await operator.run("job", str(conversation), "--json")
    assert [turn["job"] for turn in json.loads(printed)["turns"]] == [job]
    for unknown in ("f" * 32, "not an id!"):
        status, _, reason = await operator.run("job", unknown)
        assert (status, reason) == (1, f"palaver: no turn is known by the id {unknown}\n")


async def test_the_run_book_shows_what_a_failed_turn_looks_like(
    settings: Settings, operator: Operator
) -> None:
    [block] = commands_run_by("tests/integration/test_operating_commands.py")
    [documented] = block.lines
    shown = re.search(r"```\n(job .*?)```", RUN_BOOK.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    small = make_settings(
        str(settings.redis_url),
        PALAVER_NAMESPACE=settings.namespace,
        PALAVER_CONTEXT_LENGTH=100,
    )
    async with running_stack(small, ScriptedEngine()) as stack:
        refused = await stack.client.post("/", json={"prompt": "too long " * 100})
        command, example = documented.removeprefix(".venv/bin/palaver ").split()
        assert example in shown[1]
        status, out, _ = await operator.run(command, refused.headers["x-request-id"])
    assert status == 0
    real, book = ([line.split() for line in text.splitlines()] for text in (out, shown[1]))
    assert [name for name, _ in real] == [name for name, _ in book]
    same = {"status": "failed", "attempts": "1", "error": "context_length_exceeded"}
    assert same.items() <= dict(real).items()
    assert same.items() <= dict(book).items()


async def test_a_turn_is_ended(stack: Stack, operator: Operator) -> None:
    job, _ = await begun(stack)
    assert (await operator.run("cancel", job))[:2] == (0, f"{job} is cancelled\n")
    assert (await stack.client.get(f"/jobs/{job}")).json()["status"] == "cancelled"
    assert (await operator.run("cancel", job))[:2] == (0, f"{job} had ended\n")
    assert (await operator.run("requeue", job))[:2] == (0, f"{job} does not run\n")


async def test_a_turn_is_given_back_to_the_queue(stack: Stack, operator: Operator) -> None:
    job, _ = await begun(stack)
    assert (await operator.run("requeue", job))[:2] == (0, f"{job} waits again\n")
    ended = (await stack.client.get(f"/jobs/{job}?wait=30")).json()
    assert (ended["status"], ended["attempts"]) == ("completed", 1)


@pytest.mark.parametrize("command", ["cancel", "requeue"])
async def test_what_is_no_job_is_named(operator: Operator, command: str) -> None:
    status, _, reason = await operator.run(command, "f" * 32)
    assert (status, reason) == (1, f"palaver: there is no job {'f' * 32}\n")
    status, _, reason = await operator.run(command, "7")
    assert (status, reason) == (1, "palaver: 7 is no id of a job\n")


async def test_what_was_used_is_shown_by_key_and_model(
    settings: Settings, operator: Operator
) -> None:
    assert await operator.run("usage") == (0, "Nothing was used within a week.\n", "")
    engine, gate = held(5)
    gate.set_result(None)
    async with running_stack(settings, engine) as stack:
        usage = (await stack.ask("Hello."))["usage"]
        status, shown, _ = await operator.run("usage")
        head, row = (line.split() for line in shown.splitlines())
        assert (status, head[:4]) == (0, ["DAY", "KEY", "MODEL", "TURNS"])
        tokens = [str(usage[name]) for name in ("prompt_tokens", "completion_tokens")]
        assert row[1:] == ["-", "scripted", "1", tokens[0], "0", tokens[1], "0"]
        _, printed, _ = await operator.run("usage", "--json")
        assert json.loads(printed) == (await stack.client.get("/ops/usage")).json()


async def test_without_redis_the_reason_is_one_line(operator: Operator) -> None:
    nowhere = Operator(Settings(_env_file=None, REDIS_URL="redis://127.0.0.1:1"))
    status, out, reason = await nowhere.run("jobs")
    assert (status, out) == (1, "")
    assert reason.startswith("palaver: Redis is not reachable")
    assert reason.count("\n") == 1
