"""A conversation gets the same reply in a batch as alone; where it does not, that is rounding."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.cores import MODEL_THREADS
from tests.e2e.engines import running_engine, talk
from tests.servers import make_settings
from tests.tiny_model import write_hybrid
from worker.engine.backend import Part
from worker.engine.conversion import Q8_0, WeightType, convert
from worker.engine.interface import SamplingOptions
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine_setup import model_path

SHARED = "You are a patient teacher of history who answers in short, friendly sentences. " * 6
PERSONAS = [SHARED, SHARED, SHARED + "You love ships.", "Answer like a pirate.", "You are a cat."]
PROMPTS = ["Who built the first lighthouse?", "And why was that?"]
F16 = WeightType("f16", 1, 16.0)
ROUNDING = 0.05
"""Mean difference of the logits that another order of additions makes with them, at most."""


@pytest.fixture(scope="module")
def bundled() -> Path:
    return model_path(make_settings("unix:///nowhere"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def q8_0(bundled: Path, folder: Path) -> Path:
    """Its kernels add up each row alone, so that a batch changes nothing."""
    convert(bundled, folder / "q8_0.gguf", Q8_0, threads=MODEL_THREADS)
    return folder / "q8_0.gguf"


@pytest.fixture(scope="module")
def f16(bundled: Path, folder: Path) -> Path:
    """Its kernels round the least, but add up one row otherwise than several."""
    convert(bundled, folder / "f16.gguf", F16, threads=MODEL_THREADS)
    return folder / "f16.gguf"


@pytest.mark.parametrize(("slots", "device_copies"), [(2, False), (5, False), (2, True), (5, True)])
async def test_a_batch_changes_no_reply(q8_0: Path, slots: int, device_copies: bool) -> None:
    """Slots of their own, fixed chunks: shared, swapped and moved conversations are all exact."""
    async with running_engine(q8_0, slots=1, swap_bytes=0) as alone:
        expected = await talk(alone, PERSONAS, PROMPTS, together=False)
    async with running_engine(q8_0, slots=slots, device_copies=device_copies) as batch:
        found = await talk(batch, PERSONAS, PROMPTS, together=True)
        stats = batch.stats()
    assert [one.replies for one in found] == [one.replies for one in expected]
    assert stats.batch_fill > 1.5
    assert stats.cached > sum(one.cached[1] for one in expected), "the persona was shared"
    for dialogue in found:
        assert dialogue.cached[1] >= dialogue.prompt_lengths[0]


async def test_a_seed_draws_the_same_in_a_batch(q8_0: Path) -> None:
    sampling = SamplingOptions(temperature=1.2, seed=11, ignore_eos=True)
    async with running_engine(q8_0, slots=1) as alone:
        expected = await talk(alone, PERSONAS[2:], PROMPTS[:1], sampling, together=False)
    async with running_engine(q8_0, slots=3) as batch:
        found = await talk(batch, PERSONAS[2:], PROMPTS[:1], sampling, together=True)
    assert [one.replies for one in found] == [one.replies for one in expected]
    assert len({one.replies[0][:12] for one in found}) == 3


@pytest.mark.parametrize("sliding_window", [None, 24])
async def test_a_model_that_cannot_forget_a_part(
    tmp_path: Path, sliding_window: int | None
) -> None:
    path = write_hybrid(tmp_path / "hybrid.gguf", sliding_window=sliding_window)
    personas = [persona[:60] for persona in PERSONAS]
    async with running_engine(path, slots=1, swap_bytes=0) as alone:
        expected = await talk(alone, personas, PROMPTS, together=False)
    async with running_engine(path, slots=3) as batch:
        found = await talk(batch, personas, PROMPTS, together=True)
        first, again = found[0].replies[0], await found[0].say("Once more.")
    assert [one.replies for one in found[1:]] == [one.replies for one in expected[1:]]
    assert found[0].replies[:2] == expected[0].replies
    assert len(first) == 12
    assert len(again) == 16
    for dialogue in found:
        assert dialogue.cached[1] >= dialogue.prompt_lengths[0], "it went on where it was"


# What another layout does is rounding, and a wrong cache is not.


Logits = npt.NDArray[np.float32]


def forced(model: LlamaModel, slot: int, tokens: list[int], start: int) -> Logits:
    """The logits behind each of some tokens that follow what the slot holds."""
    rows = []
    for position, token in enumerate(tokens, start):
        model.evaluate([Part(slot, position, [token], True)])
        rows.append(model.logits()[0].copy())
    return np.array(rows)


def in_a_batch(model: LlamaModel, prompt: list[int], tokens: list[int]) -> Logits:
    """The same in the last slot, while the others decode something else."""
    *others, ours = range(model.num_slots)
    for slot in (*others, ours):
        skipped = 0 if slot == ours else slot + 1
        model.clear(slot)
        model.evaluate([Part(slot, 0, prompt[skipped:], True)])
    rows = []
    for step, token in enumerate(tokens):
        at = len(prompt) + step
        parts = [Part(slot, at - slot - 1, [token + slot + 1], True) for slot in others]
        model.evaluate([*parts, Part(ours, at, [token], True)])
        rows.append(model.logits()[len(others)].copy())
    return np.array(rows)


@pytest.fixture(scope="module")
def text(q8_0: Path) -> tuple[list[int], list[int]]:
    """A prompt and what follows it."""
    model = LlamaModel(ModelOptions(q8_0, 64, threads=MODEL_THREADS))
    tokens = model.vocabulary.tokenize(
        SHARED * 2 + "Once upon a time there was a lamp.", special=False
    )
    model.close()
    return tokens[:-10], tokens[-10:]


def difference(path: Path, text: tuple[list[int], list[int]], *, unified: bool) -> float:
    """Between alone and in a batch: the mean of the logits' differences."""
    prompt, tokens = text
    model = LlamaModel(ModelOptions(path, 512, threads=MODEL_THREADS, slots=4, unified=unified))
    model.evaluate([Part(0, 0, prompt, True)])
    alone = forced(model, 0, tokens, len(prompt))
    together = in_a_batch(model, prompt, tokens)
    model.close()
    return float(np.abs(alone - together).mean())


