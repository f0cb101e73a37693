"""What a worker could be told instead, and replies that come and go."""

import statistics
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from random import Random
from typing import Any, Final

from bench.gpu.engine_run import EngineRun, prefill, timed_ms, triple
from bench.gpu.profiles import Profile
from bench.gpu.step import Step
from bench.host_cost import KINDS
from worker.engine.backend import Part
from worker.engine.model import LlamaModel

VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "as a worker has it": {},
    "one buffer for all": {"unified": True},
    "steps of 2,048 tokens": {"batch": 2048},
    "without flash attention": {"flash_attention": False},
}


def variants(step: Step) -> None:
    """What a worker could be told instead: bare steps of the same model with other options."""
    profile = step.profile
    slots = max(4, profile.streams + 1)
    for name, changes in VARIANTS.items():
        options = replace(step.options(slots, profile.long_prompt + 4 * profile.decodes), **changes)
        with closing(LlamaModel(options)) as loaded:
            loaded.warm_up()
            prompt = step.prompt(1, profile.long_prompt)
            prefill_ms = timed_ms(prefill, loaded, prompt)
            loaded.clear(0)
            prefill(loaded, prompt[: profile.context])
            half = loaded.save(0)
            for slot in range(1, slots):
                loaded.load(slot, half)
            step.row(
                variant=name,
                prefill_tok_s=profile.long_prompt / prefill_ms * 1000,
                one_ms=bare_steps(loaded, range(1), profile),
                half_ms=bare_steps(loaded, range(slots // 2), profile),
                half_with_gaps_ms=bare_steps(loaded, range(0, slots, 2), profile),
                all_ms=bare_steps(loaded, range(slots), profile),
            )


def bare_steps(model: LlamaModel, slots: Sequence[int], profile: Profile) -> tuple[float, ...]:
    """A token in each of the slots, behind a context of the profile's length; taken back."""
    times = []
    for number in range(profile.decodes // 2):
        parts = [Part(slot, profile.context + number, [300 + number], True) for slot in slots]
        times.append(timed_ms(lambda parts=parts: model.evaluate(parts)))
    for slot in slots:
        model.truncate(slot, profile.context)
    return triple(times)


def churn(step: Step) -> None:
    """Replies of many lengths that end and begin all the time, as in a worker's ordinary life."""
    profile = step.profile
    options = step.options(profile.streams + 1, 2 * profile.context)
    for way, device_copies in {"through the host": False, "on the device": True}.items():
        with closing(LlamaModel(replace(options, device_copies=device_copies))) as loaded:
            loaded.warm_up()
            run, times = come_and_go(step, loaded)
            step.row(
                slots_are_copied=way,
                slots=loaded.num_slots,
                reply_tok_s=run.generated / sum(times) * 1000,
                tick_ms=triple(times),
                tick_p95_ms=statistics.quantiles(times, n=20)[-1],
            )
            run.end()


def come_and_go(step: Step, model: LlamaModel) -> tuple[EngineRun, list[float]]:
    """Replies until three for each slot have ended; milliseconds of every tick."""
    profile, random = step.profile, Random(1)
    run, times, begun = EngineRun(model), [], 0
    while begun - run.running < 3 * model.num_slots:
        # One slot in eight waits for its user.
        while run.running < model.num_slots - model.num_slots // 8:
            begun += 1
            size = random.randint(profile.context // 10, profile.context // 2)
            length = random.randint(profile.decodes // 4, 2 * profile.decodes)
            run.submit(step.prompt(begun, size), length, KINDS["greedy"])
        times += [tick.seconds * 1000 for tick in run.ticks(1)]
    return run, times
