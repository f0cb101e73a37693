"""What the batcher's tests share."""

import random
from collections.abc import Iterator, Sequence
from itertools import count

from tests.unit.engine.scripted_backend import Received, ScriptedBackend, reply_to
from worker.engine.batcher import Batcher
from worker.engine.interface import GenerationRequest
from worker.engine.pacer import PrefillPacer


def batcher_on(backend: ScriptedBackend, swap_bytes: int = 1 << 20) -> Batcher:
    return Batcher(backend, PrefillPacer(backend.batch_size, 10.0), swap_bytes=swap_bytes)


def text(seed: int, length: int) -> tuple[int, ...]:
    """Token ids that have nothing in common with those of another seed."""
    return tuple(random.Random(seed).choices(range(1, 90_000), k=length))


def talkative(length: int, tokens: int) -> Iterator[tuple[int, ...]]:
    """Prompts whose replies have at least so many tokens."""
    for seed in count(100):
        prompt = text(seed, length)
        if len(reply_to(GenerationRequest("", prompt, tokens))) == tokens:
            yield prompt


def ask(
    batcher: Batcher, prompt: Sequence[int], session: str = "a", max_tokens: int = 5
) -> Received:
    received = Received(GenerationRequest(session, tuple(prompt), max_tokens))
    batcher.submit(received.request, received)
    return received


def drain(batcher: Batcher) -> None:
    for _ in range(10_000):
        if not batcher.has_work:
            return
        batcher.step()
    raise AssertionError("it does not come to an end")


def answer(
    batcher: Batcher, prompt: Sequence[int], session: str = "a", max_tokens: int = 5
) -> Received:
    received = ask(batcher, prompt, session, max_tokens)
    drain(batcher)
    assert received.token_ids == reply_to(received.request)
    assert received.request.meter.evaluated == len(prompt) - received.num_cached
    return received
