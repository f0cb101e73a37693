"""A reply that must be alone at first: nothing else is evaluated meanwhile, and nothing is lost."""

from tests.unit.engine.batching import ask, batcher_on, drain, talkative
from tests.unit.engine.scripted_backend import Received, ScriptedBackend, reply_to
from worker.engine.batcher import Batcher
from worker.engine.interface import GenerationRequest


def ask_alone(batcher: Batcher, prompt: tuple[int, ...], until: int) -> Received:
    request = GenerationRequest("suspect", prompt, 20, alone_until=until)
    received = Received(request)
    batcher.submit(request, received)
    return received


def slots_used(backend: ScriptedBackend, since: int = 0) -> list[set[int]]:
    """The slots of each step."""
    return [{part.slot_id for part in parts} for parts in backend.steps[since:]]


def test_while_one_is_alone_the_others_wait_and_then_go_on() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    prompts = talkative(30, 20)
    others = [ask(batcher, next(prompts), session, 20) for session in "ab"]
    for _ in range(5):
        batcher.step()
    before = len(backend.steps)
    suspect = ask_alone(batcher, next(prompts), 4)
    while len(suspect.token_ids) < 4:
        batcher.step()
    assert len(set.union(*slots_used(backend, before))) == 1
    late = ask(batcher, next(prompts), "c", 20)
    drain(batcher)
    for received in (*others, suspect, late):
        assert received.token_ids == reply_to(received.request)
    assert max(map(len, slots_used(backend))) > 1, "afterwards they run together"


def test_nobody_is_admitted_beside_it() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    prompts = talkative(30, 20)
    suspect = ask_alone(batcher, next(prompts), 4)
    batcher.step()
    late = ask(batcher, next(prompts), "c", 20)
    while len(suspect.token_ids) < 4:
        batcher.step()
        assert not late.token_ids
    drain(batcher)
    assert late.token_ids == reply_to(late.request)


def test_it_waits_for_a_slot_before_those_who_came_earlier() -> None:
    backend = ScriptedBackend(num_slots=2)
    batcher = batcher_on(backend)
    prompts = talkative(30, 20)
    running = [ask(batcher, next(prompts), session, 20) for session in "ab"]
    batcher.step()
    waiting = ask(batcher, next(prompts), "c", 20)
    suspect = ask_alone(batcher, next(prompts), 4)
    while not suspect.token_ids:
        batcher.step()
    assert not waiting.token_ids
    assert any(one.has_ended for one in running)
    drain(batcher)
    for received in (*running, waiting, suspect):
        assert received.token_ids == reply_to(received.request)


def test_one_that_is_cancelled_while_alone_lets_the_others_go_on() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    prompts = talkative(30, 20)
    other = ask(batcher, next(prompts), "a", 20)
    batcher.step()
    request = GenerationRequest("suspect", next(prompts), 20, alone_until=10)
    sequence = batcher.submit(request, Received(request))
    assert sequence is not None
    batcher.step()
    sequence.cancelled.set()
    drain(batcher)
    assert other.token_ids == reply_to(other.request)