def test_slots_of_their_own_are_exact(q8_0: Path, text: tuple[list[int], list[int]]) -> None:
    assert difference(q8_0, text, unified=False) == 0


@pytest.mark.parametrize("unified", [True, False])
def test_other_settings_differ_by_rounding_alone(
    f16: Path, text: tuple[list[int], list[int]], unified: bool
) -> None:
    assert 0 < difference(f16, text, unified=unified) < ROUNDING


@pytest.mark.parametrize("place", [10, 89, 174])
def test_one_wrong_token_in_the_cache_is_no_rounding(
    f16: Path, text: tuple[list[int], list[int]], place: int
) -> None:
    """The comparison above would notice a cache that holds something else than it is taken for."""
    prompt, tokens = text
    wrong = [*prompt]
    wrong[place] += 1
    model = LlamaModel(ModelOptions(f16, 512, threads=MODEL_THREADS))
    model.evaluate([Part(0, 0, prompt, True)])
    right = forced(model, 0, tokens, len(prompt))
    model.clear(0)
    model.evaluate([Part(0, 0, wrong, True)])
    found = forced(model, 0, tokens, len(prompt))
    model.close()
    assert float(np.abs(right - found).mean()) > 2 * ROUNDING


def test_a_copy_on_the_device_is_whole_whatever_happens_before_the_next_step(
    q8_0: Path, text: tuple[list[int], list[int]]
) -> None:
    prompt, tokens = text
    model = LlamaModel(ModelOptions(q8_0, 512, threads=MODEL_THREADS, slots=4, device_copies=True))
    model.evaluate([Part(1, 0, prompt[:40], True)])
    other = model.save(1)
    model.clear(1)
    model.evaluate([Part(0, 0, prompt, True)])
    assert model.copy(0, 1)
    model.clear(0)
    assert model.load(0, other), "what it is copied from is overwritten"
    assert model.copy(1, 2)
    assert model.load(3, model.save(2)), "what has just been copied is saved"
    model.clear(0)
    model.evaluate([Part(0, 0, prompt, True)])
    expected = forced(model, 0, tokens, len(prompt))
    for slot in (1, 2, 3):
        assert np.array_equal(forced(model, slot, tokens, len(prompt)), expected)
    model.close()
