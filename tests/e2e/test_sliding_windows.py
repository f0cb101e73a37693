"""Conversations with a sliding-window model: every reply is that of a fresh evaluation.

What a window has passed is missing in saved states. Shared, parked, moved, edited and trimmed
conversations are compared, token by token, with an evaluation of exactly their prompts.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny_model import write_sliding
from worker.engine.backend import Part
from worker.engine.batcher import Batcher
from worker.engine.interface import EngineError, GenerationRequest, Piece, SamplingOptions
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine.pacer import PrefillPacer

WINDOW = 24
LANE = 400
GRID = 16
GREEDY = SamplingOptions(temperature=0, ignore_eos=True)
PERSONAS = [tuple(random.Random(n).choices(range(3, 259), k=90)) for n in range(2)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sliding(tmp_path_factory.mktemp("models") / "sliding.gguf", window=WINDOW)


@pytest.fixture(scope="module")
def fresh(path: Path) -> Iterator[LlamaModel]:
    model = LlamaModel(ModelOptions(path, LANE, threads=1))
    yield model
    model.close()


def expected(model: LlamaModel, prompt: tuple[int, ...], count: int) -> list[int]:
    """A greedy reply of an empty lane, the prompt in chunks as the batcher has them here."""
    model.clear(0)
    tokens = list(prompt)
    for start in range(0, len(tokens), GRID):
        model.evaluate([Part(0, start, tokens[start : start + GRID], True)])
    for _ in range(count):
        row = model.logits()[0].copy()
        row[model.vocabulary.eog_tokens] = -float("inf")
        tokens.append(int(row.argmax()))
        if len(tokens) < len(prompt) + count:
            model.evaluate([Part(0, len(tokens) - 1, tokens[-1:], True)])
    return tokens[len(prompt) :]


class Fleet:
    """Conversations on one batcher, each with its history."""

    def __init__(
        self,
        path: Path,
        *,
        lanes: int,
        device_copies: bool | None = None,
        park_bytes: int = 1 << 24,
    ) -> None:
        options = ModelOptions(path, LANE, threads=1, lanes=lanes, device_copies=device_copies)
        self.model = LlamaModel(options)
        pacer = PrefillPacer(self.model.batch_size, 2.0)
        self.batcher = Batcher(self.model, pacer, park_bytes=park_bytes, grid=GRID)
        self.histories: dict[str, tuple[int, ...]] = {}
        self.turns: list[tuple[tuple[int, ...], list[int]]] = []
        self.evaluated = 0

    def say(self, sessions: list[str], rng: random.Random, cut: int | None = None) -> None:
        """A turn of each of some conversations, side by side; `cut` edits their histories."""
        running: list[tuple[str, tuple[int, ...], list[int]]] = []
        for session in sessions:
            persona = PERSONAS[int(session) % len(PERSONAS)]
            history = self.histories.get(session, persona)
            if cut is not None:
                history = history[: max(len(persona), len(history) - cut)]
            if len(history) > LANE - 80:
                # The oldest turns are dropped, the persona stays.
                history = persona + history[len(persona) + 120 :]
            prompt = (*history, *rng.choices(range(3, 259), k=rng.randint(4, 30)))
            ids: list[int] = []
            running.append((session, prompt, ids))

            def take(item: Piece | EngineError, ids: list[int] = ids) -> None:
                assert isinstance(item, Piece), item
                ids.extend(item.token_ids)

            self.batcher.submit(GenerationRequest(session, prompt, 10, sampling=GREEDY), take)
        while self.batcher.has_work:
            self.batcher.tick()
        for session, prompt, ids in running:
            self.histories[session] = (*prompt, *ids)
            self.turns.append((prompt, ids))


def life(fleet: Fleet) -> None:
    """More conversations than lanes, which go on, are edited and trimmed."""
    rng = random.Random(7)
    for number in range(14):
        sessions = [f"{n}" for n in rng.sample(range(6), 3)]
        fleet.say(sessions, rng, cut=rng.choice([None, None, None, 5, 40]) if number > 4 else None)


@pytest.mark.parametrize(("lanes", "device_copies"), [(2, None), (4, None), (2, False), (4, False)])
def test_every_reply_is_that_of_a_fresh_evaluation(
    path: Path, fresh: LlamaModel, lanes: int, device_copies: bool | None
) -> None:
    fleet = Fleet(path, lanes=lanes, device_copies=device_copies)
    life(fleet)
    wrong = [
        number
        for number, (prompt, ids) in enumerate(fleet.turns)
        if ids != expected(fresh, prompt, len(ids))
    ]
    stats = fleet.batcher.stats()
    fleet.model.close()
    assert wrong == []
    assert len(fleet.turns) == 42
    assert stats.cached > stats.evaluated


def cached_share(path: Path) -> float:
    fleet = Fleet(path, lanes=4)
    life(fleet)
    stats = fleet.batcher.stats()
    fleet.model.close()
    return stats.cached / (stats.cached + stats.evaluated)


def test_what_can_be_proven_whole_is_not_evaluated_again(path: Path, tmp_path: Path) -> None:
    everything = cached_share(write_sliding(tmp_path / "all.gguf", window=None))
    assert cached_share(path) > 0.6 * everything


def test_a_saved_state_cannot_be_cut_back_behind_its_window(path: Path) -> None:
    model = LlamaModel(ModelOptions(path, LANE, threads=1, lanes=3))
    assert model.window == WINDOW
    tokens = list(range(3, 103))
    model.evaluate([Part(0, 0, tokens, True)])
    assert model.first(0) == 0
    model.load(1, model.save(0))
    assert model.first(1) == len(tokens) - WINDOW, "what the window has passed is not there"
    model.copy(0, 2)
    assert model.first(2) == 0, "a copy is whole"
    model.close()
