"""Engines on real models, and conversations with them, for the tests of fidelity."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from tests.cores import MODEL_THREADS
from worker.engine.engine import LlamaEngine
from worker.engine.interface import GenerationRequest, ModelInfo, SamplingOptions
from worker.engine.loading import CHATML
from worker.engine.model import LlamaModel
from worker.engine.options import Adapter, KvType, ModelOptions
from worker.prompt.message import PromptMessage
from worker.prompt.writer import PromptWriter
from worker.template.chat_template import ChatTemplate

GREEDY = SamplingOptions(temperature=0, ignore_eos=True)


@contextlib.asynccontextmanager
async def running_engine(
    path: Path,
    *,
    slots: int,
    window: int = 512,
    unified: bool = False,
    device_copies: bool | None = None,
    swap_bytes: int = 1 << 28,
    kv_type: KvType = "f16",
    adapters: Sequence[Adapter] = (),
) -> AsyncIterator[LlamaEngine]:
    """An engine whose prompts are evaluated in chunks that end at fixed places."""
    options = ModelOptions(
        path,
        window,
        threads=MODEL_THREADS,
        slots=slots,
        unified=unified,
        device_copies=device_copies,
        kv_type=kv_type,
        adapters=tuple(adapters),
    )
    model = LlamaModel(options)
    engine = LlamaEngine(
        model,
        ModelInfo("test", "test", CHATML),
        longest_step_s=2.5,
        stuck_after_s=60,
        swap_bytes=swap_bytes,
        grid=64,
    )
    try:
        yield engine
    finally:
        await engine.close()


class Dialogue:
    """One conversation: each of its own replies is part of the next prompt."""

    def __init__(self, engine: LlamaEngine, session: str, persona: str) -> None:
        self._engine = engine
        self._session = session
        self._messages = [PromptMessage.says("system", persona)]
        self.replies: list[tuple[int, ...]] = []
        self.cached: list[int] = []
        self.prompt_lengths: list[int] = []

    async def say(
        self, text: str, max_tokens: int = 16, sampling: SamplingOptions = GREEDY
    ) -> tuple[int, ...]:
        """One turn; returns the reply's token ids."""
        engine = self._engine
        self._messages.append(PromptMessage.says("user", text))
        prompt = writer_for(engine).encode(self._messages).token_ids
        request = GenerationRequest(self._session, prompt, max_tokens, sampling=sampling)
        ids: list[int] = []
        async with aclosing(engine.generate(request)) as pieces:
            async for piece in pieces:
                ids += piece.token_ids
                if piece.end is not None:
                    self.cached.append(piece.end.cached_tokens)
        self.prompt_lengths.append(len(prompt))
        self._messages.append(self._replied(ids))
        self.replies.append(tuple(ids))
        return self.replies[-1]

    def _replied(self, ids: list[int]) -> PromptMessage:
        says = PromptMessage.says("assistant", self._engine.detokenize(ids))
        return replace(says, token_ids=tuple(ids))


def writer_for(engine: LlamaEngine) -> PromptWriter:
    """The prompts of an engine's own template."""
    model = engine.model
    return PromptWriter(engine, ChatTemplate(model.chat_template, bos=model.bos, eos=model.eos))


async def talk(
    engine: LlamaEngine,
    personas: Sequence[str],
    prompts: Sequence[str],
    sampling: SamplingOptions = GREEDY,
    *,
    together: bool,
) -> list[Dialogue]:
    """A conversation for each persona, all at once or one after the other."""
    dialogues = [
        Dialogue(engine, f"session {number}", persona) for number, persona in enumerate(personas)
    ]

    async def whole(number: int, dialogue: Dialogue) -> None:
        for prompt in prompts:
            await dialogue.say(f"{prompt} ({number})", 12 + 3 * number, sampling)

    if together:
        await asyncio.gather(*(whole(n, one) for n, one in enumerate(dialogues)))
    else:
        for number, dialogue in enumerate(dialogues):
            await whole(number, dialogue)
    return dialogues
