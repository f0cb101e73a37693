"""Plays conversations through a worker's own parts: windows, prompts, recall. No model runs."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from redis.asyncio import Redis

from bench.remember.conversations import Exchange
from bench.remember.fact_keeper import FactKeeper
from shared import ids
from shared.config import Settings
from shared.store.conversations import Conversations
from shared.store.earlier_messages import EarlierMessages
from shared.store.keys import Keys
from shared.store.summaries import Fold
from shared.wire.beginning import Beginning
from shared.wire.claim import Claim
from shared.wire.history import History
from shared.wire.limits import Caller
from shared.wire.messages import Role, StoredMessage
from shared.wire.sampling import Sampling
from shared.wire.summary import Summary
from shared.wire.turn_request import TurnRequest
from tests.scripted import ScriptedEngine
from worker.engine.encoding import Encoder
from worker.engine.interface import End, GenerationRequest, ModelInfo, Part, Piece, Segment
from worker.engine.loading import CHATML
from worker.engine.prefixes import common_prefix
from worker.engine.vocabulary import ModelVocabulary
from worker.prompt.build import build_prompt
from worker.prompt.message import PromptMessage
from worker.prompt.next_window import Ahead
from worker.prompt.prompt import Prompt
from worker.prompt.quotes import with_quotes
from worker.prompt.summaries import with_summary
from worker.prompt.window import WindowPolicy
from worker.prompt.writer import PromptWriter
from worker.reading.reply_format import ReplyFormat
from worker.recall.recall import Recall
from worker.summaries.summarizer import REQUEST, Summarizer
from worker.template.chat_template import ChatTemplate

Remembering = Literal["fifo", "summary", "recall", "both"]
"""What the model is told of the turns out of view."""
POLICY: Final = WindowPolicy(
    window=3500, trim_to=0.6, max_tokens=512, quotes=3500 // 8, summary=3500 // 10
)
_CONTEXT: Final = "You are a helpful, concise assistant."
_CALLER: Final = Caller(owner_id="default")


class VocabularyEngine(ScriptedEngine):
    """Makes the token ids that a real model would get, and summaries of what was told."""

    def __init__(self, vocabulary: ModelVocabulary) -> None:
        super().__init__()
        self.model = ModelInfo("vocabulary", "vocabulary", CHATML)
        self._encoder = Encoder(vocabulary)
        self._keeper = FactKeeper()
        self._texts: dict[tuple[int, ...], str] = {}

    def tokenize(self, text: str) -> list[int]:
        return self._encoder.tokenize(text)

    def encode(self, segments: Sequence[Segment]) -> list[int]:
        token_ids = self._encoder.encode(segments)
        text = "".join(segment.text for segment in segments)
        if REQUEST[:20] in text:
            self._texts[tuple(token_ids)] = text
        return token_ids

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        text = self._keeper.summary(self._texts[request.prompt])
        self._texts.clear()
        ids = tuple(self.tokenize(text))
        yield Piece((Part("text", text),), ids, End("stop", 0, 0.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The prompt of one turn.

    Args:
        added: tokens of quotes and of the summary.
        recall_ms: what finding quotes and placing both took.
        cached: tokens that the turn before has left, after what idle time allows.
        cached_at_once: if the prompt came before that.
    """

    prompt: Prompt
    added: int
    recall_ms: float
    cached: int
    cached_at_once: int

    def holds(self, value: str) -> bool:
        """Whether the model sees a text."""
        contents = [one.message.content for turn in self.prompt.turns for one in turn.contents]
        contents += [quote.text for quote in self.prompt.quotes]
        if self.prompt.summary is not None:
            contents.append(self.prompt.summary.text)
        return any(value in text for text in contents)


