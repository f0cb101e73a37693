"""One start of a turn in the engine: what earlier starts published, then piece by piece."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from shared.errors import NoRoomToContinue
from shared.store.claims import Claims
from shared.wire.claim import Claim
from shared.wire.parts import PartKind, ToolCall
from shared.wire.publication import PieceRecord, PublishedReply, merged
from shared.wire.turn_request import TurnRequest
from worker.engine.interface import (
    End,
    Engine,
    EngineError,
    GenerationRequest,
    ReplyReader,
    SamplingOptions,
)
from worker.outbox import Outbox, records_of
from worker.prompt.prompt import Prompt
from worker.prompt.window import Budget
from worker.publisher import Publisher
from worker.quarantine import MARGIN, SoloRun
from worker.readers import Readers
from worker.retry import retry
from worker.running_turn import CancelReason, RunningTurn
from worker.standing_reply import (
    as_written,
    in_own_markup,
    pieces_of,
    to_publish,
    written_ids,
)
from worker.taking_over import PublishedBefore, in_own_ids, reads_alike


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedReply:
    """A whole reply, the end of it that was not published, and how it ended.

    Args:
        pieces: neighbours of one kind are one.
        at: number of token ids that were published; None if nothing was generated.
        is_plain: whether no reader looked for thoughts and calls in it.
        num_standing: how many of its tokens stood before the turn.
    """

    pieces: tuple[PieceRecord, ...]
    unpublished: tuple[PieceRecord, ...]
    end: End
    at: int | None = None
    is_plain: bool = False
    num_standing: int = 0

    @property
    def token_ids(self) -> tuple[int, ...]:
        """All that the model wrote, markup included."""
        return tuple(token for piece in self.pieces for token in piece.token_ids)

    @property
    def text(self) -> str:
        """The reply without thoughts and calls."""
        return self._joined("text")

    @property
    def reasoning(self) -> str:
        """What the model thought."""
        return self._joined("reasoning")

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls, in order."""
        return tuple(ToolCall.decode(piece.text) for piece in self.pieces if piece.kind == "call")

    @property
    def logprobs(self) -> tuple[dict[str, Any], ...]:
        """Of the text's tokens, as OpenAI shows them."""
        lists = (orjson.loads(piece.logprobs) for piece in self.pieces if piece.logprobs)
        return tuple(entry for each in lists for entry in each)

    def _joined(self, kind: PartKind) -> str:
        return "".join(piece.text for piece in self.pieces if piece.kind == kind)


LLAMA_CPPS: Final = SamplingOptions()


