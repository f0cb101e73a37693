"""The step on a scripted backend: batching, sharing, swapping, warming, slots."""

from dataclasses import replace

import pytest

from tests.unit.engine.batching import answer, ask, batcher_on, drain, talkative, text
from tests.unit.engine.scripted_backend import Received, ScriptedBackend, reply_to
from worker.engine.interface import GenerationRequest, SamplingOptions


def test_many_are_decoded_in_one_pass() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    received = [ask(batcher, text(n, 20), f"{n}", max_tokens=30) for n in range(4)]
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    assert max(backend.widths) == 4
    for step in backend.steps:
        slots = [part.slot_id for part in step]
        assert slots == sorted(slots), "only neighbours in order are one pass"
    assert all(sampler.is_closed for sampler in backend.samplers)


def test_who_finds_no_slot_waits() -> None:
    backend = ScriptedBackend(num_slots=2)
    batcher = batcher_on(backend)
    received = [ask(batcher, text(n, 20), f"{n}") for n in range(5)]
    batcher.step()
    assert (batcher.stats().running, batcher.stats().waiting) == (2, 3)
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]


def test_a_stopped_reply_ends_as_it_is() -> None:
    """Whether it runs, is still being read, or waits for a slot."""
    backend = ScriptedBackend(num_slots=2)
    batcher = batcher_on(backend)
    prompts = talkative(20, 30)
    running, waiting = (
        [ask(batcher, next(prompts), name, 30) for name in "ab"],
        ask(batcher, next(prompts), "c", 30),
    )
    for _ in range(6):
        batcher.step()
    written = [list(one.token_ids) for one in running]
    running[0].request.enough.set()
    waiting.request.enough.set()
    batcher.step()
    assert [running[0].reason, waiting.reason] == ["stopped", "stopped"]
    assert (running[0].token_ids, waiting.token_ids) == (written[0], [])
    assert len(written[0]) > 0
    drain(batcher)
    assert running[1].token_ids == reply_to(running[1].request)
    assert all(sampler.is_closed for sampler in backend.samplers)


def test_a_turn_costs_its_new_tokens() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    first = answer(batcher, text(1, 60))
    before = backend.evaluated
    prompt = (*first.request.prompt, *first.token_ids, *text(2, 7))
    second = answer(batcher, prompt)
    assert second.num_cached == 60 + len(first.token_ids) - 1
    assert backend.evaluated - before == len(prompt) - second.num_cached + len(second.token_ids) - 1


def test_a_swapped_out_conversation_comes_back_by_copy() -> None:
    backend = ScriptedBackend(num_slots=1)
    batcher = batcher_on(backend)
    first = answer(batcher, text(1, 60), "a")
    answer(batcher, text(2, 60), "b")
    again = answer(batcher, (*first.request.prompt, *first.token_ids, 5, 6), "a")
    assert again.num_cached == 60 + len(first.token_ids) - 1
    assert batcher.stats().swapped_out == 1


def test_without_swap_space_it_is_evaluated_again() -> None:
    backend = ScriptedBackend(num_slots=1)
    batcher = batcher_on(backend, swap_bytes=100)
    answer(batcher, text(1, 60), "a")
    answer(batcher, text(2, 60), "b")
    assert answer(batcher, text(1, 60), "a").num_cached == 0
    assert batcher.stats().swapped_bytes == 0


def test_an_idle_neighbour_keeps_its_slot_while_others_are_empty() -> None:
    backend = ScriptedBackend(num_slots=3)
    batcher = batcher_on(backend)
    for session in "abc":
        answer(batcher, text(ord(session), 50), session)
    assert backend.num_saved == 0
    assert answer(batcher, text(ord("a"), 50), "a").num_cached == 49


def test_a_persona_is_evaluated_once_for_all_who_arrive_together() -> None:
    backend = ScriptedBackend(num_slots=4)
    batcher = batcher_on(backend)
    persona = text(1, 150)
    received = [ask(batcher, (*persona, *text(10 + n, 20)), f"{n}") for n in range(4)]
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    assert sorted(one.num_cached for one in received) == [0, 150, 150, 150]


