"""What users say and what operators keep secret stands in no log."""

import asyncio
import signal
from pathlib import Path

import httpx

from api.http.keys import KeyFile
from shared.wire.limits import NO_LIMITS
from tests.faults.cluster import running_cluster
from tests.faults.helpers import ended, holder, post_job

CANARY = "canary-in-the-coal-mine"


async def test_no_log_has_a_prompt_or_a_reply_whatever_goes_wrong() -> None:
    """At the chattiest level but debug, with a lost worker, a stopped one, and Redis away."""
    async with (
        running_cluster(lease_s=1, piece_s=0.05, PALAVER_LOG_LEVEL="info") as cluster,
        cluster.client() as client,
    ):
        said = f"{CANARY} " * 4
        job = await post_job(client, said, context=f"{CANARY} persona")
        cluster.worker_of(await holder(cluster, job["job"], at_least=4)).kill()
        await ended(client, job["job"])
        cluster.valkey.kill()
        await client.post("/", json={"prompt": said})
        await asyncio.sleep(0.3)
        cluster.valkey.start()
        await cluster.ready(workers=1)
        for body in ({"prompt": said, CANARY: 1}, {"prompt": said, "max_tokens": CANARY}):
            assert (await client.post("/", json=body)).status_code == 422
        await client.post("/", content=f'{{"prompt": "{CANARY}'.encode())
        await client.get(f"/conversations/{CANARY}")
        last = await post_job(client, said)
        await holder(cluster, last["job"], at_least=4)
        for worker in cluster.workers:
            worker.send(signal.SIGTERM)
        for api in cluster.apis:
            await api.stop()
        assert "completed" in cluster.output, "something was logged"
        assert CANARY not in cluster.output


async def test_no_log_has_an_api_key_not_even_when_debugging(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    secret = KeyFile(path).create("alice", NO_LIMITS)
    async with (
        running_cluster(PALAVER_API_KEYS_FILE=str(path), PALAVER_LOG_LEVEL="debug") as cluster,
        httpx.AsyncClient(
            base_url=cluster.url(), headers={"Authorization": f"Bearer {secret}"}, timeout=60
        ) as client,
    ):
        assert (await client.post("/", json={"prompt": "Hello."})).status_code == 200
        assert (await client.get("/jobs/unknown")).status_code == 404
        KeyFile(path).revoke("alice")
        assert (await client.post("/", json={"prompt": "Hello."})).status_code == 401
        path.write_text("damaged")
        assert (await client.post("/", json={"prompt": "Hello."})).status_code == 401
        for one in (*cluster.apis, *cluster.workers):
            await one.stop()
        assert "stopping" in cluster.output, "something was logged"
        assert secret not in cluster.output
        assert secret.removeprefix("plv_") not in cluster.output
