"""Vectors of tiny models, beside llama.cpp called directly and beside sums made by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import gguf
import llama_cpp
import numpy as np
import numpy.typing as npt
import pytest

from tests.tiny_embedders import WIDTH, write_decoder, write_encoder, write_nomic, write_t5
from worker.engine.backend import EvaluationFailed
from worker.engine.embedding import EmbeddingRequest, TokenIds, Vector
from worker.engine.embedding_engine import EmbeddingEngine
from worker.engine.embedding_model import EmbeddingModel, normalized
from worker.engine.interface import EngineError, Meter, ModelInfo
from worker.engine.model import LlamaModel
from worker.engine.model_file import ModelError
from worker.engine.options import ModelOptions

Pooling = gguf.PoolingType
TEXTS: Final = ("hello there", "there hello", "a", "hello, there. a <b> of [c]", "hello there")
Floats = npt.NDArray[np.float32]


def options_of(path: Path, window: int = 3500, batch: int = 512) -> ModelOptions:
    return ModelOptions(path, window, threads=1, slots=8, batch=batch)


@contextlib.asynccontextmanager
async def running(model: EmbeddingModel) -> AsyncIterator[EmbeddingEngine]:
    engine = EmbeddingEngine(model, ModelInfo("tiny", "tiny"), slots=8, stuck_after_s=60)
    try:
        yield engine
    finally:
        await engine.close()


def request_of(engine: EmbeddingEngine, texts: Sequence[str]) -> EmbeddingRequest:
    return EmbeddingRequest(texts=tuple(tuple(engine.tokenize_whole(text)) for text in texts))


async def embed(engine: EmbeddingEngine, texts: Sequence[str]) -> Floats:
    embedded = await engine.embed(request_of(engine, texts))
    return np.array([np.frombuffer(vector, "<f4") for vector in embedded.vectors])


def direct(path: Path, texts: Sequence[str]) -> Floats:
    """The vectors as llama-cpp-python's own class makes them, one text after the other."""
    sizes = dict.fromkeys(("n_ctx", "n_batch", "n_ubatch"), 512)
    threads = {"n_threads": 1, "n_threads_batch": 1}
    model = llama_cpp.Llama(str(path), embedding=True, verbose=False, **sizes, **threads)
    try:
        return np.array([model.embed(text, normalize=True) for text in texts], np.float32)
    finally:
        model.close()


MODELS = {
    "mean": lambda path: write_encoder(path, Pooling.MEAN),
    "cls": lambda path: write_encoder(path, Pooling.CLS),
    "last, of a decoder": lambda path: write_decoder(path, Pooling.LAST),
    "mean, of a decoder": lambda path: write_decoder(path, Pooling.MEAN),
    "nomic": lambda path: write_nomic(path),
    "mean, of one that looks ahead": lambda path: write_decoder(path, causal=False),
}


@pytest.mark.parametrize("name", MODELS)
async def test_vectors_are_llama_cpps_of_length_1(tmp_path: Path, name: str) -> None:
    path = MODELS[name](tmp_path / "tiny.gguf")
    async with running(EmbeddingModel(options_of(path))) as engine:
        vectors = await embed(engine, TEXTS)
        stats = engine.stats()
    assert vectors.shape == (len(TEXTS), WIDTH)
    assert np.allclose(vectors, direct(path, TEXTS), atol=2e-3)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors[0], vectors[4], atol=1e-5), "its neighbours do not matter"
    assert vectors[0] @ vectors[1] < 0.99, "the order of words matters"
    assert stats.passes == 2, "the warm-up, and all texts together"


async def test_a_mean_is_what_it_is_by_hand(tmp_path: Path) -> None:
    """Layers of zeros leave a token's own vector, which norms scale."""
    path = write_encoder(tmp_path / "tiny.gguf", Pooling.MEAN, layers_are_empty=True)
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    async with running(EmbeddingModel(options_of(path))) as engine:
        ids = engine.tokenize_whole("hello")
        [vector] = await embed(engine, ["hello"])
    rows = tensors["token_embd.weight"][ids] + tensors["position_embd.weight"][: len(ids)]
    rows = rows + tensors["token_types.weight"][0]
    rows = _layer_norm(rows) + tensors["token_embd_norm.bias"]
    for _ in range(4):  # two in each of two layers
        rows = _layer_norm(rows)
    expected = rows.mean(axis=0)
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


def _layer_norm(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    scaled: Floats = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-6)
    return scaled


@pytest.mark.parametrize(
    ("write", "pooling"),
    [(write_encoder, Pooling.MEAN), (write_decoder, Pooling.LAST), (write_decoder, Pooling.MEAN)],
    ids=["encoder", "decoder", "mean of a decoder"],
)
async def test_a_text_longer_than_a_pass_is_whole(
    tmp_path: Path, write: type, pooling: Pooling
) -> None:
    path = write(tmp_path / "tiny.gguf", pooling, context=300)
    text = " ".join("hello there" for _ in range(14))
    async with running(EmbeddingModel(options_of(path, batch=64))) as engine:
        assert 64 < len(engine.tokenize_whole(text)) <= engine.window == 300
        vectors = await embed(engine, ["a", text, "b"])
    assert np.allclose(vectors, direct(path, ["a", text, "b"]), atol=2e-3)


async def test_the_longest_text_fits(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "tiny.gguf", context=64)
    async with running(EmbeddingModel(options_of(path))) as engine:
        text = "a" * 62
        assert len(engine.tokenize_whole(text)) == engine.window == 64
        assert (await embed(engine, [text])).shape == (1, WIDTH)


