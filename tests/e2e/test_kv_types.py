"""A quantized KV cache, read with flash attention, on the bundled model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.cores import MODEL_THREADS
from tests.e2e.engines import running_engine, talk
from tests.servers import make_settings
from tests.tiny_architectures import write
from worker.engine.backend import Part
from worker.engine.model import LlamaModel
from worker.engine.model_file import ModelError
from worker.engine.options import KvType, ModelOptions
from worker.engine_setup import model_path

PERSONAS = ["You are a patient teacher of history. " * 8, "Answer like a pirate.", "You are a cat."]
PROMPTS = ["Who built the first lighthouse?", "And why was that?"]
TEXT = (
    "A lighthouse is a tower that shows a light to ships at night, so that they find the harbour "
    "and keep away from the rocks. The keeper lives in the tower, climbs its stairs every evening "
    "and lights the lamp. In the morning he puts it out again and cleans the glass."
)


@pytest.fixture(scope="module")
def path() -> Path:
    return model_path(make_settings("unix:///nowhere"))


def load(path: Path, kv_type: KvType) -> LlamaModel:
    return LlamaModel(ModelOptions(path, 512, threads=MODEL_THREADS, slots=2, kv_type=kv_type))


@pytest.fixture(scope="module")
def quantized(path: Path) -> Iterator[LlamaModel]:
    model = load(path, "q8_0")
    yield model
    model.close()


def logits(model: LlamaModel, tokens: list[int]) -> npt.NDArray[np.float32]:
    """Of each token's successor, one evaluated after the other behind the first half."""
    half, rows = len(tokens) // 2, []
    model.clear(0)
    model.evaluate([Part(0, 0, tokens[:half], False)])
    for place, token in enumerate(tokens[half:], half):
        model.evaluate([Part(0, place, [token], True)])
        rows.append(model.logits()[0].copy())
    model.clear(0)
    return np.array(rows)


def test_it_predicts_what_half_floats_do(path: Path, quantized: LlamaModel) -> None:
    half_floats = load(path, "f16")
    tokens = half_floats.tokenize(TEXT, special=False)
    expected, rows = logits(half_floats, tokens), logits(quantized, tokens)
    half_floats.close()
    assert np.mean(expected.argmax(axis=1) == rows.argmax(axis=1)) > 0.9
    assert np.abs(expected - rows).mean() < 0.2
    assert quantized.placement.flash_attention
    assert not half_floats.placement.flash_attention


def test_what_is_saved_of_a_slot_is_half_as_large_and_whole(
    path: Path, quantized: LlamaModel
) -> None:
    tokens = quantized.tokenize(TEXT, special=False)
    part = Part(0, 0, tokens, True)
    quantized.evaluate([part])
    state = quantized.save(0)
    assert quantized.load(1, state)
    rows = []
    for slot in (0, 1):
        quantized.evaluate([Part(slot, len(tokens), tokens[:1], True)])
        rows.append(quantized.logits()[0].copy())
        quantized.clear(slot)
    assert (rows[0] == rows[1]).all()
    half_floats = load(path, "f16")
    half_floats.evaluate([part])
    assert len(state) < 0.6 * len(half_floats.save(0))
    half_floats.close()


async def test_conversations_are_the_same_together_as_alone(path: Path) -> None:
    """Two slots for three: they are swapped out, copied and moved."""
    async with running_engine(path, slots=1, kv_type="q8_0") as alone:
        expected = await talk(alone, PERSONAS, PROMPTS, together=False)
    async with running_engine(path, slots=2, kv_type="q8_0") as batch:
        dialogues = await talk(batch, PERSONAS, PROMPTS, together=True)
        assert batch.stats().swapped_out > 0
    for found, dialogue in zip(dialogues, expected, strict=True):
        assert found.replies[0][:6] == dialogue.replies[0][:6]
        assert found.cached[1] >= found.prompt_lengths[0]


def test_a_model_whose_heads_do_not_divide_into_blocks_is_refused_by_name(tmp_path: Path) -> None:
    path = write("llama", tmp_path / "narrow.gguf")
    with pytest.raises(ModelError, match=r"PALAVER_KV_TYPE=q8_0: .*does not divide n_embd_head_k"):
        load(path, "q8_0")
