"""Turns that have left a window, folded into the summary of those before them by the model."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from typing import Final

from shared.store.summaries import Fold
from shared.wire.messages import StoredMessage
from shared.wire.summary import Summary
from shared.wire.turn_request import ToolUse
from worker.engine.interface import (
    Engine,
    GenerationRequest,
    Meter,
    ReplyReader,
    SamplingOptions,
)
from worker.prompt.build import prompt_turns
from worker.prompt.message import PromptMessage
from worker.prompt.prompt import PromptTurn
from worker.prompt.summaries import beginning_of, headed
from worker.prompt.writer import EncodedPrompt, PromptWriter
from worker.reading.reply_format import ReplyFormat
from worker.template.options import TemplateOptions

REQUEST: Final = """\
Write down what you have to remember of this conversation, as it stands above, for yourself: \
names, facts, numbers, decisions, wishes and tastes, open questions. Keep what the summary says, \
if there is one; where something was corrected, only what holds now. In the language of the \
conversation, in short sentences, at most {words} words. Answer with that alone."""
"""What the model is asked behind the conversation."""
_OPTIONS: Final = TemplateOptions(thinking="off")
_WORDS: Final = 0.6
"""Words of a token."""
_MARKUP: Final = 8
"""Tokens of what a template may put around it."""
_LONGEST_THOUGHT: Final = 256
"""Of models that think all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A summary, and what it has cost.

    Args:
        job_id: of the last message that it stands for (`Folds.commit`).
        num_tokens: evaluated and generated.
    """

    summary: Summary
    job_id: str
    num_tokens: int


class Summarizer:
    """Makes summaries with the model that this worker runs.

    Args:
        window: tokens of prompt and summary together.
        longest: of a summary, in tokens.
    """

    def __init__(
        self, writer: PromptWriter, reply_format: ReplyFormat, *, window: int, longest: int
    ) -> None:
        self._writer = writer
        self._format = reply_format
        self._window = window
        self._longest = longest

    @property
    def engine(self) -> Engine:
        """Where summaries are written."""
        return self._writer.engine

    async def fold(self, fold: Fold, messages: Sequence[StoredMessage]) -> Folded:
        """As many of the oldest messages as fit, whole turns, folded into the summary.

        A turn that does not fit by itself is passed over.

        Raises:
            EngineError: there is no summary.
        """
        turns = prompt_turns(self._writer, messages)
        fitting, encoded = await asyncio.to_thread(self._fitting, fold, turns)
        folded = turns[: max(1, fitting)]
        behind = folded[-1].number + len(folded[-1].contents)
        job_id = job_of([message for message in messages if message.number < behind])
        text, num_tokens = fold.summary.text if fold.summary else "", 0
        if encoded is not None:
            written, num_tokens = await self._written(fold.conversation_id, encoded)
            text = beginning_of(self._writer, written, self._longest - _MARKUP)
        summary = Summary(
            number=behind,
            text=text,
            model=self._writer.engine.model.name,
            made_ms=time.time_ns() // 1_000_000,
        )
        return Folded(summary=summary, job_id=job_id, num_tokens=num_tokens)

    def _fitting(self, fold: Fold, turns: Sequence[PromptTurn]) -> tuple[int, EncodedPrompt | None]:
        """How many turns fit, and the prompt with them; None if none does."""

        @cache
        def encoded(number: int) -> EncodedPrompt:
            return self._encoded(fold, turns[:number])

        def fits(number: int) -> bool:
            longest = self._window - self._longest - self._longest_thought
            return len(encoded(number).token_ids) <= longest

        low, high = 0, len(turns)
        while low < high:
            middle = (low + high + 1) // 2
            if fits(middle):
                low = middle
            else:
                high = middle - 1
        return low, encoded(low) if low else None

    def _encoded(self, fold: Fold, turns: Sequence[PromptTurn]) -> EncodedPrompt:
        """The conversation as its next turn would go on, so that the cache may have it."""
        system = [PromptMessage.says("system", fold.context)] if fold.context else []
        contents = [message for turn in turns for message in turn.contents]
        words = max(10, int(self._longest * _WORDS))
        request = PromptMessage.says("user", REQUEST.format(words=words))
        messages = [*system, *headed([*contents, request], fold.summary)]
        return self._writer.encode(messages, _OPTIONS)

    async def _written(self, session: str, encoded: EncodedPrompt) -> tuple[str, int]:
        """What the model writes, and how many tokens that took."""
        meter, num_tokens, text = Meter(), 0, ""
        request = GenerationRequest(
            session=session,
            prompt=encoded.token_ids,
            max_tokens=self._longest + self._longest_thought,
            reader=self._reader(encoded.opening),
            reasoning_limit=self._longest_thought or None,
            answer_limit=self._longest,
            sampling=SamplingOptions(temperature=0.0),
            meter=meter,
        )
        async with aclosing(self._writer.engine.generate(request)) as pieces:
            async for piece in pieces:
                text += piece.text
                num_tokens += len(piece.token_ids)
        return text.strip(), meter.evaluated + num_tokens

    @property
    def _longest_thought(self) -> int:
        return min(_LONGEST_THOUGHT, self._window // 8) if self._format.has_reasoning else 0

    def _reader(self, opening: str) -> Callable[[], ReplyReader] | None:
        if self._format.is_plain:
            return None
        return lambda: self._format.new_reader(
            opening=opening, tool_use=ToolUse(), json_schema=None, call_id=str
        )


def job_of(messages: Sequence[StoredMessage]) -> str:
    """As the scripts find it (lua/lib/history.lua, `job_at`)."""
    return next((message.job_id for message in reversed(messages[-2:]) if message.job_id), "")
