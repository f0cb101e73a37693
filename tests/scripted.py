"""A scripted engine: the worker's `Engine` interface without a model.

One character is one token, control tokens lie above Unicode, and what is replied is decided by a
function of the prompt's text, so that tests assert exact prompts.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from worker.engine.interface import (
    End,
    EngineError,
    FinishReason,
    GenerationRequest,
    ModelInfo,
    Piece,
    PromptMessage,
)
from worker.engine.stats import EngineStats

_FIRST_CONTROL: Final = 0x110000
_CONTROLS: Final = ("system", "user", "assistant", "end")

Script = Callable[[str], str]
"""From the prompt's text to the reply."""


def control(name: str) -> int:
    """The id of a control token."""
    return _FIRST_CONTROL + _CONTROLS.index(name)


def last_prompt(prompt: str) -> str:
    """The newest user message in a prompt's text."""
    return prompt.rpartition("<user>")[2].partition("<end>")[0]


def echo(prompt: str) -> str:
    """Replies with what was said last."""
    return f"You said: {last_prompt(prompt)}"


class ScriptedEngine:
    """Replies from a script.

    Args:
        script: the reply; raising `EngineError` fails the generation.
        slots: generations that run together.
        piece_length: tokens of a piece; 0 gives the reply in one.
        step: awaited before each piece, with the number of tokens given so far; tests hold the
            engine here.
    """

    def __init__(
        self,
        script: Script = echo,
        *,
        slots: int = 8,
        piece_length: int = 0,
        step: Callable[[int], "asyncio.Future[None] | None"] | None = None,
        fingerprint: str = "scripted",
        window: int = 1 << 20,
    ) -> None:
        self.model = ModelInfo("scripted", fingerprint)
        self.slots = slots
        self.window = window
        self.steps = 0
        self.prompts: list[str] = []
        self.requests: list[GenerationRequest] = []
        self.running = 0
        self.warmed: list[str] = []
        self.advanced: list[str] = []
        """The session of each piece that was given."""
        self._alone: GenerationRequest | None = None
        self._not_alone = asyncio.Event()
        self._not_alone.set()
        self._script = script
        self._piece_length = piece_length
        self._step = step

    @property
    def progress(self) -> int:
        return self.steps

    def stuck_for(self) -> float:
        return 0.0

    def tokenize(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def detokenize(self, token_ids: Sequence[int]) -> str:
        return "".join(
            f"<{_CONTROLS[i - _FIRST_CONTROL]}>" if i >= _FIRST_CONTROL else chr(i)
            for i in token_ids
        )

    def render(self, messages: Sequence[PromptMessage]) -> list[int]:
        prompt: list[int] = []
        for message in messages:
            prompt += (control(message.role), *message.token_ids, control("end"))
        return [*prompt, control("assistant")]

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        prompt = self.detokenize(request.prompt)
        self.prompts.append(prompt)
        self.requests.append(request)
        self.running += 1
        request.meter.evaluated = len(request.prompt)
        try:
            reply = self.tokenize(self._script(prompt))
            reason: FinishReason = "length" if len(reply) > request.max_tokens else "stop"
            reply = reply[: request.max_tokens]
            position = len(request.generated)
            size = self._piece_length or max(1, len(reply))
            while True:
                waiting = self._step(position) if self._step is not None else None
                if waiting is not None:
                    await waiting
                await self._until_allowed(request, position)
                self.steps += 1
                self.advanced.append(request.session)
                ids = tuple(reply[position : position + size])
                position += len(ids)
                end = End(reason, 0, 0.1, 0.1) if position >= len(reply) else None
                yield Piece(self.detokenize(ids), ids, end)
                if end is not None:
                    return
        finally:
            self.running -= 1
            self._end_solitude(request)

    async def _until_allowed(self, request: GenerationRequest, position: int) -> None:
        """While somebody must be alone, the others' pieces wait."""
        if request is self._alone and position >= request.alone_until:
            self._end_solitude(request)
        while self._alone is not None and self._alone is not request:
            await self._not_alone.wait()
        if position < request.alone_until:
            self._alone = request
            self._not_alone.clear()

    def _end_solitude(self, request: GenerationRequest) -> None:
        if self._alone is request:
            self._alone = None
            self._not_alone.set()

    def warm(self, session: str, token_ids: Sequence[int]) -> None:
        self.warmed.append(self.detokenize(token_ids))

    def stats(self) -> EngineStats:
        return EngineStats(passes=self.steps)

    async def close(self) -> None:
        """Nothing to free."""


def failing(_prompt: str) -> str:
    """A script for a generation that fails."""
    raise EngineError("the script says so")
