"""`palaver chat` as a person sees it: in a terminal, against a server with a scripted engine."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.config import Settings
from tests.integration.test_cli import ROOT, server
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Stack, environment, running_stack
from tests.terminal import Terminal, terminal

pytestmark = pytest.mark.slow

MARKDOWN = """\
# Heading

A **bold** word and `code`, in a paragraph that is longer than the terminal's line.

- one
- two

```python
print("no\\x1b[2J way")
```

| a | b |
|---|---|
| 1 | 2 |

Evil&#12;&#8238;\x1b[2J [link](http://elsewhere.example/x) end.
"""


@asynccontextmanager
async def chatting(
    stack: Stack,
    folder: Path,
    *arguments: str,
    size: tuple[int, int] = (60, 24),
    **variables: str,
) -> AsyncIterator[Terminal]:
    command = [sys.executable, "-m", "cli", "chat", *server(stack), *arguments]
    environ = {**environment(XDG_STATE_HOME=str(folder)), **variables}
    async with terminal(command, ROOT, environ, size) as seen:
        yield seen


async def say(seen: Terminal, text: str) -> None:
    """Type a prompt or command, once it is asked for."""
    await seen.until(lambda text: text.endswith("\n>"))
    seen.type(f"{text}\r")


def markdown(prompt: str) -> str:
    said = last_prompt(prompt)
    return MARKDOWN if said == "Markdown." else f"You said: {said}"


async def test_replies_are_set_as_markdown(settings: Settings, tmp_path: Path) -> None:
    async with (
        running_stack(settings, ScriptedEngine(markdown, piece_length=3)) as stack,
        chatting(stack, tmp_path, size=(60, 50)) as seen,
    ):
        await say(seen, "Markdown.")
        await seen.until("end.")
        await seen.until(lambda text: text.endswith("\n>"))
        assert "**" not in seen.text
        assert seen.style_of("bold word").bold
        assert not seen.style_of("word and").bold
        assert max(map(len, seen.lines)) <= 60
        assert " • one" in seen.text
        for once in ("Heading", "A bold word", "• two", "way", "Evil", "elsewhere.example"):
            assert seen.text.count(once) == 1, seen.text
        assert b"\x1b]8;" not in seen.raw, "no link whose address cannot be seen"
        assert "\u202e" not in seen.raw.decode()
        assert 'print("no' in seen.text, "the screen was not cleared"
        await say(seen, "/quit")
        assert await seen.ends() == 0


async def test_a_reply_longer_than_the_screen_is_there_once(
    settings: Settings, tmp_path: Path
) -> None:
    lines = [f"line {n}" for n in range(60)]
    reply = "```\n" + "\n".join(lines) + "\n```\n\nThat is all."
    async with (
        running_stack(settings, ScriptedEngine(lambda _: reply, piece_length=5)) as stack,
        chatting(stack, tmp_path, "Count.", size=(40, 12)) as seen,
    ):
        await seen.until("That is all.")
        assert await seen.ends() == 0
        await seen.until(lambda text: text.endswith("That is all."))
        shown = [line.strip() for line in seen.lines if line.strip().startswith("line")]
        assert shown == lines


async def test_pasted_lines_are_one_prompt(settings: Settings, tmp_path: Path) -> None:
    async with (
        running_stack(settings, ScriptedEngine(markdown)) as stack,
        chatting(stack, tmp_path) as seen,
    ):
        await seen.until("\n>")
        seen.paste("One\nTwo\n")
        await seen.until("Two")
        seen.type("\r")
        await seen.until("You said: One")
        await say(seen, "Three\\\rFour")
        await seen.until("You said: Three")
        [listed] = (await stack.client.get("/conversations")).json()["conversations"]
        path = f"/conversations/{listed['id']}/messages"
        messages = (await stack.client.get(path)).json()["messages"]
        assert [m["content"] for m in messages[::2]] == ["One\nTwo", "Three\nFour"]


async def test_prompts_are_had_again_by_the_next_start(settings: Settings, tmp_path: Path) -> None:
    async with running_stack(settings, ScriptedEngine(markdown)) as stack:
        async with chatting(stack, tmp_path) as seen:
            await say(seen, "Remember me.")
            await seen.until(lambda text: "You said: Remember me." in text and text.endswith("\n>"))
            seen.type("\x04")
            assert await seen.ends() == 0
        assert stat.S_IMODE(os.stat(tmp_path / "palaver" / "history").st_mode) == 0o600
        async with chatting(stack, tmp_path, "--new") as seen:
            await say(seen, "\x1b[A")
            await seen.until("You said: Remember me.")


async def test_conversations_are_listed_and_picked(settings: Settings, tmp_path: Path) -> None:
    async with running_stack(settings, ScriptedEngine(markdown)) as stack:
        ids = {name: (await stack.ask(f"About {name}."))["id"] for name in ("apples", "pears")}
        async with chatting(stack, tmp_path) as seen:
            await say(seen, "/list")
            await seen.until("About apples.")
            rows = [line.split() for line in seen.lines if "About" in line]
            assert [(row[0], row[-1]) for row in rows] == [("1", "pears."), ("2", "apples.")]
            await say(seen, "/list apple")
            await seen.until(lambda text: text.count("About apples.") == 2)
            await say(seen, "/open 2")
            await seen.until("the list has no number 2")
            await say(seen, "/open 1")
            await seen.until(f"Continuing conversation {ids['apples']} (1 turn)")
            await say(seen, "More.")
            await seen.until("You said: More.")
            await say(seen, f"/open {ids['pears']}")
            await seen.until(f"Continuing conversation {ids['pears']}")
        path = f"/conversations/{ids['apples']}"
        assert (await stack.client.get(path)).json()["turns"] == 2


async def test_without_colours_there_are_none(settings: Settings, tmp_path: Path) -> None:
    async with (
        running_stack(settings, ScriptedEngine(markdown)) as stack,
        chatting(stack, tmp_path, "Markdown.", size=(60, 50), NO_COLOR="1") as seen,
    ):
        assert await seen.ends() == 0
        await seen.until("end.")
        for text in ("bold word", "code", "print"):
            style = seen.style_of(text)
            assert (style.fg, style.bg) == ("default", "default"), text


@pytest.mark.parametrize("typed", ["\x03", "/stop\r"], ids=["ctrl-c", "stop"])
async def test_a_reply_is_stopped_and_kept(settings: Settings, tmp_path: Path, typed: str) -> None:
    gate = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(piece_length=1, step=lambda n: gate if n == 5 else None)
    async with (
        running_stack(settings, engine) as stack,
        chatting(stack, tmp_path) as seen,
    ):
        await say(seen, "Hello.")
        await seen.until("You s")
        seen.type(typed)
        await seen.until("(stopped; what is written is part of the conversation")
        gate.set_result(None)
        await say(seen, "/continue")
        await seen.until("aid: Hello.")
        assert "/stop" not in seen.text, "nothing is drawn into a reply"


async def test_what_is_typed_while_a_reply_is_written_begins_the_next_prompt(
    settings: Settings, tmp_path: Path
) -> None:
    gate = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(piece_length=1, step=lambda n: gate if n == 5 else None)
    async with (
        running_stack(settings, engine) as stack,
        chatting(stack, tmp_path) as seen,
    ):
        await say(seen, "Hello.")
        await seen.until("You s")
        seen.type("Aha\x7fa\x1b[A ü.")
        gate.set_result(None)
        await seen.until("You said: Hello.")
        await seen.until("> Aha ü.")
        seen.type("\r")
        await seen.until("You said: Aha ü.")