async def test_the_window_of_the_settings_bounds_texts(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "tiny.gguf", context=64)
    async with running(EmbeddingModel(options_of(path, window=40))) as engine:
        assert engine.window == 40


@pytest.mark.parametrize("name", MODELS)
async def test_requests_at_the_same_time_do_not_disturb_each_other(
    tmp_path: Path, name: str
) -> None:
    path = MODELS[name](tmp_path / "tiny.gguf")
    async with running(EmbeddingModel(options_of(path, batch=40))) as engine:
        apart = [await embed(engine, [text]) for text in TEXTS]
        many = await asyncio.gather(*(embed(engine, [text] * 20) for text in TEXTS))
    for alone, together in zip(apart, many, strict=True):
        assert np.allclose(together, alone, atol=2e-3)


@pytest.mark.parametrize("pooling", [Pooling.MEAN, Pooling.LAST], ids=str)
async def test_the_encoder_of_a_t5_embeds_texts_alone_as_together(
    tmp_path: Path, pooling: Pooling
) -> None:
    path = write_t5(tmp_path / "tiny.gguf", pooling)
    texts = [*TEXTS, "x" * 900]
    async with running(EmbeddingModel(options_of(path))) as engine:
        together = await embed(engine, texts)
        alone = [(await embed(engine, [text]))[0] for text in texts]
    assert np.allclose(together, alone, atol=1e-4)
    assert together[0] @ together[1] < 0.99


async def test_control_tokens_do_not_arise_in_texts(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "tiny.gguf")
    async with running(EmbeddingModel(options_of(path))) as engine:
        ids = engine.tokenize_whole("a [SEP] b [CLS]")
    begin, end = 2, 3
    assert (ids[0], ids[-1]) == (begin, end)
    assert not {begin, end} & set(ids[1:-1])


async def test_a_request_that_is_cancelled_leaves_the_engine_to_others(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "tiny.gguf")
    async with running(EmbeddingModel(options_of(path, batch=16))) as engine:
        large = asyncio.create_task(embed(engine, ["hello there"] * 20_000))
        await embed(engine, ["a"])
        large.cancel()
        await embed(engine, ["a"])
        evaluated = engine.stats().evaluated
        running_now = engine.stats().running
    assert evaluated < 20_000 * 12
    assert running_now == 0


class Failing(EmbeddingModel):
    """Fails where a text of three tokens is among others, and where one of four tokens is."""

    def evaluate(self, texts: Sequence[TokenIds]) -> list[Vector | EngineError]:
        lengths = list(map(len, texts))
        if (3 in lengths and len(lengths) > 1) or 4 in lengths:
            raise EvaluationFailed("as the test wants it")
        return super().evaluate(texts)


async def test_a_pass_that_fails_costs_only_the_request_that_is_to_blame(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "tiny.gguf")
    async with running(Failing(options_of(path))) as engine:
        meter = Meter()
        bad = replace(request_of(engine, ["hello", "ab"]), meter=meter)
        ends = await asyncio.gather(
            embed(engine, ["a", "hello"]), engine.embed(bad), return_exceptions=True
        )
        after = await embed(engine, ["a", "hello"])
    assert isinstance(ends[1], EngineError)
    assert np.allclose(ends[0], after, atol=1e-5)  # type: ignore[arg-type]
    assert np.allclose(after, direct(path, ["a", "hello"]), atol=2e-3)


async def test_an_engine_that_closes_fails_what_is_under_way(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "tiny.gguf")
    async with running(EmbeddingModel(options_of(path, batch=16))) as engine:
        ids = tuple(engine.tokenize_whole("hello"))
        request = EmbeddingRequest(texts=(ids,) * 100_000)
        large = asyncio.create_task(engine.embed(request))
        await embed(engine, ["a"])
    with pytest.raises(EngineError, match="stopping"):
        await large


@pytest.mark.parametrize("values", [[float("nan"), 1], [float("inf"), 1], [0, 0]], ids=str)
def test_what_has_no_direction_is_no_vector(values: list[float]) -> None:
    assert isinstance(normalized(np.array(values, np.float32)), EngineError)


def test_numbers_too_large_for_their_squares_are_a_vector() -> None:
    vector = normalized(np.array([3e30, -4e30], np.float32))
    assert isinstance(vector, bytes)
    assert np.allclose(np.frombuffer(vector, "<f4"), [0.6, -0.8])


@pytest.mark.parametrize(
    ("pooling", "reason"), [(Pooling.RANK, "ranks texts"), (None, "names no pooling")], ids=str
)
def test_a_model_that_makes_no_vector_of_a_text_is_refused_by_its_kind(
    tmp_path: Path, pooling: Pooling | None, reason: str
) -> None:
    path = write_encoder(tmp_path / "tiny.gguf", pooling)
    with pytest.raises(ModelError, match=f"bert.*{reason}"):
        EmbeddingModel(options_of(path))


def test_models_are_loaded_for_what_they_are_made_for(tmp_path: Path) -> None:
    embeds = write_decoder(tmp_path / "embeds.gguf")
    with pytest.raises(ModelError, match="not made for text"):
        LlamaModel(options_of(embeds))
    chats = write_decoder(tmp_path / "chats.gguf", Pooling.NONE)
    with pytest.raises(ModelError, match="not made for embeddings"):
        EmbeddingModel(options_of(chats))