def test_a_persona_that_somebody_else_used_before_is_copied() -> None:
    backend = ScriptedBackend(num_slots=2)
    batcher = batcher_on(backend)
    persona = text(1, 100)
    cached = [answer(batcher, (*persona, *text(10 + n, 40)), f"{n}").num_cached for n in range(6)]
    assert cached == [0, 100, 100, 100, 100, 100]


def test_a_short_prefix_in_common_is_not_worth_a_copy() -> None:
    backend = ScriptedBackend(num_slots=2)
    batcher = batcher_on(backend)
    answer(batcher, (*text(1, 20), *text(2, 40)), "a")
    assert answer(batcher, (*text(1, 20), *text(3, 40)), "b").num_cached == 0
    assert backend.num_saved == 0


@pytest.mark.parametrize("length", [2, 20, 33])
def test_a_prompt_that_is_sent_again_is_cached_however_short(length: int) -> None:
    batcher = batcher_on(ScriptedBackend())
    answer(batcher, text(1, length), "a")
    assert answer(batcher, text(1, length), "b").num_cached == length - 1


def test_an_edit_keeps_what_stands_before_it() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    answer(batcher, text(1, 80))
    edited = (*text(1, 80)[:50], *text(2, 30))
    assert answer(batcher, edited).num_cached == 50


def test_a_recurrent_model_goes_on_or_starts_anew() -> None:
    backend = ScriptedBackend(num_slots=2, can_truncate=False)
    batcher = batcher_on(backend)
    first = answer(batcher, text(1, 60))
    on = answer(batcher, (*text(1, 60), *first.token_ids, 5, 6))
    assert on.num_cached == 60 + len(first.token_ids) - 1
    assert answer(batcher, (*text(1, 60)[:30], *text(3, 20))).num_cached == 0


def test_a_recurrent_model_shares_a_persona_at_its_border() -> None:
    backend = ScriptedBackend(num_slots=4, can_truncate=False)
    batcher = batcher_on(backend)
    persona = text(1, 150)
    received = [ask(batcher, (*persona, *text(10 + n, 20)), f"{n}") for n in range(4)]
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    assert sorted(one.num_cached for one in received) == [0, 150, 150, 150]


def test_what_was_emitted_by_another_attempt_is_gone_on_with() -> None:
    batcher = batcher_on(ScriptedBackend())
    whole = reply_to(GenerationRequest("a", text(8, 30), 12))
    assert len(whole) > 6
    request = GenerationRequest("a", text(8, 30), 12, generated=tuple(whole[:4]))
    received = Received(request)
    batcher.submit(request, received)
    drain(batcher)
    assert received.token_ids == whole


def test_an_attempt_with_nothing_left_to_do_ends_at_once() -> None:
    batcher = batcher_on(ScriptedBackend())
    request = GenerationRequest("a", text(1, 30), 2, generated=(7, 8))
    received = Received(request)
    batcher.submit(request, received)
    assert received.has_ended
    assert not batcher.has_work


@pytest.mark.parametrize(
    ("prompt", "options", "reason"),
    [
        (text(1, 500), SamplingOptions(), "window is full"),
        (text(1, 10), SamplingOptions(temperature=2), "too hot"),
    ],
)
def test_what_cannot_be_done_fails_alone(
    prompt: tuple[int, ...], options: SamplingOptions, reason: str
) -> None:
    batcher = batcher_on(ScriptedBackend())
    request = GenerationRequest("a", prompt, 5, sampling=options)
    received = Received(request)
    batcher.submit(request, received)
    assert reason in str(received.error)
    answer(batcher, text(2, 20), "b")


def test_a_prompt_is_metered_as_far_as_it_was_evaluated() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    first = answer(batcher, text(1, 60))
    request = GenerationRequest("a", (*first.request.prompt, *text(2, 120)), 5)
    sequence = batcher.submit(request, Received(request))
    assert sequence is not None
    assert request.meter.evaluated == 0
    before = backend.evaluated
    batcher.step()
    sequence.cancelled.set()
    drain(batcher)
    assert request.meter.evaluated == backend.evaluated - before > 0
    assert request.meter.evaluated < 120


