"""Other people's clients embed texts, with base URL and key changed and nothing else."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import pytest

from shared.config import Settings
from tests.clients.serving import served
from tests.scripted import ScriptedEmbedder

MISSING = "the clients are not installed (group clients)"
MODEL = "text-embedding-3-small"


@contextlib.contextmanager
def embedding(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEmbedder]:
    embedder = ScriptedEmbedder()
    with served(settings, embedder) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield embedder


def cosine(num_tokens: int) -> Any:
    """The first number of the scripted model's vector of a text."""
    return pytest.approx(math.cos(num_tokens / 1000), abs=1e-6)


def test_openais_client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    openai: Any = pytest.importorskip("openai", reason=MISSING)
    with embedding(settings, monkeypatch), openai.OpenAI() as client:
        answer = client.embeddings.create(model=MODEL, input=["Hello", "Hi"])
        numbers = client.embeddings.create(model=MODEL, input="Hello", encoding_format="float")
        ids = client.embeddings.create(model=MODEL, input=[[1, 2, 3]])
        with pytest.raises(openai.BadRequestError, match="dimensions") as refused:
            client.embeddings.create(model=MODEL, input="Hello", dimensions=256)
        with pytest.raises(openai.BadRequestError, match="makes embeddings"):
            client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "Hi"}]
            )
    assert [one.embedding[0] for one in answer.data] == [cosine(7), cosine(4)]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 11
    assert numbers.data[0].embedding == pytest.approx(answer.data[0].embedding)
    assert ids.data[0].embedding[0] == cosine(3)
    assert refused.value.param == "dimensions"


def test_langchain(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    models: Any = pytest.importorskip("langchain_openai", reason=MISSING)
    with embedding(settings, monkeypatch):
        # Otherwise it sends ids of OpenAI's tokenizer, which it downloads.
        client = models.OpenAIEmbeddings(model=MODEL, check_embedding_ctx_length=False)
        vectors = client.embed_documents(["Hello", "Hi"])
        query = client.embed_query("Hello")
    assert [vector[0] for vector in vectors] == [cosine(7), cosine(4)]
    assert query == pytest.approx(vectors[0])
