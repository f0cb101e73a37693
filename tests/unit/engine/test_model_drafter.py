"""Drafts of a smaller model: what it reads, what it drafts, and what happens when it fails."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest

from tests.unit.engine.batching import ask, drain, talkative
from tests.unit.engine.drafters import Guesser
from tests.unit.engine.scripted_backend import END, ScriptedBackend, reply_to
from worker.engine.backend import EvaluationFailed, NoRoom
from worker.engine.batcher import Batcher
from worker.engine.drafter import DecodedStep
from worker.engine.interface import EngineError
from worker.engine.model_drafter import FirstOf, ModelDrafter, first_difference
from worker.engine.pacer import PrefillPacer
from worker.engine.scheduler import MOST_SPECULATING
from worker.engine.speculation import Speculation
from worker.engine.watchdog import Watchdog

SIZE = 4


class Eager(Speculation):
    """Always has as many tokens drafted as it may, up to four."""

    def size(self, chances: Sequence[Sequence[float]], most: int) -> int:
        return min(SIZE, most)


def drafter_of(model: ScriptedBackend) -> ModelDrafter:
    return ModelDrafter(model, Eager(), Watchdog(60))


def batcher_with(backend: ScriptedBackend, model: ScriptedBackend) -> Batcher:
    return Batcher(backend, PrefillPacer(64, 10.0), swap_bytes=1 << 20, drafter=drafter_of(model))


def smaller(slot_size: int = 500) -> ScriptedBackend:
    return ScriptedBackend(num_slots=MOST_SPECULATING, slot_size=slot_size)


@pytest.mark.parametrize("running", [1, 2])
def test_a_model_that_knows_has_its_drafts_accepted(running: int) -> None:
    backend, model = ScriptedBackend(), smaller()
    batcher = batcher_with(backend, model)
    prompts = islice(talkative(30, 40), running)
    received = [ask(batcher, prompt, f"{n}", 40) for n, prompt in enumerate(prompts)]
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    stats = batcher.stats()
    assert stats.drafted > 10
    assert stats.accepted == stats.drafted


def test_it_reads_each_token_once_apart_from_the_newest() -> None:
    backend, model = ScriptedBackend(), smaller()
    batcher = batcher_with(backend, model)
    prompt = next(talkative(30, 40))
    received = ask(batcher, prompt, max_tokens=40)
    drain(batcher)
    read = sum(len(part.token_ids) for step in model.steps for part in step)
    rounds = sum(step[0].num_drafted > 0 for step in backend.steps)
    assert read <= len(prompt) + len(received.token_ids) + rounds


def test_conversations_that_take_turns_keep_their_slots() -> None:
    backend, model = ScriptedBackend(), smaller()
    batcher = batcher_with(backend, model)
    prompts = list(islice(talkative(60, 12), MOST_SPECULATING))
    for _ in range(3):
        for n, prompt in enumerate(prompts):
            ask(batcher, prompt, f"{n}", 12)
            drain(batcher)
    read = sum(len(part.token_ids) for step in model.steps for part in step)
    assert read < 1.5 * sum(map(len, prompts)) + 3 * MOST_SPECULATING * 2 * 12


def test_a_long_prompt_is_read_between_steps() -> None:
    backend = ScriptedBackend(slot_size=2000, batch_size=1000)
    model = ScriptedBackend(num_slots=MOST_SPECULATING, slot_size=2000, batch_size=1000)
    batcher = batcher_with(backend, model)
    prompt = next(talkative(900, 30))
    received = ask(batcher, prompt, max_tokens=30)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert max(len(part.token_ids) for step in model.steps for part in step) == 256
    assert batcher.stats().accepted > 0


def test_a_conversation_that_is_too_long_for_it_gets_no_drafts() -> None:
    backend, model = ScriptedBackend(), smaller(slot_size=40)
    batcher = batcher_with(backend, model)
    received = ask(batcher, next(talkative(50, 20)), max_tokens=20)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert not model.steps


@pytest.mark.parametrize("error", [NoRoom, EvaluationFailed])
def test_a_model_that_fails_is_asked_no_more(error: type[EngineError]) -> None:
    backend, model = ScriptedBackend(), smaller()
    model.fault = lambda _: error("broken") if len(model.steps) > 3 else None
    batcher = batcher_with(backend, model)
    received = ask(batcher, next(talkative(30, 40)), max_tokens=40)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert len(model.steps) == 4


def test_slots_are_evaluated_in_order_whoever_has_them() -> None:
    backend, model = ScriptedBackend(), smaller()
    batcher = batcher_with(backend, model)
    first, second = islice(talkative(40, 60), 2)
    ask(batcher, first, "first", 20)
    received = ask(batcher, second, "second", 50)
    while len(received.token_ids) < 25:
        batcher.step()
    # The conversation that had the first slot comes behind the other one now.
    ask(batcher, first, "first", 20)
    drain(batcher)
    slots = [[part.slot_id for part in step] for step in model.steps if len(step) > 1]
    assert len(slots) > 10
    assert all(step == sorted(step) for step in slots)


class Ending(ScriptedBackend):
    """Always writes the end of a message."""

    def _drawn(self, slot_id: int, length: int, sampler: object) -> int | EngineError:
        del slot_id, length, sampler
        return END


def test_a_model_that_always_ends_is_not_asked_for_ever() -> None:
    backend, model = ScriptedBackend(), Ending(num_slots=1, slot_size=400)
    drafter = Slow(model, Speculation(), Watchdog(60))
    batcher = Batcher(backend, PrefillPacer(64, 10.0), swap_bytes=1 << 20, drafter=drafter)
    received = ask(batcher, next(talkative(30, 200)), max_tokens=200)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert 0 < batcher.stats().drafted < 20


class Slow(ModelDrafter):
    """A draft takes half a step, on every machine."""

    def record(self, step: DecodedStep) -> None:
        super().record(replace(step, seconds=100.0 + 50.0 * step.num_drafted))


class Wrong(Guesser):
    """Is never right, and not always there."""

    def __init__(self) -> None:
        super().__init__(right=0.0, size=2)


def test_the_first_that_has_drafts_learns_what_became_of_them() -> None:
    backend, model = ScriptedBackend(), smaller()
    first, second = Wrong(), drafter_of(model)
    batcher = Batcher(
        backend, PrefillPacer(64, 10.0), swap_bytes=1 << 20, drafter=FirstOf(first, second)
    )
    received = ask(batcher, next(talkative(30, 40)), max_tokens=40)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert any(step.num_drafted for step in first.steps)
    assert batcher.stats().accepted > 0, "by the second, where the first had none"
    assert all(step.num_drafted <= 2 for step in first.steps)


def test_the_time_for_drafting_is_part_of_what_drafts_cost() -> None:
    spent: list[float] = []

    class Noting(Eager):
        def record_drafts(self, size: int, accepted: Sequence[int], seconds: float) -> None:
            spent.append(seconds)

    drafter = ModelDrafter(smaller(), Noting(), Watchdog(60))
    backend = ScriptedBackend()
    batcher = Batcher(backend, PrefillPacer(64, 10.0), swap_bytes=1 << 20, drafter=drafter)
    ask(batcher, next(talkative(30, 10)), max_tokens=10)
    drain(batcher)
    drafter.record(DecodedStep(num_drafted=1, accepted=(1,), seconds=0.0))
    assert spent[-1] > 0


class Spelling:
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    @property
    def size(self) -> int:
        return len(self._pieces)

    def piece_of(self, token: int, *, special: bool = False) -> bytes:
        assert special, "control tokens count, too"
        return self._pieces[token]


def test_vocabularies_may_differ_in_padding_alone() -> None:
    assert first_difference(Spelling(b"a", b"b"), Spelling(b"a", b"b", b"pad")) is None
    assert first_difference(Spelling(b"a", b"b"), Spelling(b"a", b"c")) == 1
