"""The steps of a run, each in a process of its own: `python -m bench.gpu.steps NAME PLAN ROWS`.

A step appends its rows to the file ROWS as it finds them; triples in them are a median and a range.
"""

import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import llama_cpp
import numpy as np

from bench.cpu import cpu_model
from bench.gpu.device_sampling import MODES, DeviceLoop
from bench.gpu.engine_run import EngineRun, Tick, prefill, timed_ms, triple
from bench.gpu.moves import ways
from bench.gpu.profiles import Profile
from bench.gpu.run import Plan
from bench.gpu.step import Step
from bench.gpu.variants import churn, variants
from bench.host_cost import KINDS, host_costs
from bench.random_model import SHAPES, write_model
from worker.engine.backend import State
from worker.engine.devices import devices
from worker.engine.drawing import Drawer, compiled
from worker.engine.interface import SamplingOptions
from worker.engine.model import LlamaModel

REPEATS: Final = 5
NOT_IN_ENGINE: Final = ("schema",)
"""Kinds that only the step `host_cost` measures."""
DRAWING_THREADS: Final = (1, 2, 4, 8)
TICKS_OF_A_PROMPT: Final = 4
SLACK: Final = 24
"""Tokens of a window beyond what is asked for."""


def machine(step: Step) -> None:
    """What is measured on."""
    llama_cpp.llama_backend_init()
    step.row(what="Python", value=platform.python_version())
    step.row(what="kernel", value=platform.release())
    step.row(what="processor", value=cpu_model())
    step.row(what="cores", value=str(len(os.sched_getaffinity(0))))
    step.row(what="llama-cpp-python", value=llama_cpp.__version__)
    step.row(what="drawing", value="compiled" if compiled() else "by llama.cpp's samplers")
    for device in devices():
        memory = f"{device.free_bytes >> 20:,} of {device.total_bytes >> 20:,} MiB free"
        step.row(what=device.name, value=f"{device.description}, {memory}")
    step.row(what="llama.cpp", value=llama_cpp.llama_print_system_info().decode().strip())
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return
    step.row(what="nvidia-smi", value=told.stdout.strip())


def model(step: Step) -> None:
    """Write the random model, and load it once."""
    began = time.perf_counter()
    write_model(step.path, SHAPES[step.profile.shape])
    wrote_s = time.perf_counter() - began
    began = time.perf_counter()
    with closing(step.model(1, 512)) as loaded:
        load_s = time.perf_counter() - began
        loaded.warm_up()
    gib = step.path.stat().st_size / 2**30
    step.row(shape=step.profile.shape, GiB=gib, written_s=wrote_s, loaded_s=load_s)