class Player:
    """One conversation: what was said in Redis, its window as a worker keeps it."""

    def __init__(
        self, redis: Redis, settings: Settings, writer: PromptWriter, memory: Remembering
    ) -> None:
        keys = Keys(settings.namespace)
        self._conversations = Conversations(redis, keys, settings)
        self._recall = Recall(EarlierMessages(redis, keys))
        self._writer = writer
        self._budget = POLICY.budget(
            None, recalls=memory in ("recall", "both"), summarises=memory in ("summary", "both")
        )
        self._summarizer = Summarizer(
            writer, ReplyFormat(), window=POLICY.window, longest=POLICY.summary
        )
        self._summary: Summary | None = None
        self._id = ids.new_conversation()
        self._messages: list[StoredMessage] = []
        self._offset = 1
        self._evaluated: tuple[int, ...] = ()
        self._ready: tuple[int, ...] = ()

    async def begin(self, exchanges: Sequence[Exchange]) -> None:
        """Store what was said before."""
        for exchange in exchanges:
            self._add(exchange)
        beginning = Beginning(
            batch_id=ids.new_job(), messages=tuple(self._messages), context=_CONTEXT
        )
        begun = await self._conversations.begin(self._id, _CALLER, beginning)
        assert begun is not None
        if self._budget.summary:
            # As in the idle times between all these turns.
            self._offset = self._plain("?").offset
            await self._fold()

    async def ask(self, exchange: Exchange) -> Shown:
        """A turn: its prompt, and what it leaves in the cache."""
        prompt = self._plain(exchange.prompt)
        plain, started = len(prompt.token_ids), time.perf_counter()
        if self._budget.summary:
            prompt = with_summary(self._writer, prompt, self._summary, self._budget)
        if self._budget.quotes and prompt.turns_dropped:
            passages = await self._recall.find(self._id, prompt.offset, exchange.prompt)
            prompt = await asyncio.to_thread(
                with_quotes, self._writer, prompt, passages, self._budget
            )
        took_ms = (time.perf_counter() - started) * 1000
        shown = Shown(
            prompt=prompt,
            added=len(prompt.token_ids) - plain,
            recall_ms=took_ms,
            cached=common_prefix(prompt.token_ids, self._ready),
            cached_at_once=common_prefix(prompt.token_ids, self._evaluated),
        )
        await self._end(prompt, exchange)
        return shown

    def _plain(self, text: str) -> Prompt:
        request = TurnRequest(prompt=text, context=None, replace_from=None, sampling=Sampling())
        history = History(
            context=_CONTEXT,
            next_number=len(self._messages) + 1,
            offset=self._offset,
            messages=tuple(self._messages[self._offset - 1 :]),
            turns=len(self._messages) // 2,
        )
        return build_prompt(self._writer, replace(_CLAIM, request=request), history, self._budget)

    async def _end(self, prompt: Prompt, exchange: Exchange) -> None:
        reply = self._writer.tokenize(exchange.reply)
        self._evaluated = self._ready = (*prompt.token_ids, *reply)
        shown = PromptMessage.says("assistant", exchange.reply)
        ahead = Ahead(
            writer=self._writer,
            prompt=prompt,
            reply=shown,
            num_tokens=len(reply),
            budget=self._budget,
        )
        window = ahead.window()
        added = self._add(exchange)
        await self._conversations.add(self._id, _CALLER, ids.new_job(), added)
        self._offset = prompt.offset
        if window is not None:
            self._offset, self._ready = window.offset, window.token_ids
            if self._budget.quotes:
                await self._recall.prepare(self._id, self._offset)
        if self._budget.summary and await self._fold() and self._summary is not None:
            window = ahead.window_with(self._summary)
            self._ready = window.token_ids if window is not None else self._ready

    async def _fold(self) -> bool:
        """Add all that has left the window to the summary; whether that was anything."""
        start = number = self._summary.number if self._summary is not None else 1
        while number < self._offset:
            fold = Fold(
                token="",
                conversation_id=self._id,
                owner_id="default",
                start=number,
                stop=self._offset,
                context=_CONTEXT,
                summary=self._summary,
            )
            messages = self._messages[number - 1 : self._offset - 1]
            self._summary = (await self._summarizer.fold(fold, messages)).summary
            number = self._summary.number
        return number > start

    def _add(self, exchange: Exchange) -> list[StoredMessage]:
        roles: tuple[tuple[Role, str], ...] = (
            ("user", exchange.prompt),
            ("assistant", exchange.reply),
        )
        job_id = ids.new_job()
        for role, content in roles:
            self._messages.append(
                StoredMessage(
                    number=len(self._messages) + 1,
                    role=role,
                    content=content,
                    timestamp_ms=0,
                    tokens=0,
                    job_id=job_id,
                )
            )
        return self._messages[-len(roles) :]


def writer_of(vocabulary: ModelVocabulary) -> PromptWriter:
    """Writes prompts in ChatML."""
    return PromptWriter(VocabularyEngine(vocabulary), ChatTemplate(CHATML))


_CLAIM: Final = Claim(
    job_id="",
    owner_id="default",
    session="",
    fence="1:bench",
    conversation_id="",
    request=TurnRequest(prompt="", context=None, replace_from=None, sampling=Sampling()),
    suspect=False,
    is_stopped=False,
    crashes=0,
    created_ms=0,
    started_ms=0,
    remaining_s=60.0,
    history=None,
)
