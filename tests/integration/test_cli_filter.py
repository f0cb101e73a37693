"""`palaver chat` in a pipe: the reply on standard output and nothing else, the status says more."""

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import pytest

from shared.config import Settings
from tests.integration.test_cli import PATIENCE_S, ROOT, held, script, server
from tests.scripted import ScriptedEngine
from tests.servers import Stack, as_in_a_terminal, environment, free_port, running_stack

pytestmark = pytest.mark.slow


async def started(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """`palaver chat …`, with pipes all around."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "chat", *arguments,
        cwd=ROOT,
        env=environment(XDG_STATE_HOME=str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=as_in_a_terminal,
    )  # fmt: skip


async def piped(folder: Path, *arguments: str, given: bytes = b"") -> tuple[int, str, str]:
    """Status, standard output and standard error."""
    process = await started(folder, *arguments)
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate(given)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def prompts_of(stack: Stack, conversation: int) -> list[str]:
    path = f"/conversations/{conversation}/messages"
    messages = (await stack.client.get(path)).json()["messages"]
    return [message["content"] for message in messages if message["role"] == "user"]


async def test_the_reply_is_all_that_is_written(settings: Settings, tmp_path: Path) -> None:
    async with running_stack(settings, ScriptedEngine(script)) as stack:
        status, out, err = await piped(tmp_path, *server(stack), "Hello,", "you.")
        assert (status, err) == (0, "")
        assert out == "You said: Hello, you.\x1b[2J\n", "byte for byte: a program reads it"


async def test_what_is_piped_stands_before_the_prompt(settings: Settings, tmp_path: Path) -> None:
    async with running_stack(settings, ScriptedEngine(script)) as stack:
        for arguments, prompt in (
            (("Shorten this.",), "One\nline.\n\nShorten this."),
            ((), "One\nline."),
        ):
            status, out, _ = await piped(
                tmp_path, *server(stack), "--json", *arguments, given=b"One\nline.\n"
            )
            answer = json.loads(out)
            assert (status, answer["prompt"], answer["finish_reason"]) == (0, prompt, "stop")
            assert out.count("\n") == 1


async def test_each_prompt_is_a_conversation_unless_it_continues_one(
    settings: Settings, tmp_path: Path
) -> None:
    async with running_stack(settings, ScriptedEngine(script)) as stack:
        ids = []
        for arguments in (("--context", "Be brief.", "One."), ("Two.",), ("-c", "Three.")):
            _, out, _ = await piped(tmp_path, *server(stack), "--json", *arguments)
            ids.append(json.loads(out)["id"])
        assert ids[0] != ids[1] == ids[2]
        await piped(tmp_path, *server(stack), "--id", str(ids[0]), "Four.")
        assert await prompts_of(stack, ids[0]) == ["One.", "Four."]
        assert await prompts_of(stack, ids[1]) == ["Two.", "Three."]
        shown = (await stack.client.get(f"/conversations/{ids[0]}")).json()
        assert shown["context"] == "Be brief."


async def test_options_are_fields_that_the_server_checks(
    settings: Settings, tmp_path: Path
) -> None:
    async with running_stack(settings, ScriptedEngine(script)) as stack:
        chosen = ("-o", "max_tokens=2", "-o", "temperature=0", "-o", 'stop=["x"]')
        status, out, err = await piped(tmp_path, *server(stack), "--json", *chosen, "Hello.")
        assert json.loads(out)["usage"]["completion_tokens"] == 2
        assert (status, err) == (0, "palaver: the reply was cut: it is as long as it may be\n")
        for option, reason in (
            ("temperature=hot", "temperature"),
            ("heat=1", "heat"),
        ):
            status, out, err = await piped(tmp_path, *server(stack), "-o", option, "Hello.")
            assert (status, out) == (1, "")
            assert re.fullmatch(rf"palaver: .*{reason}.*\n", err), err
        status, out, err = await piped(tmp_path, *server(stack), "-o", "hot", "Hello.")
        assert (status, out) == (2, "")
        assert "'hot' is not NAME=VALUE" in err


async def test_without_a_reply_nothing_is_written_and_the_status_tells(
    settings: Settings, tmp_path: Path
) -> None:
    async with running_stack(settings, ScriptedEngine(script)) as stack:
        for arguments, given, expected, reason in (
            (("fail",), b"", 1, "as asked"),
            (("--id", "7", "Hello."), b"", 1, "conversation"),
            ((), b" \n", 2, "there is no prompt"),
            ((), b"\xff", 2, "not text in UTF-8"),
        ):
            status, out, err = await piped(tmp_path, *server(stack), *arguments, given=given)
            assert (status, out) == (expected, ""), err
            assert re.fullmatch(rf"palaver: .*{reason}.*\n", err), err
    nowhere = f"http://127.0.0.1:{free_port()}"
    status, out, err = await piped(tmp_path, "--url", nowhere, "Hello.")
    assert (status, out) == (1, "")
    assert "is not reachable" in err
    assert "palaver serve" in err


async def begun(folder: Path, stack: Stack) -> asyncio.subprocess.Process:
    """A command that has written the beginning of its reply."""
    process = await started(folder, *server(stack), "Hello.")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    async with asyncio.timeout(PATIENCE_S):
        assert await process.stdout.readexactly(3) == b"You"
    return process


async def stored_end(stack: Stack) -> str:
    """How the only reply has ended, once it is stored."""
    [conversation] = (await stack.client.get("/conversations")).json()["conversations"]
    path = f"/conversations/{conversation['id']}/messages"
    async with asyncio.timeout(PATIENCE_S):
        while not (messages := (await stack.client.get(path)).json()["messages"]):
            await asyncio.sleep(0.02)
    return str(messages[-1]["finish_reason"])


async def test_ctrl_c_stops_the_reply_at_the_server(settings: Settings, tmp_path: Path) -> None:
    engine, gate = held(5)
    async with running_stack(settings, engine) as stack:
        process = await begun(tmp_path, stack)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
        gate.set_result(None)
        assert await stored_end(stack) == "stopped"


async def test_a_reply_that_nobody_reads_is_stopped(settings: Settings, tmp_path: Path) -> None:
    gates = {at: asyncio.get_running_loop().create_future() for at in (5, 9)}
    engine = ScriptedEngine(piece_length=1, step=gates.get)
    async with running_stack(settings, engine) as stack:
        process = await begun(tmp_path, stack)
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]
        gates[5].set_result(None)  # what comes now is written to nobody
        assert await process.wait() == 141
        gates[9].set_result(None)
        assert await stored_end(stack) == "stopped"
