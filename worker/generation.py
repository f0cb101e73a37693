"""One start of a turn in the engine: what earlier starts published, then piece by piece."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from shared.store.claims import Claims
from shared.wire.claim import Claim
from shared.wire.publication import PieceRecord
from shared.wire.turn_request import TurnRequest
from worker.engine.interface import End, Engine, EngineError, GenerationRequest, SamplingOptions
from worker.outbox import Outbox
from worker.prompt.prompt import Prompt
from worker.prompt.window import Budget
from worker.publisher import Publisher
from worker.quarantine import MARGIN, SoloRun
from worker.retry import retry
from worker.running_turn import CancelReason, RunningTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedReply:
    """A whole reply, the end of it that was not published, and how it ended."""

    reply: PieceRecord
    unpublished: PieceRecord | None
    end: End


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
        published: PieceRecord,
        outbox: Outbox,
        solo_run: SoloRun | None,
    ) -> GeneratedReply:
        texts, token_ids, end = [published.text], list(published.token_ids), None
        turn.is_generating = True
        try:
            async with aclosing(self._engine.generate(request)) as pieces:
                async for piece in pieces:
                    texts.append(piece.text)
                    token_ids += piece.token_ids
                    turn.num_generated = len(token_ids)
                    end = piece.end
                    if piece.text or piece.token_ids:
                        outbox.add(piece)
                    if solo_run is not None:
                        await solo_run.advance(len(token_ids) - len(published.token_ids))
            turn.is_generating = False
            unpublished = await outbox.close()
        finally:
            turn.is_generating = False
            outbox.cancel()
        if end is None:
            raise EngineError("the reply has no end")
        reply = PieceRecord(text="".join(texts), token_ids=tuple(token_ids))
        return GeneratedReply(reply=reply, unpublished=unpublished, end=end)

    async def _published(self, claim: Claim) -> tuple[PieceRecord, int]:
        """What earlier starts published, in this model's ids, and how many ids are in the log."""
        if claim.starts == 1:
            return PieceRecord(text="", token_ids=()), 0
        published = await retry("published", lambda: self._claims.published(claim))
        piece, num_logged = published.piece, len(published.piece.token_ids)
        if not published.models <= {self._engine.model.fingerprint}:
            piece = PieceRecord(text=piece.text, token_ids=tuple(self._engine.tokenize(piece.text)))
        return piece, num_logged


def sampling_options(request: TurnRequest) -> SamplingOptions:
    """The engine's defaults, overridden by the request's options."""
    options: dict[str, Any] = request.sampling.model_dump(
        exclude_none=True, exclude={"max_tokens", "stop"}
    )
    return SamplingOptions(
        **options, json_schema=request.json_schema, logit_bias=request.logit_bias
    )