def batched_bench(step: Step) -> None:
    """llama.cpp's own figure for the same workload."""
    if step.plan.batched_bench is None:
        return step.row(note="no llama-batched-bench was given")
    profile = step.profile
    size = (profile.context + profile.decodes) * max(profile.sequences)
    command = [step.plan.batched_bench, "-m", str(step.path), "-c", str(size)]
    command += ["-npp", str(profile.context), "-ntg", str(profile.decodes)]
    command += ["-npl", ",".join(map(str, profile.sequences)), "-ngl", "99", "-fa", "on"]
    command += ["-t", str(len(os.sched_getaffinity(0))), "--output-format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                found = json.loads(line)
                step.row(
                    sequences=found["pl"],
                    prefill_tok_s=found["speed_pp"],
                    decode_tok_s=found["speed_tg"],
                    step_ms=1000 * found["t_tg"] / found["tg"],
                )
    if process.returncode != 0:
        sys.exit(f"llama-batched-bench: exit status {process.returncode}")
    return None


def engine(step: Step) -> None:
    """The engine as a worker has it, less Redis: prompts side by side, then only decodes."""
    for count in step.profile.sequences:
        window = step.profile.context + reply_tokens(step.profile, count)
        with closing(step.model(count, window)) as loaded:
            loaded.warm_up()
            for kind in [one for one in step.profile.kinds if one not in NOT_IN_ENGINE]:
                step.row(**decoding(step, loaded, kind))


def reply_tokens(profile: Profile, count: int) -> int:
    """What a reply must be able to have: the first runs on until the last prompt is evaluated."""
    return profile.decodes + TICKS_OF_A_PROMPT * count + SLACK


def decoding(step: Step, model: LlamaModel, kind: str) -> dict[str, Any]:
    """A reply in every slot of the model."""
    slots = model.num_slots
    run, prefill_s = begun(step, model, kind)
    ticks = run.ticks(step.profile.decodes)
    run.end()
    return {
        "sequences": slots,
        "sampling": kind,
        "prefill_tok_s": slots * step.profile.context / prefill_s,
        "decode_tok_s": slots / statistics.median(tick.seconds for tick in ticks),
        **times_of(ticks),
    }


def begun(step: Step, model: LlamaModel, kind: str, rounds: int = 1) -> tuple[EngineRun, float]:
    """A reply in every slot, each with a token, and the seconds that their prompts took.

    Args:
        rounds: of `profile.decodes` ticks that will follow.
    """
    profile, slots = step.profile, model.num_slots
    run = EngineRun(model)
    for slot in range(slots):
        length = reply_tokens(profile, slots) + (rounds - 1) * profile.decodes
        run.submit(step.prompt(slot, profile.context), length, KINDS[kind])
    return run, run.until_begun(slots)


def times_of(ticks: Sequence[Tick]) -> dict[str, Any]:
    """Milliseconds of a tick: all of it, and what it consists of."""
    return {
        "step_ms": triple([tick.seconds * 1000 for tick in ticks]),
        "evaluation_ms": triple([tick.decode_s * 1000 for tick in ticks]),
        "drawing_ms": triple([tick.draw_s * 1000 for tick in ticks]),
        "rest_ms": triple([tick.rest_s * 1000 for tick in ticks]),
    }


def drawing(step: Step) -> None:
    """How many threads should look at the logits."""
    profile = step.profile
    slots, cores = max(2, profile.sequences[-2]), len(os.sched_getaffinity(0))
    counts = [count for count in DRAWING_THREADS if count <= cores]
    window = profile.context + reply_tokens(profile, slots) + len(counts) * profile.decodes
    with closing(step.model(slots, window)) as loaded:
        loaded.warm_up()
        run, _ = begun(step, loaded, "defaults", rounds=len(counts))
        for count in counts:
            loaded.drawer.close()
            loaded.drawer = Drawer(count, compiled())
            ticks = run.ticks(profile.decodes)
            step.row(sequences=slots, threads_that_draw=count, **times_of(ticks))
        run.end()


def intrusion(step: Step) -> None:
    """A long prompt's first token, and what the replies that run meanwhile see of it."""
    profile = step.profile
    window = max(profile.long_prompt, profile.context + 10 * profile.decodes) + SLACK
    with closing(step.model(profile.streams + 1, window)) as loaded:
        loaded.warm_up()
        for number in range(REPEATS):
            run = EngineRun(loaded)
            for slot in range(profile.streams):
                prompt = step.prompt(100 * number + slot, profile.context)
                run.submit(prompt, 10 * profile.decodes, SamplingOptions())
            run.until_begun(profile.streams)
            usual = run.ticks(profile.decodes // 2)
            began = time.perf_counter()
            run.submit(step.prompt(100 * number + 99, profile.long_prompt), 2, SamplingOptions())
            ticks = []
            while run.has_begun == profile.streams:
                ticks += run.ticks(1)
            step.row(
                streams=profile.streams,
                prompt_tokens=profile.long_prompt,
                first_token_ms=(time.perf_counter() - began) * 1000,
                longest_gap_ms=max(tick.seconds for tick in ticks) * 1000,
                usual_gap_ms=statistics.median(tick.seconds for tick in usual) * 1000,
            )
            run.end()


def state(step: Step) -> None:
    """A conversation out of its slot, and back."""
    size = step.profile.long_prompt
    with closing(step.model(1, size + SLACK)) as loaded:
        loaded.warm_up()
        prefill_ms = timed_ms(prefill, loaded, step.prompt(1, size))
        saved, out, back = loaded.save(0), [], []
        for _ in range(REPEATS):
            out.append(timed_ms(loaded.save, 0))
            loaded.clear(0)
            back.append(timed_ms(loaded.load, 0, saved))
        step.row(
            tokens=size,
            MiB=len(saved) / 2**20,
            save_again_ms=triple([save_into_ms(loaded, saved) for _ in range(REPEATS)]),
            save_ms=triple(out),
            restore_ms=triple(back),
            prefill_ms=prefill_ms,
        )


def save_into_ms(model: LlamaModel, buffer: State) -> float:
    """Saving into memory that is there already, as it would be with buffers that are kept."""
    assert isinstance(buffer, np.ndarray)
    pointer = buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
    return timed_ms(llama_cpp.llama_state_seq_get_data, model.context, pointer, len(buffer), 0)


def moves(step: Step) -> None:
    """From one slot to another: what closing a gap and sharing a prefix cost."""
    size = step.profile.long_prompt
    with closing(step.model(2, size + SLACK)) as loaded:
        loaded.warm_up()
        prefill(loaded, step.prompt(1, size))
        for row in ways(loaded, size):
            step.row(**row)


def host_cost(step: Step) -> None:
    """See `bench.host_cost`: here with whatever device there is."""
    profile = step.profile
    with tempfile.TemporaryDirectory() as folder:
        costs = host_costs(
            Path(folder),
            profile.host_vocabularies,
            profile.sequences,
            profile.kinds,
            steps=profile.decodes // 2,
            more=step.plan.options,
        )
        for cost in costs:
            step.row(
                vocabulary=cost.vocab,
                sequences=cost.sequences,
                sampling=cost.kind,
                ours_ms=triple(cost.ours_ms),
                chain_in_C_ms=triple(cost.chain_ms) if cost.chain_ms else "",
                reading_once_ms=triple(cost.read_ms),
            )


def device_sampling(step: Step) -> None:
    """llama.cpp's backend samplers, without an engine: what it costs to draw on the device."""
    profile = step.profile
    for slots in sorted({max(2, count) for count in profile.sequences[-3:-1]}):
        options = step.options(slots, profile.context + 4 * profile.decodes)
        for mode in MODES:
            with closing(DeviceLoop(options, mode)) as loop:
                loop.prefill(profile.context, step.prompt)
                times = loop.steps(profile.decodes)
            step.row(
                sequences=slots,
                drawing=mode.name,
                step_ms=triple([one.total_ms for one in times]),
                evaluation_ms=triple([one.decode_ms for one in times]),
            )


def system(step: Step) -> None:
    """All of Palaver: API, embedded Valkey, one worker, and users who stream."""
    # Only here: everything else must run where these packages do not.
    from bench.gpu.system import play_system  # noqa: PLC0415

    for figures in play_system(step.path, step.profile):
        step.row(**figures)


ALL: Final = (
    machine,
    model,
    batched_bench,
    engine,
    drawing,
    intrusion,
    variants,
    state,
    moves,
    churn,
    host_cost,
    device_sampling,
    system,
)


def main() -> None:
    name, plan, rows = sys.argv[1:]
    by_name: dict[str, Callable[[Step], None]] = {step.__name__: step for step in ALL}
    by_name[name](Step(Plan(**json.loads(plan)), Path(rows)))


if __name__ == "__main__":
    main()
