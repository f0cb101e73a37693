"""The Procfile's line `web`: where a platform routes to `$PORT`, it is the API on every address."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import httpx
import pytest

from shared.config import Settings
from tests.servers import environment, free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 40

pytestmark = pytest.mark.slow


def line(name: str) -> str:
    text = (ROOT / "Procfile").read_text(encoding="utf-8")
    (command,) = re.findall(rf"^{name}: (.+)$", text, re.MULTILINE)
    return str(command)


async def test_web_listens_where_the_router_asks(settings: Settings) -> None:
    port = free_port()
    variables = environment(
        PORT=str(port),
        REDIS_URL=str(settings.redis_url),
        PALAVER_NAMESPACE=settings.namespace,
        PALAVER_ALLOWED_HOSTS="app.example",
        PALAVER_ALLOW_OPEN="1",
    )
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    process = await asyncio.create_subprocess_exec("sh", "-c", line("web"), cwd=ROOT, env=variables)
    routed = {"Host": "app.example", "X-Forwarded-For": "203.0.113.9", "Via": "1.1 router"}
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
            asyncio.timeout(PATIENCE_S),
        ):
            while not await listens(client):
                assert process.returncode is None, "it has ended"
                await asyncio.sleep(0.05)
            answer = await client.get("/", headers=routed)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
    assert answer.status_code == 200, answer.text


async def listens(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False
