"""When drafts are evaluated, and what becomes of them when a step does not succeed."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest

from tests.unit.engine.batching import ask, drain, talkative, text
from tests.unit.engine.drafters import Guesser
from tests.unit.engine.scripted_backend import END, ScriptedBackend, next_token, reply_to
from worker.engine.backend import EvaluationFailed, NoRoom, Part
from worker.engine.batcher import Batcher
from worker.engine.drafter import DecodedStep, LookupDrafter, Unseeded
from worker.engine.interface import EngineError, GenerationRequest, SamplingOptions
from worker.engine.pacer import PrefillPacer
from worker.engine.sequence import Sequence as Generation
from worker.engine.speculation import Speculation


class Exact(Guesser):
    """Drafts what will be drawn, always equally much."""

    def __init__(self, size: int = 5) -> None:
        super().__init__(right=1.0)
        self._length = size

    def drafts_for(self, replies: Sequence[Generation], most: int) -> list[tuple[int, ...]]:
        return [self._foreseen(list(reply.token_ids)) for reply in replies]

    def _foreseen(self, content: list[int]) -> tuple[int, ...]:
        for _ in range(self._length):
            content.append(next_token(content))
        return tuple(content[-self._length :])


def speculating(backend: ScriptedBackend, drafter: Guesser) -> Batcher:
    return Batcher(backend, PrefillPacer(64, 10.0), swap_bytes=1 << 20, drafter=drafter)


def test_right_drafts_give_many_tokens_in_a_step() -> None:
    backend = ScriptedBackend()
    batcher = speculating(backend, Exact(size=5))
    prompt = next(talkative(30, 31))
    received = ask(batcher, prompt, max_tokens=31)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    decodes = [step for step in backend.steps if step[0].num_drafted]
    assert [len(step[0].token_ids) for step in decodes] == [6] * 5
    stats = batcher.stats()
    assert (stats.generated, stats.drafted, stats.accepted) == (31, 25, 25)
    assert stats.evaluated == 30, "drafts are no prompt"


def test_wrong_drafts_are_cut_off() -> None:
    backend = ScriptedBackend()
    batcher = speculating(backend, Guesser(right=0.0))
    prompt = next(talkative(30, 20))
    received = ask(batcher, prompt, max_tokens=20)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert batcher.stats().drafted > 10
    assert backend.content[0] == [*prompt, *received.token_ids][:-1]


@pytest.mark.parametrize("running", [1, 2, 3])
def test_a_full_batch_does_without(running: int) -> None:
    backend = ScriptedBackend()
    batcher = speculating(backend, Exact())
    prompts = islice(talkative(30, 20), running)
    received = [ask(batcher, prompt, f"{n}", 20) for n, prompt in enumerate(prompts)]
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    together = [step for step in backend.steps if len(step) == running]
    assert any(part.num_drafted for step in together for part in step) == (running < 3)


def test_the_replies_of_a_step_get_equally_many() -> None:
    backend = ScriptedBackend()
    batcher = speculating(backend, Guesser(right=0.9))
    for n, prompt in enumerate(islice(talkative(30, 40), 2)):
        ask(batcher, prompt, f"{n}", 40)
    drain(batcher)
    sizes = [{part.num_drafted for part in step} for step in backend.steps if len(step) == 2]
    assert {len(each) for each in sizes} == {1}
    assert max(map(max, sizes)) > 0


def test_a_reply_ends_where_it_would_whatever_is_drafted_behind_it() -> None:
    prompt = next(p for n in range(999) if END in _drawn(p := text(n, 30), 20)[2:10])
    backend = ScriptedBackend()
    batcher = speculating(backend, Exact(size=12))
    received = ask(batcher, prompt, max_tokens=20)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert received.reason == "stop"
    assert backend.content[0] == [*prompt, *received.token_ids]


def _drawn(prompt: tuple[int, ...], count: int) -> list[int]:
    content = list(prompt)
    for _ in range(count):
        content.append(next_token(content))
    return content[len(prompt) :]


@pytest.mark.parametrize("error", [NoRoom, EvaluationFailed])
@pytest.mark.parametrize("running", [1, 2])
def test_a_step_that_fails_is_tried_without_drafts(error: type[EngineError], running: int) -> None:
    backend = ScriptedBackend()
    batcher = speculating(backend, Exact())
    prompts = islice(talkative(30, 20), running)

    def fault(parts: Sequence[Part]) -> EngineError | None:
        return error("drafts") if any(part.num_drafted for part in parts) else None

    backend.fault = fault
    received = [ask(batcher, prompt, f"{n}", 20) for n, prompt in enumerate(prompts)]
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    assert batcher.stats().preemptions == 0


def test_the_end_of_a_window_is_reached_with_as_many_as_fit() -> None:
    backend = ScriptedBackend(num_slots=1, slot_size=50)
    batcher = speculating(backend, Exact(size=12))
    received = ask(batcher, next(talkative(30, 20)), max_tokens=90)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)[:20]
    assert [len(step[0].token_ids) for step in backend.steps] == [30, 13, 6]


def test_nothing_is_drafted_while_a_prompt_waits_for_the_steps() -> None:
    backend = ScriptedBackend(slot_size=2000)
    batcher = speculating(backend, Exact())
    ask(batcher, next(talkative(30, 90)), "a", 90)
    for _ in range(3):
        batcher.step()
    assert any(step[0].num_drafted for step in backend.steps)
    drafted = batcher.stats().drafted
    newcomer = ask(batcher, next(talkative(600, 5)), "b", 5)
    while not newcomer.token_ids:
        assert batcher.stats().drafted == drafted
        batcher.step()
    drain(batcher)
    assert batcher.stats().drafted > drafted


class Unforgetful(ScriptedBackend):
    """Claims that its slots can be cut back."""

    def truncate(self, slot_id: int, length: int) -> bool:
        return length >= len(self.content[slot_id])


def test_a_slot_that_cannot_be_cut_back_is_the_last_with_drafts() -> None:
    backend = Unforgetful()
    guesser = Guesser(right=0.0)
    batcher = speculating(backend, guesser)
    received = ask(batcher, next(talkative(30, 20)), max_tokens=20)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert sum(1 for step in backend.steps if step[0].num_drafted) == 1


class Looping(ScriptedBackend):
    """Writes the same tokens again and again."""

    def _drawn(self, slot_id: int, length: int, sampler: object) -> int | EngineError:
        del sampler
        return 1 + length % 8


class Timed(LookupDrafter):
    """A draft takes a tenth of a step, on every machine."""

    def record(self, step: DecodedStep) -> None:
        super().record(replace(step, seconds=0.01 + 0.001 * step.num_drafted))


def test_what_a_reply_repeats_is_drafted() -> None:
    backend = Looping()
    drafter = Timed(backend.is_end, Speculation())
    batcher = Batcher(backend, PrefillPacer(64, 10.0), swap_bytes=0, drafter=drafter)
    received = ask(batcher, text(1, 30), max_tokens=300)
    drain(batcher)
    assert received.token_ids == [1 + n % 8 for n in range(30, 330)]
    stats = batcher.stats()
    assert stats.accepted > 200
    assert stats.accepted == stats.drafted


def test_nothing_is_drafted_behind_the_end_of_a_message() -> None:
    drafter = LookupDrafter(lambda token: token == END, Speculation())
    drafter.record(DecodedStep(num_drafted=0, accepted=(0,), seconds=0.01))
    reply = Generation(
        GenerationRequest("a", (5, 6, 7, 8, END, 9, 5, 6, 7), 50),
        ScriptedBackend(),
        None,
        lambda item: None,
    )
    assert drafter.drafts_for([reply], 16) == [(8,)]


@pytest.fixture
def drafter() -> LookupDrafter:
    """One that knows what a plain step of one reply and of two takes."""
    drafter = LookupDrafter(lambda token: False, Speculation())
    drafter.record(DecodedStep(num_drafted=0, accepted=(0,), seconds=0.01))
    drafter.record(DecodedStep(num_drafted=0, accepted=(0, 0), seconds=0.01))
    return drafter


def generation(*prompt: int, seed: int | None = None) -> Generation:
    request = GenerationRequest("a", prompt, 50, sampling=SamplingOptions(seed=seed))
    return Generation(request, ScriptedBackend(), None, lambda item: None)


def test_a_reply_in_which_nothing_recurs_does_not_keep_the_other_from_its_drafts(
    drafter: LookupDrafter,
) -> None:
    replies = [generation(*range(20, 30), 5, 6, *range(20, 30)), generation(1, 2, 3, 4)]
    first, second = drafter.drafts_for(replies, 16)
    assert first == (5,)
    assert len(second) == 1


def test_replies_in_which_nothing_recurs_have_no_drafts(drafter: LookupDrafter) -> None:
    assert drafter.drafts_for([generation(1, 2), generation(3, 4)], 16) == [(), ()]


def test_beside_a_reply_with_a_seed_nothing_is_drafted(drafter: LookupDrafter) -> None:
    recurring = [*range(20, 30)] * 2
    unseeded = Unseeded(drafter)
    assert unseeded.drafts_for([generation(*recurring)], 16) != [()]
    assert unseeded.drafts_for([generation(*recurring, seed=0)], 16) == [()]
    both = [generation(*recurring), generation(*recurring, seed=0)]
    assert unseeded.drafts_for(both, 16) == [(), ()]


def test_what_was_found_is_judged_though_it_was_not_used(drafter: LookupDrafter) -> None:
    """Where what follows is always another than before, nothing is drafted any more."""
    reply = generation(1)
    sizes = []
    for token in range(100, 200, 4):
        reply.token_ids += [token, token + 1, token + 2, token, token + 1]
        sizes.append(len(drafter.drafts_for([reply], 16)[0]))
    assert sizes[0] > 0
    assert sizes[-1] == 0
    repeated = generation(*range(30, 40), *range(30, 40))
    assert drafter.drafts_for([repeated], 16)[0] != ()