class Generator:
    """Runs prompts in the engine and publishes the pieces of their replies.

    Args:
        readers: make what splits a reply into parts.
    """

    def __init__(
        self, engine: Engine, publisher: Publisher, claims: Claims, readers: Readers
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._claims = claims
        self._readers = readers

    async def generate(
        self, turn: RunningTurn, prompt: Prompt, budget: Budget, solo_run: SoloRun | None
    ) -> GeneratedReply:
        """Generate the reply, continuing after what earlier starts published, or what stands.

        Raises:
            EngineError: the generation failed.
            NoRoomToContinue: what stands of the reply fills the window.
            RedisError: a piece was refused for good.
        """
        claim = turn.claim
        if claim.request.counts_only:
            return _NOTHING
        reader = self._readers.reader_of(claim, prompt)
        standing = self._standing(claim, prompt, reader)
        before = await self._published_before(claim, prompt, reader)
        if not before.reply.pieces:
            before = standing
        published = before.reply
        if not published.can_continue:
            return GeneratedReply(pieces=published.pieces, unpublished=(), end=_NO_WORK)
        request = self._request(
            turn, prompt, budget, reader, before, num_standing=len(standing.reply.token_ids)
        )
        if solo_run is not None:
            request = replace(request, alone_until=len(published.token_ids) + MARGIN)
        turn.num_generated = len(published.token_ids)
        outbox = turn.outbox = self._publisher.open(
            claim,
            before.num_logged,
            turn.meter,
            len(prompt.token_ids),
            lambda: turn.cancel(CancelReason.FENCED),
        )
        if before is standing and published.pieces:
            outbox.add(to_publish(before))
        return await self._run(turn, request, published, outbox, solo_run)

    def _request(
        self,
        turn: RunningTurn,
        prompt: Prompt,
        budget: Budget,
        reader: Callable[[], ReplyReader] | None,
        before: PublishedBefore,
        *,
        num_standing: int,
    ) -> GenerationRequest:
        """What the engine is to do.

        Raises:
            NoRoomToContinue: what stands of the reply fills the window.
        """
        request, num_prompt = turn.claim.request, len(prompt.token_ids)
        num_before = num_prompt + num_standing
        if num_before >= budget.window:
            raise NoRoomToContinue(num_before, budget.window)
        return GenerationRequest(
            session=turn.claim.session,
            prompt=prompt.token_ids,
            generated=before.reply.token_ids,
            num_standing=num_standing,
            goes_on_in=before.goes_on_in,
            max_tokens=num_standing + budget.reply_limit(num_before),
            stop=request.sampling.stop,
            reader=reader,
            reasoning_limit=budget.reasoning_limit(num_prompt),
            answer_limit=budget.answer_limit,
            sampling=sampling_options(
                request, self._engine.model.sampling, has_reader=reader is not None
            ),
            meter=turn.meter,
            enough=turn.enough,
        )

    async def _run(
        self,
        turn: RunningTurn,
        request: GenerationRequest,
        published: PublishedReply,
        outbox: Outbox,
        solo_run: SoloRun | None,
    ) -> GeneratedReply:
        records, num_generated, end = list(published.pieces), len(published.token_ids), None
        turn.is_generating = True
        turn.enter("evaluate")
        try:
            async with aclosing(self._engine.generate(request)) as pieces:
                async for piece in pieces:
                    turn.enter("generate")
                    records += records_of(piece)
                    num_generated += len(piece.token_ids)
                    turn.num_generated = num_generated
                    end = piece.end
                    if piece.parts or piece.token_ids:
                        outbox.add(piece)
                    if solo_run is not None:
                        await solo_run.advance(num_generated - len(published.token_ids))
            turn.is_generating = False
            turn.enter("commit")
            unpublished = await outbox.close()
        except BaseException:
            outbox.cancel()
            raise
        finally:
            turn.is_generating = False
        if end is None:
            raise EngineError("the reply has no end")
        return GeneratedReply(
            pieces=merged(records),
            unpublished=unpublished,
            end=end,
            at=outbox.position,
            is_plain=request.reader is None,
            num_standing=request.num_standing,
        )

    def _standing(
        self, claim: Claim, prompt: Prompt, reader: Callable[[], ReplyReader] | None
    ) -> PublishedBefore:
        """What stands of the reply, if the turn continues one; it is not published yet."""
        standing = claim.standing
        if standing is None:
            return _UNBEGUN
        written = written_ids(self._engine, standing)
        if reader is not None and not self._opens_again(claim, prompt, written):
            before = as_written(self._engine, reader(), standing.message, written)
            if before is not None:
                return before
        begun = self._readers.begun_reply(claim, prompt, pieces_of(standing.message))
        return in_own_markup(self._engine, prompt, standing, begun)

    async def _published_before(
        self, claim: Claim, prompt: Prompt, reader: Callable[[], ReplyReader] | None
    ) -> PublishedBefore:
        if claim.starts == 1:
            return _UNBEGUN
        published = await retry("published", lambda: self._claims.published(claim))
        if self._is_as_written(claim, prompt, reader, published):
            return PublishedBefore(reply=published, num_logged=len(published.token_ids))
        begun = self._readers.begun_reply(claim, prompt, published.pieces)
        return in_own_ids(self._engine, prompt, published, begun)

    def _is_as_written(
        self,
        claim: Claim,
        prompt: Prompt,
        reader: Callable[[], ReplyReader] | None,
        published: PublishedReply,
    ) -> bool:
        """Whether the published ids are what this model would have written behind the prompt."""
        if not published.models <= {self._engine.model.fingerprint}:
            return False
        if self._opens_again(claim, prompt, published.token_ids):
            return False
        return reads_alike(self._engine, reader and reader(), published)

    def _opens_again(self, claim: Claim, prompt: Prompt, token_ids: tuple[int, ...]) -> bool:
        """Readers forgive a thought that is opened twice; the model is shown it opened once."""
        text = self._engine.detokenize(token_ids, controls=True)
        return self._readers.opens_again(claim, prompt, text)


def sampling_options(
    request: TurnRequest,
    defaults: SamplingOptions = LLAMA_CPPS,
    *,
    has_reader: bool = False,
) -> SamplingOptions:
    """The model's defaults, overridden by the request's options.

    Args:
        has_reader: whether a reader sees to it that the reply follows its schema.
    """
    options: dict[str, Any] = request.sampling.model_dump(
        exclude_none=True, exclude={"max_tokens", "stop"}
    )
    return replace(
        defaults,
        **options,
        json_schema=None if has_reader else request.json_schema,
        logit_bias=request.logit_bias,
        top_logprobs=request.top_logprobs,
    )


_UNBEGUN: Final = PublishedBefore(reply=PublishedReply(pieces=(), models=frozenset()), num_logged=0)
_NO_WORK: Final = End("stop", cached_tokens=0, prompt_ms=0.0, generation_ms=0.0)
_NOTHING: Final = GeneratedReply(pieces=(), unpublished=(), end=_NO_WORK)