def test_a_cancelled_reply_leaves_at_the_next_tick() -> None:
    backend = ScriptedBackend(num_slots=1)
    batcher = batcher_on(backend)
    received = Received(GenerationRequest("a", text(1, 400), 50))
    sequence = batcher.submit(received.request, received)
    waiting = Received(GenerationRequest("b", text(2, 20), 5))
    also = batcher.submit(waiting.request, waiting)
    assert sequence is not None
    assert also is not None
    batcher.step()
    sequence.cancelled.set()
    also.cancelled.set()
    batcher.step()
    assert (batcher.stats().running, batcher.stats().waiting) == (0, 0)
    assert all(sampler.is_closed for sampler in backend.samplers)


# Warming.


def test_a_window_is_evaluated_ahead_when_nobody_waits() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    batcher.warm("a", text(1, 200))
    drain(batcher)
    assert answer(batcher, (*text(1, 200), *text(2, 10))).num_cached == 200


def test_real_work_interrupts_warming_at_the_next_step() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    batcher.warm("a", text(1, 400))
    batcher.step()
    received = ask(batcher, text(2, 10), "b")
    batcher.step()
    assert [part.start for part in backend.steps[1]] == [0]
    assert received.pieces
    drain(batcher)
    done = answer(batcher, (*text(1, 400), 5), "a")
    assert done.num_cached == len(backend.steps[0][0].token_ids)


def test_a_turn_that_comes_before_its_warming_makes_that_needless() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    batcher.warm("a", text(1, 200))
    answer(batcher, text(3, 20), "a")
    assert backend.evaluated < 60


# Slots.


def test_busy_slots_become_neighbours_again() -> None:
    backend = ScriptedBackend(num_slots=4)
    batcher = batcher_on(backend)
    lengths = (60, 3, 3, 60)
    received = [
        ask(batcher, prompt, f"{n}", length)
        for n, (prompt, length) in enumerate(zip(talkative(20, 60), lengths, strict=False))
    ]
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    slots = sorted(part.slot_id for part in backend.steps[-1])
    together = [sorted(p.slot_id for p in step) for step in backend.steps if len(step) == 2]
    assert slots[-1] - slots[0] == len(slots) - 1
    assert together[-1][1] - together[-1][0] == 1


def test_a_full_slot_ends_a_reply() -> None:
    batcher = batcher_on(ScriptedBackend(slot_size=40))
    received = Received(GenerationRequest("a", text(8, 30), 100))
    batcher.submit(received.request, received)
    drain(batcher)
    whole = reply_to(replace(received.request, max_tokens=10))
    assert received.token_ids == whole
    assert received.pieces[-1].end is not None


def test_figures_add_up() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    first = answer(batcher, text(1, 60))
    second = answer(batcher, (*text(1, 60), *first.token_ids, 5, 6, 7))
    stats = batcher.stats()
    assert stats.passes == len(backend.steps)
    assert stats.cached == second.num_cached
    assert stats.evaluated == 60 + len(second.request.prompt) - second.num_cached
    assert stats.kv_tokens == sum(map(len, backend.content))
    assert stats.running == stats.waiting == 0


def test_a_gap_is_closed_at_once_where_copies_cost_little_and_nothing_is_swapped_out() -> None:
    backend = ScriptedBackend(num_slots=4, copies_fast=True)
    batcher = batcher_on(backend)
    prompts = talkative(40, 30)
    first = ask(batcher, next(prompts), "a", 30)
    middle = ask(batcher, next(prompts), "b", 3)
    replies = (first, middle, ask(batcher, next(prompts), "c", 30))
    while not middle.has_ended:
        batcher.step()
    passes = len(backend.steps)
    batcher.step()
    assert len(backend.steps) == passes + 1, "both that go on are evaluated in one pass"
    drain(batcher)
    assert [one.token_ids for one in replies] == [reply_to(one.request) for one in replies]
    assert (backend.num_copied, backend.num_saved) == (2, 0)
