"""What a worker whose model makes embeddings makes of a turn: vectors, and no reply."""

import asyncio
import base64
import time
from typing import Final

import orjson

from shared.errors import TextTooLong, UnusableOptions
from shared.wire.claim import Claim
from shared.wire.completion import Completion
from shared.wire.messages import Role, StoredMessage
from shared.wire.reply import PromptTokensDetails, Timings, TurnResult, Usage, reply_object
from shared.wire.timestamps import rfc3339
from shared.wire.turn_request import TurnRequest
from worker.completion import FinishedReply
from worker.engine.embedding import Embedded, Embedder, EmbeddingRequest, TokenIds
from worker.quarantine import SoloRun
from worker.reply_maker import readable_history
from worker.running_turn import RunningTurn

_NO_CHAT: Final = "the model of this server makes embeddings: it cannot chat or continue texts"
_ROLES: Final[tuple[Role, Role]] = ("user", "assistant")


class Embeddings:
    """A `ReplyMaker` for models that make embeddings.

    Args:
        window: tokens of a text at most.
    """

    def __init__(self, embedder: Embedder, window: int) -> None:
        self._embedder = embedder
        self._window = window

    async def make(self, turn: RunningTurn, solo_run: SoloRun | None) -> FinishedReply:
        claim = turn.claim
        readable_history(claim)
        if not claim.request.to_embed:
            raise UnusableOptions(_NO_CHAT)
        texts = await asyncio.to_thread(self._token_ids, claim.request)
        request = EmbeddingRequest(texts=texts, alone=solo_run is not None, meter=turn.meter)
        turn.is_generating = True
        turn.enter("evaluate")
        try:
            embedded = await self._embedder.embed(request)
        finally:
            turn.is_generating = False
        turn.enter("commit")
        result = _result(self._embedder.model.name, claim, texts, embedded, self._window)
        return FinishedReply(
            completion=self._completion(claim, result),
            result=result,
            own_timings=result.timings,
            num_written=0,
            next_window=None,
        )

    async def committed(self, claim: Claim, reply: FinishedReply) -> None:
        """Nothing follows."""

    def _token_ids(self, request: TurnRequest) -> tuple[TokenIds, ...]:
        """The ids of all texts.

        Raises:
            TextTooLong, UnusableOptions: one of them cannot be embedded.
        """
        places = enumerate(request.to_embed, start=request.texts_before)
        return tuple(self._ids_of(text, place) for place, text in places)

    def _ids_of(self, text: str | TokenIds, place: int) -> TokenIds:
        ids = text if not isinstance(text, str) else tuple(self._embedder.tokenize_whole(text))
        if not ids:
            raise UnusableOptions(f"input[{place}] has no tokens: the model sees nothing in it")
        if len(ids) > self._window:
            raise TextTooLong(place, len(ids), self._window)
        unknown = next((token for token in ids if token >= self._embedder.vocabulary_size), None)
        if unknown is not None:
            raise UnusableOptions(
                f"input[{place}] has the token id {unknown}, and the model knows those below "
                f"{self._embedder.vocabulary_size}: ids of another model's tokenizer mean nothing "
                "to it; send text"
            )
        return ids

    def _completion(self, claim: Claim, result: TurnResult) -> Completion:
        assert claim.history is not None
        number, encoded = claim.history.next_number, result.encode()
        model_name = self._embedder.model.name
        now_ms = time.time_ns() // 1_000_000
        messages = [
            StoredMessage(
                number=number + place,
                role=role,
                content="",
                timestamp_ms=now_ms,
                tokens=0,
                job_id=claim.job_id,
                model_name=model_name,
            )
            for place, role in enumerate(_ROLES)
        ]
        return Completion(
            user=messages[0],
            assistant=messages[1],
            offset=claim.history.offset,
            tokens=result.numberOfTokens,
            prompt_tokens=result.numberOfTokens,
            window=orjson.dumps(result.window),
            result=encoded,
            reply=reply_object(claim.job_id, claim.conversation_id, claim.request, encoded),
            context=None,
        )


def _result(
    model_name: str, claim: Claim, texts: tuple[TokenIds, ...], embedded: Embedded, window: int
) -> TurnResult:
    num_tokens = sum(map(len, texts))
    return TurnResult(
        reply="",
        timestamp=rfc3339(time.time_ns() // 1_000_000),
        numberOfTokens=num_tokens,
        finish_reason="stop",
        usage=Usage(
            prompt_tokens=num_tokens,
            completion_tokens=0,
            total_tokens=num_tokens,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=0),
        ),
        # Each text has the window to itself.
        window={
            "budget": window,
            "used": max(map(len, texts)),
            "turns_kept": 1,
            "turns_dropped": 0,
        },
        timings=Timings(
            queued_ms=float(claim.started_ms - claim.created_ms),
            prompt_ms=round(embedded.evaluation_ms, 1),
            generation_ms=0.0,
        ),
        model=model_name,
        embeddings=tuple(base64.b64encode(vector).decode() for vector in embedded.vectors),
    )
