"""The examples of docs/examples.md, literally but for the address, over connections that break."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.config import Settings
from tests.cutting import CuttingProxy, cutting_proxy
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Stack, running_stack

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "examples.md"
ADDRESS = "http://127.0.0.1:3000"
REPLY = "A reply of some length, in pieces."
PATIENCE_S = 60


def block(name: str) -> str:
    """The code under the comment that names it."""
    pattern = rf"<!-- run by tests/integration/test_examples.py: {name} -->\n```\w+\n(.*?)```"
    (code,) = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert ADDRESS in code
    return str(code)


def engine() -> ScriptedEngine:
    """Writes slowly enough that pieces are published one after the other."""
    return ScriptedEngine(
        lambda prompt: f"{last_prompt(prompt).strip()} {REPLY}",
        piece_length=2,
        step=lambda _: asyncio.ensure_future(asyncio.sleep(0.05)),
    )


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[Stack, str, CuttingProxy]]:
    """An API, and an address at which its first two streams break."""
    async with running_stack(settings, engine()) as stack:
        port = stack.client.base_url.port
        assert port is not None
        async with cutting_proxy(port, times=2) as (address, proxy):
            yield stack, address, proxy


async def run(*command: str, folder: Path, text: str = "", **variables: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ | variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        out, error = await process.communicate(text.encode())
    assert process.returncode == 0, error.decode()
    return out.decode()


async def test_curl_resumes_behind_the_first_event(settings: Settings, tmp_path: Path) -> None:
    async with running_stack(settings, engine()) as stack:
        address = str(stack.client.base_url).rstrip("/")
        submit, follow, resume = block("curl").strip().replace(ADDRESS, address).splitlines()
        assert '"status":"' in await run("bash", "-c", submit, folder=tmp_path)
        whole = await run("bash", "-c", follow, folder=tmp_path)
        rest = await run("bash", "-c", resume, folder=tmp_path)
    assert whole.startswith("event: queued\n")
    _, _, behind = whole.partition("\n\n")
    assert rest == behind
    assert "event: completed\n" in rest


async def test_python_goes_on_after_breaks(settings: Settings, tmp_path: Path) -> None:
    async with served(settings) as (_, address, proxy):
        code = block("python").replace(ADDRESS, address)
        shown = await run(sys.executable, "-c", code, folder=tmp_path)
    assert shown == f"Hello. {REPLY}"
    assert proxy.cuts == 2


async def test_javascript_goes_on_after_breaks(settings: Settings, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    async with served(settings) as (_, address, proxy):
        script = tmp_path / "example.mjs"
        script.write_text(block("js").replace(ADDRESS, address), encoding="utf-8")
        shown = await run("node", str(script), folder=tmp_path)
    assert shown == f"Hello. {REPLY}"
    assert proxy.cuts == 2


async def test_the_bot_remembers_and_goes_on_after_breaks(
    settings: Settings, tmp_path: Path
) -> None:
    async with served(settings) as (stack, address, proxy):
        bot = str(ROOT / "examples" / "bot.py")
        shown = await run(
            sys.executable, bot, "You are a pirate.",
            folder=tmp_path, text="One.\n\nTwo.\n", PALAVER_URL=address,
        )  # fmt: skip
        (conversation,) = (await stack.client.get("/conversations")).json()["conversations"]
    assert shown == f"One. {REPLY}\nTwo. {REPLY}\n"
    assert proxy.cuts == 2
    assert (conversation["context"], conversation["turns"]) == ("You are a pirate.", 2)


@pytest.mark.parametrize("name", ["bot.py", "page.html"])
def test_what_is_called_small_is(name: str) -> None:
    assert len((ROOT / "examples" / name).read_text(encoding="utf-8").splitlines()) <= 40
