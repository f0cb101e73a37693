"""What a sliding window leaves of a slot, and how much need not be evaluated again all the same.

That every token is right: `test_architectures.py`, with the copies that are chosen by themselves.
"""

import random
from pathlib import Path

import pytest

from tests.e2e.fleet import LENGTHS, Cache, Fleet, Judge, go_on_for
from tests.tiny_architectures import SLIDING, WINDOW, write
from worker.engine.backend import Part
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions

SESSIONS = [str(number) for number in range(12)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("gemma3", tmp_path_factory.mktemp("models") / "sliding.gguf")


@pytest.mark.parametrize("slots", [2, 4])
@pytest.mark.parametrize("device_copies", [None, False])
def test_every_token_is_right_however_slots_are_copied(
    path: Path, slots: int, device_copies: bool | None
) -> None:
    fleet = Fleet(path, random.Random(7), slots=slots, cache=Cache(device_copies=device_copies))
    go_on_for(fleet, SESSIONS[:6], 14)
    judge = Judge(path)
    wrong = [drawn for drawn in fleet.drawn if max(judge.shortfalls(drawn)) > 0]
    share = fleet.cached_share
    fleet.close()
    judge.close()
    assert wrong == []
    assert share > 0.5


def cached_share(path: Path, device_copies: bool | None = None) -> float:
    cache = Cache(device_copies=device_copies)
    fleet = Fleet(path, random.Random(5), slots=4, personas=1, cache=cache)
    go_on_for(fleet, SESSIONS, 30)
    share = fleet.cached_share
    fleet.close()
    return share


@pytest.mark.parametrize("device_copies", [None, False])
@pytest.mark.parametrize("architecture", SLIDING)
def test_what_can_be_proven_whole_is_not_evaluated_again(
    architecture: str, device_copies: bool | None, tmp_path: Path
) -> None:
    everything = cached_share(write("llama", tmp_path / "llama.gguf"))
    sliding = write(architecture, tmp_path / "sliding.gguf")
    assert cached_share(sliding, device_copies) > 0.6 * everything


def test_a_saved_state_cannot_be_cut_back_behind_its_window(path: Path) -> None:
    model = LlamaModel(ModelOptions(path, LENGTHS.window, threads=1, slots=3))
    assert model.window == WINDOW
    tokens = list(range(3, 103))
    model.evaluate([Part(0, 0, tokens, True)])
    assert model.first(0) == 0
    model.load(1, model.save(0))
    assert model.first(1) == len(tokens) - WINDOW, "what the window has passed is not there"
    model.copy(0, 2)
    assert model.first(2) == 0, "a copy is whole"
    model.close()
