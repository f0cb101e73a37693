"""`POST /v1/chat/completions`: stateless, through the same queue as everything else."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import falcon.asgi
import orjson
from falcon.asgi import SSEvent

from api.http.access import caller_of
from api.http.errors import Problem
from api.http.incoming import parse, read_json_object
from api.live.asking import Asking, reply_of
from api.openai.errors import error_body, no_outcome
from api.openai.models import Models
from api.openai.requests import (
    ANY_OBJECT,
    ChatCompletionRequest,
    ObjectFormat,
    SchemaFormat,
    sampling_of,
)
from shared import ids
from shared.config import Settings
from shared.wire.event import Event
from shared.wire.submission import Accepted, Submission
from shared.wire.turn_request import TurnRequest

_SEEDS: Final = 2**53
_DONE: Final = SSEvent(data=b"[DONE]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionWriter:
    """A completion as OpenAI shows it, whole or in chunks."""

    id: str
    created: int
    model_name: str
    include_usage: bool

    def to_wire(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The object with the whole reply."""
        message = {"role": "assistant", "content": reply["reply"], "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": reply["finish_reason"],
        }
        head = self._head("chat.completion")
        return head | {"choices": [choice], "usage": reply["usage"]}

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> SSEvent:
        """A piece of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._event([choice])

    def usage_chunk(self, usage: dict[str, Any]) -> SSEvent:
        """The last piece of a stream with `include_usage`."""
        return self._event([], usage=usage)

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> SSEvent:
        body = self._head("chat.completion.chunk") | {"choices": choices} | more
        if self.include_usage and "usage" not in more:
            body["usage"] = None
        return SSEvent(data=orjson.dumps(body))

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model_name}


class ChatCompletionsResource:
    """Completes a conversation that the client keeps."""

    def __init__(self, settings: Settings, asking: Asking, models: Models) -> None:
        self._settings = settings
        self._asking = asking
        self._models = models

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(ChatCompletionRequest, body)
        submission = self._submission(req, request)
        completion = CompletionWriter(
            id=f"chatcmpl-{submission.job_id}",
            created=int(time.time()),
            model_name=await self._models.name(),
            include_usage=request.stream_options is not None
            and request.stream_options.include_usage,
        )
        if request.stream:
            return await self._asking.stream(
                submission, partial(ChunkTranslator, completion), req, resp
            )
        result = await self._asking.wait(submission, req, resp)
        if result.end is None:
            raise no_outcome(result.accepted, may_retry=True)
        resp.media = completion.to_wire(orjson.loads(reply_of(result.accepted, result.end)))
        return None

    def _submission(self, req: falcon.asgi.Request, request: ChatCompletionRequest) -> Submission:
        caller = caller_of(req)
        return Submission(
            job_id=ids.new_job(),
            conversation_id=ids.new_conversation(),
            owner_id=caller.owner_id,
            new=True,
            instructions="",
            request=turn_request(request, self._settings.max_tokens_limit),
            api_id=self._asking.api_id,
            limits=caller.limits,
            stateless=True,
        )


class ChunkTranslator:
    """A turn's events as chunks.

    The first chunk, which only names the role, is sent with the first token: clients take it for
    that.
    """

    def __init__(self, completion: CompletionWriter, accepted: Accepted) -> None:
        self._completion = completion
        self._accepted = accepted
        self._has_begun = False

    async def __call__(self, event: Event) -> Iterable[SSEvent]:
        chunks = []
        if event.kind in ("token", "completed") and not self._has_begun:
            self._has_begun = True
            chunks.append(self._completion.chunk({"role": "assistant", "content": ""}))
        if event.kind == "token":
            chunks.append(self._completion.chunk({"content": orjson.loads(event.data)["text"]}))
        elif event.is_terminal:
            chunks += self._last_chunks(event)
        return chunks

    def _last_chunks(self, end: Event) -> list[SSEvent]:
        try:
            reply = orjson.loads(reply_of(self._accepted, end))
        except Problem as problem:
            return [SSEvent(data=error_body(problem))]
        chunks = [self._completion.chunk({}, reply["finish_reason"])]
        if self._completion.include_usage:
            chunks.append(self._completion.usage_chunk(reply["usage"]))
        return [*chunks, _DONE]


def turn_request(request: ChatCompletionRequest, max_tokens_limit: int) -> TurnRequest:
    """What a worker is to do; a reply longer than this server allows is cut to that length."""
    schema = None
    if isinstance(request.response_format, ObjectFormat):
        schema = ANY_OBJECT
    elif isinstance(request.response_format, SchemaFormat):
        schema = orjson.dumps(request.response_format.json_schema.schema_).decode()
    max_tokens = request.max_tokens or request.max_completion_tokens
    seed = None if request.seed is None else request.seed % _SEEDS
    return TurnRequest(
        prompt="",
        context=None,
        replace_from=None,
        sampling=sampling_of(request, max_tokens, max_tokens_limit, seed=seed),
        messages=tuple(message.to_chat() for message in request.messages),
        json_schema=schema,
        logit_bias=request.logit_bias,
    )
