"""Who is evaluated next: decodes first, short prompts before long ones, nobody for ever last."""

from collections.abc import Iterator
from itertools import count

from tests.unit.engine.batching import ask, batcher_on, drain, talkative, text
from tests.unit.engine.scripted_backend import Received, ScriptedBackend, reply_to
from worker.engine.batcher import Batcher
from worker.engine.pacer import PrefillPacer


def ticks_until_text(batcher: Batcher, received: list[Received]) -> list[int]:
    """After how many steps each reply begins."""
    begun: dict[int, int] = {}
    for step in count(1):
        batcher.step()
        for index, one in enumerate(received):
            if one.pieces:
                begun.setdefault(index, step)
        if len(begun) == len(received):
            return [begun[index] for index in range(len(received))]
    raise AssertionError


def test_the_shortest_prompt_is_evaluated_first() -> None:
    batcher = batcher_on(ScriptedBackend())
    received = [ask(batcher, text(n, length), f"{n}") for n, length in enumerate((300, 200, 100))]
    third, second, first = ticks_until_text(batcher, received)
    assert first < second < third


def test_prompts_of_one_length_are_finished_one_by_one() -> None:
    batcher = batcher_on(ScriptedBackend(batch_size=32))
    received = [ask(batcher, text(n, 128), f"{n}") for n in range(4)]
    begun = ticks_until_text(batcher, received)
    assert len(set(begun)) == 4
    assert min(begun) == 128 // 32


def visitors(batcher: Batcher, limit: int) -> Iterator[Received]:
    """A short prompt for every step."""
    for number in range(limit):
        yield ask(batcher, text(1000 + number, 32), f"visitor {number}", max_tokens=1)
        batcher.step()


def test_a_long_prompt_is_not_put_off_for_ever() -> None:
    backend = ScriptedBackend(num_slots=6, batch_size=32)
    batcher = Batcher(backend, PrefillPacer(32, 10.0), swap_bytes=0)
    long = ask(batcher, text(1, 320), "long", max_tokens=1)
    served = sum(not long.pieces for _ in visitors(batcher, 200))
    assert long.pieces, "it got its turns"
    assert served > 320 // 32, "and the short ones got theirs"
    drain(batcher)


def test_replies_go_on_while_a_long_prompt_is_evaluated() -> None:
    backend = ScriptedBackend(batch_size=32)
    batcher = Batcher(backend, PrefillPacer(32, 10.0), swap_bytes=0)
    stream = ask(batcher, next(talkative(20, 60)), "stream", 60)
    while not stream.pieces:
        batcher.step()
    long = ask(batcher, text(2, 320), "long", 1)
    while not long.pieces:
        before = len(stream.token_ids)
        batcher.step()
        assert len(stream.token_ids) == before + 1
    drain(batcher)
    assert stream.token_ids == reply_to(stream.request)


def test_decodes_come_before_prompts_in_a_step() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    ask(batcher, next(talkative(20, 60)), "stream", 60)
    batcher.step()
    ask(batcher, text(2, 64), "prompt")
    batcher.step()
    decode, prefill = backend.steps[-2:]
    assert [len(part.token_ids) for part in decode] == [1]
    assert len(prefill[0].token_ids) > 1
    drain(batcher)


def test_a_prompt_between_two_decodes_goes_along_in_their_pass() -> None:
    backend = ScriptedBackend(num_slots=3, batch_size=32)
    batcher = Batcher(backend, PrefillPacer(32, 10.0), swap_bytes=0)
    prompts = talkative(20, 60)
    ask(batcher, next(prompts), "left", 60)
    ask(batcher, text(3, 300), "between", 5)
    ask(batcher, next(prompts), "right", 60)
    for _ in range(4):
        batcher.step()
    widest = max(backend.steps, key=len)
    assert sorted(part.slot_id for part in widest) == [0, 1, 2]
    drain(batcher)


def test_of_the_swapped_out_those_go_first_that_were_used_longest_ago() -> None:
    backend = ScriptedBackend(num_slots=1)
    batcher = batcher_on(backend, swap_bytes=1500)
    for session in ("a", "b", "a", "c", "d"):
        ask(batcher, text(ord(session), 60), session)
        drain(batcher)
    again = ask(batcher, text(ord("a"), 60), "a")
    drain(batcher)
    gone = ask(batcher, text(ord("b"), 60), "b")
    drain(batcher)
    assert again.num_cached == 59
    assert gone.num_cached == 0
