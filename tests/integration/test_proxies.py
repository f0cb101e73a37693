"""nginx and Caddy as in `examples/deploy`: streams come event by event, the page sends."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.config import Settings
from tests.integration.test_cli import held
from tests.scripted import ScriptedEngine
from tests.servers import free_port, running_stack
from tests.sse import received

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "deploy"
NAME = "chat.example"
BROWSER = {"Host": NAME, "Origin": f"http://{NAME}", "Sec-Fetch-Site": "same-origin"}
PATIENCE_S = 20


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    """The site as it is, but for TLS and the two ports."""
    site = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
    site = re.sub(r"^ *ssl_.*\n", "", site, flags=re.MULTILINE)
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    site = site.replace("127.0.0.1:3000", f"127.0.0.1:{upstream}")
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}\n}}\n",
        encoding="utf-8",
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, upstream: int) -> list[str]:
    """The file as it is, but for TLS and the two ports."""
    site = (FOLDER / "Caddyfile").read_text(encoding="utf-8")
    site = site.replace("\nchat.example {", f"\nhttp://chat.example:{port} {{\n\tbind 127.0.0.1")
    site = site.replace("127.0.0.1:3000", f"127.0.0.1:{upstream}")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + site, encoding="utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


PROXIES = [nginx, caddy]


@asynccontextmanager
async def proxied(
    proxy: Callable[[Path, int, int], list[str]], folder: Path, upstream: int
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a proxy in front of a port."""
    if shutil.which(proxy.__name__) is None:
        pytest.skip(f"{proxy.__name__} is not installed")
    port = free_port()
    environment = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"}
    command = proxy(folder, port, upstream)
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(
            base_url=address, timeout=PATIENCE_S, headers=BROWSER, verify=False
        ) as client:
            async with asyncio.timeout(PATIENCE_S):
                while not await listens(client):
                    assert process.returncode is None, "the proxy has ended"
                    await asyncio.sleep(0.02)
            yield client
    finally:
        process.terminate()
        await process.wait()


async def listens(client: httpx.AsyncClient) -> bool:
    try:
        await client.get("/healthz")
    except httpx.TransportError:
        return False
    return True


def behind(settings: Settings, **fields: Any) -> Settings:
    return settings.model_copy(update={"allow_open": True, "allowed_hosts": (NAME,)} | fields)


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_stream_comes_event_by_event(
    settings: Settings, tmp_path: Path, proxy: Any
) -> None:
    engine, gate = held(5)
    async with running_stack(behind(settings), engine) as stack:
        port = stack.client.base_url.port
        assert port is not None
        async with proxied(proxy, tmp_path, port) as client, asyncio.timeout(PATIENCE_S):
            request: Any = {
                "json": {"prompt": "Hello."},
                "headers": {"Accept": "text/event-stream"},
            }
            async with client.stream("POST", "/", **request) as response:
                kinds = []
                async for event in received(response):
                    kinds.append(event.kind)
                    if event.kind == "token" and not gate.done():
                        # It arrived although the reply is not over.
                        gate.set_result(None)
    assert kinds[0] == "queued"
    assert kinds[-1] == "completed"


@pytest.mark.parametrize("proxy", PROXIES)
async def test_the_page_comes_and_sends(settings: Settings, tmp_path: Path, proxy: Any) -> None:
    async with running_stack(behind(settings), ScriptedEngine()) as stack:
        port = stack.client.base_url.port
        assert port is not None
        async with proxied(proxy, tmp_path, port) as client:
            page = await client.get("/", headers={"Accept": "text/html"})
            assert (page.status_code, "<title>" in page.text) == (200, True)
            answer = await client.post("/", json={"prompt": "Hello."})
            assert answer.json()["reply"] == "You said: Hello."
            foreign = {"Origin": "http://elsewhere.example"}
            refused = await client.post("/", json={"prompt": "Hello."}, headers=foreign)
            assert refused.json()["code"] == "origin_refused"


@pytest.mark.parametrize("proxy", PROXIES)
async def test_an_open_server_says_what_a_proxy_needs(
    settings: Settings, tmp_path: Path, proxy: Any
) -> None:
    async with running_stack(behind(settings, allow_open=False), ScriptedEngine()) as stack:
        port = stack.client.base_url.port
        assert port is not None
        async with proxied(proxy, tmp_path, port) as client:
            refused = await client.post("/", json={"prompt": "Hello."})
    assert (refused.status_code, refused.json()["code"]) == (403, "proxy_refused")
    assert "PALAVER_ALLOW_OPEN=1" in refused.json()["detail"]
