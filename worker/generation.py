"""One start of a turn in the engine: what earlier starts published, then piece by piece."""

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from shared.store.claims import Claims
from shared.wire.claim import Claim
from shared.wire.parts import PartKind, ToolCall
from shared.wire.publication import PieceRecord, PublishedReply, merged
from shared.wire.turn_request import TurnRequest
from worker.engine.interface import End, Engine, EngineError, GenerationRequest, SamplingOptions
from worker.outbox import Outbox, records_of
from worker.prompt.prompt import Prompt
from worker.prompt.window import Budget
from worker.publisher import Publisher
from worker.quarantine import MARGIN, SoloRun
from worker.retry import retry
from worker.running_turn import CancelReason, RunningTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedReply:
    """A whole reply, the end of it that was not published, and how it ended.

    Args:
        pieces: neighbours of one kind are one.
    """

    pieces: tuple[PieceRecord, ...]
    unpublished: tuple[PieceRecord, ...]
    end: End

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

    def _joined(self, kind: PartKind) -> str:
        return "".join(piece.text for piece in self.pieces if piece.kind == kind)


class Generator:
    """Runs prompts in the engine and publishes the pieces of their replies."""

    def __init__(self, engine: Engine, publisher: Publisher, claims: Claims) -> None:
        self._engine = engine
        self._publisher = publisher
        self._claims = claims

    async def generate(
        self, turn: RunningTurn, prompt: Prompt, budget: Budget, solo_run: SoloRun | None
    ) -> GeneratedReply:
        """Generate the reply, continuing after what earlier starts published.

        Raises:
            EngineError: the generation failed.
            RedisError: a piece was refused for good.
        """
        claim = turn.claim
        published, num_logged = await self._published(claim)
        request = GenerationRequest(
            session=claim.conversation_id,
            prompt=prompt.token_ids,
            generated=published.token_ids,
            max_tokens=budget.reply_limit(len(prompt.token_ids)),
            stop=claim.request.sampling.stop,
            sampling=sampling_options(claim.request),
            alone_until=len(published.token_ids) + MARGIN if solo_run is not None else 0,
            meter=turn.meter,
        )
        turn.num_generated = len(published.token_ids)
        outbox = self._publisher.open(
            claim,
            num_logged,
            turn.meter,
            len(prompt.token_ids),
            lambda: turn.cancel(CancelReason.FENCED),
        )
        return await self._run(turn, request, published, outbox, solo_run)

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
        try:
            async with aclosing(self._engine.generate(request)) as pieces:
                async for piece in pieces:
                    records += records_of(piece)
                    num_generated += len(piece.token_ids)
                    turn.num_generated = num_generated
                    end = piece.end
                    if piece.parts or piece.token_ids:
                        outbox.add(piece)
                    if solo_run is not None:
                        await solo_run.advance(num_generated - len(published.token_ids))
            turn.is_generating = False
            unpublished = await outbox.close()
        finally:
            turn.is_generating = False
            outbox.cancel()
        if end is None:
            raise EngineError("the reply has no end")
        return GeneratedReply(pieces=merged(records), unpublished=unpublished, end=end)

    async def _published(self, claim: Claim) -> tuple[PublishedReply, int]:
        """What earlier starts published, in this model's ids, and how many ids are in the log."""
        if claim.starts == 1:
            return PublishedReply(pieces=(), models=frozenset()), 0
        published = await retry("published", lambda: self._claims.published(claim))
        num_logged = len(published.token_ids)
        if not published.models <= {self._engine.model.fingerprint}:
            published = self._in_own_ids(published)
        return published, num_logged

    def _in_own_ids(self, published: PublishedReply) -> PublishedReply:
        """What another model published; this one goes on behind its text."""
        text = "".join(piece.text for piece in published.pieces if piece.kind == "text")
        own = PieceRecord(text=text, token_ids=tuple(self._engine.tokenize(text)))
        return replace(published, pieces=(own,))


def sampling_options(request: TurnRequest) -> SamplingOptions:
    """The engine's defaults, overridden by the request's options."""
    options: dict[str, Any] = request.sampling.model_dump(
        exclude_none=True, exclude={"max_tokens", "stop"}
    )
    return SamplingOptions(
        **options, json_schema=request.json_schema, logit_bias=request.logit_bias
    )
