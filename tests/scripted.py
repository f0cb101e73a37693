"""A scripted engine: the worker's `Engine` interface without a model.

One character is one token, control tokens lie above Unicode, and what is replied is decided by a
function of the prompt's text, so that tests assert exact prompts.
"""

import asyncio
import math
import re
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.embedding import Embedded, EmbeddingRequest
from worker.engine.interface import (
    DrawnLogprob,
    End,
    EngineError,
    FinishReason,
    GenerationRequest,
    ModelInfo,
    Part,
    PartKind,
    Piece,
    Segment,
    TokenLogprob,
)
from worker.engine.stats import EngineStats

_FIRST_CONTROL: Final = 0x110000
_CONTROLS: Final = ("system", "user", "assistant", "end", "tool")
_CONTROL: Final = re.compile(f"<({'|'.join(_CONTROLS)})>")
_LOOK_S: Final = 0.02

TEMPLATE: Final = (
    "{% if tools %}<system>[tools{% for tool in tools %} {{ tool.function.name }}{% endfor %}]<end>"
    "{% endif %}{% for message in messages %}<{{ message.role }}>"
    "{% if message.reasoning_content %}[thought {{ message.reasoning_content }}]{% endif %}"
    "{{ message.content }}{% for call in message.tool_calls or [] %}"
    "[call {{ call.function.name }} {{ call.function.arguments }}]{% endfor %}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""Shows everything that a message can have."""

Script = Callable[[str], str | list[Part]]
"""From the prompt's text to the reply: text, or all its parts."""
_Unit = tuple[Part, tuple[int, ...]]


def control(name: str) -> int:
    """The id of a control token."""
    return _FIRST_CONTROL + _CONTROLS.index(name)


def _is_control(token: int) -> bool:
    return token >= _FIRST_CONTROL


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
        own_ids: the first of the ids in which it writes; tokenizing its text gives others.
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
        name: str = "scripted",
        fingerprint: str = "scripted",
        own_ids: int = 0,
        window: int = 1 << 20,
    ) -> None:
        self.model = ModelInfo(name, fingerprint, TEMPLATE)
        self.slots = slots
        self.window = window
        self.steps = 0
        self.prompt_speed = 0
        self.dropped = DroppedSessions()
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
        self._own_ids = own_ids

    @property
    def progress(self) -> int:
        return self.steps

    def stuck_for(self) -> float:
        return 0.0

    def tokenize(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def detokenize(self, token_ids: Sequence[int], *, controls: bool = True) -> str:
        shown = [token for token in token_ids if controls or not _is_control(token)]
        return "".join(map(self._text_of, shown))

    def _text_of(self, token: int) -> str:
        if _is_control(token):
            return f"<{_CONTROLS[token - _FIRST_CONTROL]}>"
        is_own = self._own_ids <= token < 2 * self._own_ids
        return chr(token - self._own_ids if is_own else token)

    def encode(self, segments: Sequence[Segment]) -> list[int]:
        token_ids: list[int] = []
        for segment in segments:
            if segment.token_ids is not None:
                token_ids += segment.token_ids
            elif segment.is_scaffold:
                for place, text in enumerate(_CONTROL.split(segment.text)):
                    token_ids += [control(text)] if place % 2 else self.tokenize(text)
            else:
                token_ids += self.tokenize(segment.text)
        return token_ids

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        prompt = self.detokenize(request.prompt)
        self.prompts.append(prompt)
        self.requests.append(request)
        self.running += 1
        request.meter.evaluated = len(request.prompt)
        try:
            units, reason = self._units(self._script(prompt), request.max_tokens)
            position, left = len(request.generated), _behind(units, len(request.generated))
            size = self._piece_length or max(1, len(left))
            while True:
                waiting = self._step(position) if self._step is not None else None
                if waiting is not None:
                    await _held(waiting, request)
                await self._until_allowed(request, position)
                self.steps += 1
                if request.enough.is_set():
                    yield Piece((), (), End("stopped", 0, 0.1, 0.1))
                    return
                self.advanced.append(request.session)
                piece, left = left[:size], left[size:]
                position += sum(len(ids) for _, ids in piece)
                end = None if left else End(reason, 0, 0.1, 0.1, _count(units, "reasoning"))
                yield _piece(piece, end, request.sampling.top_logprobs)
                if end is not None:
                    return
        finally:
            self.running -= 1
            self._end_solitude(request)

    def _units(self, reply: str | list[Part], max_tokens: int) -> tuple[list[_Unit], FinishReason]:
        """What cannot be cut: a character each, and whole calls."""
        parts = [Part("text", reply)] if isinstance(reply, str) else reply
        units: list[_Unit] = []
        for part in parts:
            texts = [part.text] if part.kind == "call" else list(part.text)
            units += [(Part(part.kind, text), self._written(text)) for text in texts]
        num_tokens, kept = 0, list[_Unit]()
        for part, ids in units:
            num_tokens += len(ids)
            if num_tokens > max_tokens:
                return kept, "length"
            kept.append((part, ids))
        return kept, "stop"

    def _written(self, text: str) -> tuple[int, ...]:
        return tuple(self._own_ids + token for token in self.tokenize(text))

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


async def _held(waiting: "asyncio.Future[None]", request: GenerationRequest) -> None:
    """Wait as long as the reply is wanted; what held one that was cancelled holds nobody."""
    try:
        while not waiting.done() and not request.enough.is_set():
            await asyncio.wait({waiting}, timeout=_LOOK_S)
    except asyncio.CancelledError:
        waiting.cancel()
        raise
    if waiting.done() and not waiting.cancelled():
        await waiting


def _behind(units: list[_Unit], num_ids: int) -> list[_Unit]:
    """The units behind so many token ids."""
    left = list(units)
    while left and num_ids > 0:
        num_ids -= len(left.pop(0)[1])
    return left


def _count(units: list[_Unit], kind: PartKind) -> int:
    return sum(len(ids) for part, ids in units if part.kind == kind)


def _piece(units: list[_Unit], end: End | None, top_logprobs: int | None) -> Piece:
    parts: list[Part] = []
    for part, _ in units:
        if parts and parts[-1].kind == part.kind != "call":
            part = Part(part.kind, parts.pop().text + part.text)
        parts.append(part)
    ids = tuple(token for _, ids in units for token in ids)
    return Piece(tuple(parts), ids, end, _logprobs(ids, top_logprobs))


def _logprobs(ids: tuple[int, ...], top: int | None) -> tuple[DrawnLogprob, ...]:
    """Every token is drawn with the same probability, and has the same alternatives."""
    if top is None:
        return ()
    others = tuple(TokenLogprob(bytes([97 + place]), -1.0 - place) for place in range(top))
    return tuple(DrawnLogprob(TokenLogprob(chr(token).encode(), -0.5), others) for token in ids)


def failing(_prompt: str) -> str:
    """A script for a generation that fails."""
    raise EngineError("the script says so")


class ScriptedEmbedder:
    """An `Embedder` without a model: one character is one token between a beginning and an end.

    A text's vector tells how many tokens it has.

    Args:
        hold: awaited before a request is answered.
    """

    def __init__(
        self,
        *,
        slots: int = 8,
        window: int = 512,
        hold: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.model = ModelInfo("embedder", "embedder")
        self.slots = slots
        self.window = window
        self.vocabulary_size = _FIRST_CONTROL
        self.progress = 0
        self.requests: list[EmbeddingRequest] = []
        self._hold = hold

    def stuck_for(self) -> float:
        return 0.0

    def tokenize_whole(self, text: str) -> list[int]:
        return [0, *(ord(character) for character in text), 1]

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        self.requests.append(request)
        if self._hold is not None:
            await self._hold()
        self.progress += 1
        request.meter.evaluated = sum(map(len, request.texts))
        angles = [len(text) / 1000 for text in request.texts]
        return Embedded(
            vectors=tuple(struct.pack("<2f", math.cos(one), math.sin(one)) for one in angles),
            evaluation_ms=0.1,
        )

    def stats(self) -> EngineStats:
        return EngineStats(passes=self.progress)

    async def close(self) -> None:
        """Nothing to free."""
