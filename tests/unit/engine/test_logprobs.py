"""Probabilities of drawn tokens: the model's own, whatever the options make of them."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from tests.tiny_architectures import write
from worker.engine.backend import Part
from worker.engine.batcher import Batcher
from worker.engine.interface import EngineError, GenerationRequest, Piece, SamplingOptions
from worker.engine.logprobs import logprobs_of
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine.pacer import PrefillPacer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    path = write("llama", tmp_path_factory.mktemp("models") / "llama.gguf")
    model = LlamaModel(ModelOptions(path, 64, threads=1, slots=2))
    yield model
    model.close()


def test_they_are_those_of_a_softmax() -> None:
    row = np.log(np.array([0.5, 0.125, 0.25, 0.125], np.float32)) + 7
    drawn = logprobs_of(row, 1, 3, lambda token: bytes([97 + token]))
    assert drawn.drawn.token == b"b"
    assert drawn.drawn.logprob == pytest.approx(math.log(0.125), abs=1e-5)
    assert [one.token for one in drawn.top] == [b"a", b"c", b"b"]
    assert [one.logprob for one in drawn.top] == pytest.approx(
        [math.log(0.5), math.log(0.25), math.log(0.125)], abs=1e-5
    )


@pytest.mark.parametrize("num_top", [0, 1, 3, 4, 9])
def test_as_many_alternatives_as_are_wanted_and_exist(num_top: int) -> None:
    drawn = logprobs_of(np.zeros(4, np.float32), 0, num_top, lambda token: bytes([token]))
    assert [one.token for one in drawn.top] == [bytes([i]) for i in range(min(num_top, 4))]


def test_biases_and_penalties_change_the_draw_and_not_the_probabilities(model: LlamaModel) -> None:
    model.evaluate([Part(0, 0, [65, 66], True)])
    row = model.logits()[0].copy()
    worst = int(row.argmin())
    sampler = model.make_sampler(
        SamplingOptions(temperature=0, logit_bias=((worst, 100.0),), top_logprobs=2)
    )
    assert model.draw([sampler]) == [worst]
    expected = logprobs_of(row, worst, 2, lambda token: model.vocabulary.piece_of(token))
    assert sampler.logprob is not None
    assert sampler.logprob.drawn.logprob == expected.drawn.logprob
    assert sampler.logprob.top[0].logprob == expected.top[0].logprob
    sampler.close()
    model.clear(0)


@pytest.mark.parametrize("stop", [(), ("zzz",)])
def test_pieces_have_one_for_each_of_their_tokens(model: LlamaModel, stop: tuple[str, ...]) -> None:
    batcher = Batcher(model, PrefillPacer(model.batch_size, 10.0), swap_bytes=0)
    pieces: list[Piece] = []

    def sink(item: Piece | EngineError) -> None:
        assert isinstance(item, Piece)
        pieces.append(item)

    sampling = SamplingOptions(seed=1, ignore_eos=True, top_logprobs=1)
    batcher.submit(GenerationRequest("a", (65, 66), 30, stop=stop, sampling=sampling), sink)
    batcher.submit(GenerationRequest("b", (65, 67), 30), lambda item: None)
    while batcher.has_work:
        batcher.step()
    assert sum(len(piece.token_ids) for piece in pieces) == 30
    for piece in pieces:
        assert len(piece.logprobs) == len(piece.token_ids)
        for token, logprob in zip(piece.token_ids, piece.logprobs, strict=True):
            assert logprob.drawn.token == model.vocabulary.piece_of(token, special=True)
