"""Embeddings through real processes, with tiny models."""

import base64
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import gguf
import httpx
import llama_cpp
import numpy as np
import numpy.typing as npt
import orjson
import pytest

from tests.e2e.processes import ROOT, Palaver, running_palaver
from tests.e2e.test_what_models_write import kill_worker
from tests.servers import environment
from tests.tiny_embedders import WIDTH, write_decoder, write_encoder

TEXTS: Final = ("hello there", "there hello", "a, b and c")


@contextmanager
def embedding(folder: Path, path: Path, **variables: str) -> Iterator[Palaver]:
    variables["PALAVER_MODEL_PATH"] = str(path)
    with running_palaver(folder / "data", 1, **variables) as palaver:
        yield palaver


def as_the_client_asks(client: httpx.Client, texts: object, **fields: Any) -> httpx.Response:
    """A request as OpenAI's Python client sends it: vectors come in base64."""
    body = {"input": texts, "model": "text-embedding-3-small", "encoding_format": "base64"}
    headers = {
        "Authorization": "Bearer none",
        "X-Stainless-Lang": "python",
        "X-Stainless-Retry-Count": "0",
        "User-Agent": "OpenAI/Python 2.8.0",
    }
    return client.post("/v1/embeddings", json=body | fields, headers=headers)


def vectors_of(response: httpx.Response) -> npt.NDArray[np.float32]:
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    packed = [base64.b64decode(one["embedding"]) for one in data]
    return np.array([np.frombuffer(one, "<f4") for one in packed])


def direct(path: Path, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    model = llama_cpp.Llama(str(path), embedding=True, n_ctx=512, n_threads=1, verbose=False)
    try:
        return np.array([model.embed(text, normalize=True) for text in texts], np.float32)
    finally:
        model.close()


def test_an_encoder_embeds_and_refuses_to_chat(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "tiny.gguf", context=64)
    with embedding(tmp_path, path) as palaver, palaver.client() as client:
        answer = as_the_client_asks(client, TEXTS)
        numbers = as_the_client_asks(client, TEXTS[0], encoding_format="float").json()
        long = as_the_client_asks(client, [TEXTS[0], "a" * 63])
        foreign = as_the_client_asks(client, [[2, 99_999, 3]])
        chat = client.post("/", json={"prompt": "Hi"})
        (model,) = client.get("/v1/models").json()["data"]
    assert np.allclose(vectors_of(answer), direct(path, TEXTS), atol=2e-3)
    assert answer.json()["usage"] == {"prompt_tokens": 33, "total_tokens": 33}
    assert np.allclose(numbers["data"][0]["embedding"], vectors_of(answer)[0], atol=1e-6)
    assert (long.status_code, long.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert "input[1] is 65 tokens" in long.json()["error"]["message"]
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (400, "unusable_options")
    assert (chat.status_code, chat.json()["code"]) == (422, "unusable_options")
    assert (model["id"], model["capabilities"]) == ("tiny", ["embeddings"])
    assert model["context_length"] == 64
    assert "chat template" not in palaver.text


def test_a_decoder_that_pools_embeds_texts_longer_than_a_pass(tmp_path: Path) -> None:
    path = write_decoder(tmp_path / "tiny.gguf", gguf.PoolingType.LAST, context=2048)
    texts = [*TEXTS, "x" * 1500]
    with embedding(tmp_path, path) as palaver, palaver.client() as client:
        vectors = vectors_of(as_the_client_asks(client, texts))
    assert vectors.shape == (4, WIDTH)
    assert np.allclose(vectors[:3], direct(path, TEXTS), atol=2e-3)


@pytest.mark.slow
def test_a_worker_killed_while_it_embeds_loses_nothing(tmp_path: Path) -> None:
    path = write_decoder(tmp_path / "tiny.gguf", context=2048)
    texts = ["x" * 1800] * 24
    variables = {"PALAVER_LEASE": "2", "PALAVER_HEARTBEAT": "0.5", "PALAVER_THREADS": "1"}
    with embedding(tmp_path, path, **variables) as palaver, palaver.client() as client:
        before = vectors_of(as_the_client_asks(client, texts[:1]))
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(as_the_client_asks, client, texts)
            until_evaluating(palaver)
            kill_worker(palaver)
            vectors = vectors_of(answer.result())
        metrics = client.get("/metrics").text
    assert np.allclose(vectors, np.repeat(before, 24, axis=0), atol=2e-3)
    assert re.search(r"^palaver_turns_taken_over(_total)?(\{.*\})? 1", metrics, re.MULTILINE)


def until_evaluating(palaver: Palaver) -> None:
    """Return when a worker runs a turn."""
    with palaver.client() as client:
        while not any(one["running"] for one in client.get("/ops/data").json()["workers"]):
            time.sleep(0.02)


def test_doctor_says_what_the_model_is_for(tmp_path: Path) -> None:
    def checked(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "worker.check"],
            env=environment(PALAVER_MODEL_PATH=str(path)),
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    report = orjson.loads(checked(write_encoder(tmp_path / "tiny.gguf")).stdout)
    assert report["abilities"] == ["makes embeddings"]
    assert (report["template"], report["window"]) == (None, 64)
    refused = checked(write_encoder(tmp_path / "rank.gguf", gguf.PoolingType.RANK))
    assert refused.returncode == 1
    assert "ranks texts" in refused.stderr
