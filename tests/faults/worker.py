"""A worker process with a scripted engine: everything but the model is the real thing.

    python -m tests.faults.worker

Settings as for a worker; besides, `FAULTS_PIECE_S` is the time between two pieces of a reply, and
`FAULTS_UNFENCED=1` takes the fence away, to see that the tests find out. `FAULTS_MODEL` is the
model's fingerprint; with `shifted` its token ids are others, too. `FAULTS_HAND` is the letter in
which it writes the ends of replies. With `FAULTS_REMEMBERS=1` it makes summaries of what has left
windows (`tests/faults/script.py`).
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from shared.errors import EX_SOFTWARE, ConfigError, TaskEnded
from shared.process.logs import configure_logging
from shared.process.start import fail_start, settings_or_exit
from shared.process.supervisor import stop_on_signals
from shared.store import scripts
from shared.store.claims import Claims, Wishes
from shared.wire.claim import Claim
from tests.faults.script import BREAK, HAND, HANG, MODEL, deadly, die, script_of
from tests.scripted import ScriptedEngine, control, last_prompt
from worker.engine.interface import GenerationRequest, Piece
from worker.wiring import run_worker

PIECE_LENGTH = 4
LONGEST_STEP_S = 0.5
PROMPT_SPEED = 2_000
"""Tokens a second that it says it evaluates: so conversations have homes that are worth a wait."""
SHIFT = 0x200000
FENCES = {
    "f.token ~= arg.fence": "false",
    "(f.token or '') ~= arg.fence": "false",
    "f.token ~= arg['fence' .. i]": "false",
    "redis.call('HGET', key.job(job), 'token') ~= arg['fence' .. i]": "false",
}
FENCED = {"beat": 1, "commit": 1, "publish": 1, "fail": 1, "hand_over": 1, "requeue": 1}


def take_the_fence_away() -> None:
    """Let this process use scripts that compare no fences."""
    folder = Path(tempfile.mkdtemp(prefix="palaver-unfenced-"))
    shutil.copytree(Path(str(scripts.FOLDER)), folder, dirs_exist_ok=True)
    for path in folder.glob("*.lua"):
        text = path.read_text(encoding="utf-8")
        name, found = path.name.removesuffix(".lua"), 0
        for fence, nothing in FENCES.items():
            found += text.count(fence)
            text = text.replace(fence, nothing)
        assert found == FENCED.get(name, 0), f"{name}: {found} fences"
        path.write_text(text, encoding="utf-8")
    scripts.FOLDER = folder

    async def nothing_is_lost(_self: Claims, _claims: Sequence[Claim]) -> Wishes:
        return Wishes(lost=[], stopped=[])

    Claims.wishes = nothing_is_lost  # type: ignore[method-assign,assignment]  # in this process only


class HangingEngine(ScriptedEngine):
    """Gets stuck in a step, or has a bug, when a prompt says so; its event loop lives on."""

    _hangs_since: float | None = None
    _is_broken = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prompt_speed = PROMPT_SPEED

    def stuck_for(self) -> float:
        if self._is_broken:
            raise ValueError("a bug in the heartbeat")
        if self._hangs_since is None:
            return 0.0
        return max(0.0, time.monotonic() - self._hangs_since - LONGEST_STEP_S)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        prompt = last_prompt(self.detokenize(request.prompt))
        self._is_broken = BREAK in prompt
        if HANG in prompt:
            self._hangs_since = time.monotonic()
            await asyncio.Event().wait()
        async for piece in super().generate(request):
            yield piece


class ShiftedEngine(HangingEngine):
    """The same characters under other ids."""

    def tokenize(self, text: str) -> list[int]:
        return [token + SHIFT for token in super().tokenize(text)]

    def detokenize(self, token_ids: Sequence[int], *, controls: bool = True) -> str:
        known = range(control("system"), control("tool") + 1)
        shifted = [i if i in known else i - SHIFT for i in token_ids]
        return super().detokenize(shifted, controls=controls)


async def work() -> bool:
    settings = settings_or_exit()
    configure_logging(settings.log_level, settings.log_format)
    piece_s = float(os.environ.get("FAULTS_PIECE_S", "0.005"))
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    fingerprint = os.environ.get("FAULTS_MODEL", "scripted")
    model = settings.model_name or MODEL
    remembers = os.environ.get("FAULTS_REMEMBERS") == "1"
    kind = ShiftedEngine if fingerprint == "shifted" else HangingEngine
    engine = kind(
        deadly(script_of(model, os.environ.get("FAULTS_HAND", HAND), remembers=remembers), die),
        slots=settings.slots,
        piece_length=PIECE_LENGTH,
        step=lambda _: asyncio.ensure_future(asyncio.sleep(piece_s)),
        fingerprint=fingerprint,
    )
    engine.model = replace(engine.model, name=model)
    return await run_worker(settings, engine, stopping)


def main() -> None:
    if os.environ.get("FAULTS_UNFENCED") == "1":
        take_the_fence_away()
    try:
        uvloop.run(work())
    except ConfigError as error:
        fail_start(error)
    except TaskEnded:
        sys.exit(EX_SOFTWARE)


if __name__ == "__main__":
    main()
