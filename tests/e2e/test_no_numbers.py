"""A model behind one of whose tokens nothing is a number: it fails the replies that contain it."""

import random
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest

from tests.e2e.fleet import Fleet, Judge
from tests.tiny_architectures import write
from worker.engine.backend import NotFinite
from worker.engine.interface import EngineError

POISON = 7
WORDS = range(10, 259)
ARCHITECTURES = ("llama", "gpt-oss", "qwen3moe", "mamba", "jamba")
"""Those whose outputs are not made with their embeddings: others give no numbers at all then."""


def set_row(path: Path, tensor: str, value: float) -> None:
    """Replace what a file holds for the poison."""
    reader = gguf.GGUFReader(path, "r+")
    weights = next(one for one in reader.tensors if one.name == tensor)
    weights.data[POISON] = value
    reader.data.flush()


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_numbers_fail_one_reply_and_reach_nobody_else(
    architecture: str, slots: int, tmp_path: Path
) -> None:
    whole = write(architecture, tmp_path / "whole.gguf")
    set_row(whole, "output.weight", 0)  # it is never drawn
    poisoned = Path(shutil.copy(whole, tmp_path / "poisoned.gguf"))
    set_row(poisoned, "token_embd.weight", np.nan)
    rng = random.Random(3)
    fleet = Fleet(poisoned, rng, slots=slots)
    prompts = {f"{n}": tuple(rng.choices(WORDS, k=50 + n)) for n in range(6)}

    # Neighbours of a reply that fails, and who comes after it in its slot.
    talks = [fleet.submit(session, prompt) for session, prompt in prompts.items()]
    failing = fleet.submit("failing", (*rng.choices(WORDS, k=40), POISON, 9))
    fleet.finish(talks)
    while fleet.batchers[0].has_work:
        fleet.step()
    assert isinstance(failing.error, NotFinite)
    assert failing.token_ids == []

    # Who comes after a prompt that was cancelled before anybody saw that it gives no numbers.
    cancelled = fleet.submit("cancelled", (POISON, *rng.choices(WORDS, k=300)))
    fleet.step()
    fleet.leave(cancelled)
    fleet.finish([fleet.submit(f"{n}", (*prompts[f"{n}"], *range(20, 30))) for n in range(6)])

    judge = Judge(whole)
    shortfalls = [one for drawn in fleet.drawn for one in judge.shortfalls(drawn)]
    fleet.close()
    judge.close()
    assert len(shortfalls) == 120
    assert max(shortfalls) < 2e-3


def test_a_model_without_any_numbers_fails_every_reply(tmp_path: Path) -> None:
    path = write("gemma3", tmp_path / "model.gguf")
    set_row(path, "token_embd.weight", np.nan)
    fleet = Fleet(path, random.Random(1))
    talks = [fleet.submit(f"{n}", tuple(range(10 + n, 60))) for n in range(5)]
    while fleet.batchers[0].has_work:
        fleet.step()
    fleet.close()
    assert all(isinstance(talk.error, EngineError) for talk in talks)
