"""`POST /v1/chat/completions`: stateless, through the same queue as everything else."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
from falcon.asgi import SSEvent

from api.http.access import caller_of
from api.http.body import read_json_object
from api.http.errors import Problem, parse
from api.http.incoming import Incoming
from api.live.feed import EventFeed
from api.live.intake import Intake
from api.live.stream import events_or_pings, open_stream
from api.live.waiting import (
    ClientLeft,
    first_terminal,
    raise_early_failure,
    tell_allowance,
    to_problem_of,
)
from api.openai.errors import error_body
from api.openai.models import Models
from api.openai.requests import (
    ANY_OBJECT,
    ChatCompletionRequest,
    ObjectFormat,
    SchemaFormat,
    sampling_options,
)
from shared import ids
from shared.config import Settings
from shared.store.submissions import Submissions
from shared.wire.event import Event
from shared.wire.sampling import Sampling
from shared.wire.submission import Accepted, Submission
from shared.wire.turn_request import TurnRequest

ENDS_WITHIN_S: Final = 15.0
"""A turn that has passed its deadline is ended by its worker, or by the next sweep."""
_SEEDS: Final = 2**53
_DONE: Final = SSEvent(data=b"[DONE]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A completion on its way."""

    id: str
    created: int
    model: str
    include_usage: bool

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> SSEvent:
        """A piece of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._event([choice])

    def usage(self, usage: dict[str, Any]) -> SSEvent:
        """The last piece, if it was asked for."""
        return self._event([], usage=usage)

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> SSEvent:
        body = self._head("chat.completion.chunk") | {"choices": choices} | more
        if self.include_usage and "usage" not in more:
            body["usage"] = None
        return SSEvent(data=orjson.dumps(body))

    def whole(self, reply: dict[str, Any]) -> bytes:
        """The answer in one piece."""
        message = {"role": "assistant", "content": reply["reply"], "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": reply["finish_reason"],
        }
        body = self._head("chat.completion")
        return orjson.dumps(body | {"choices": [choice], "usage": reply["usage"]})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


class ChatCompletionsResource:
    """Completes a conversation that the client keeps."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        turns: Submissions,
        feed: EventFeed,
        models: Models,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._turns = turns
        self._feed = feed
        self._models = models

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(ChatCompletionRequest, body)
        submission = self._submission(req, request)
        include_usage = request.stream_options is not None and request.stream_options.include_usage
        asked = Asked(
            id=f"chatcmpl-{submission.job_id}",
            created=int(time.time()),
            model=await self._models.name(),
            include_usage=include_usage,
        )
        if request.stream:
            accepted = await self._intake.submit(submission)
            tell_allowance(accepted.allowance, resp)
            try:
                await raise_early_failure(self._feed, accepted, Incoming.of(req))
            except Problem:
                await self._turns.release(accepted.job_id, submission.owner_id)
                raise
            open_stream(resp, self._stream(asked, accepted, submission.owner_id))
        else:
            await self._whole(asked, submission, req, resp)

    def _submission(self, req: falcon.asgi.Request, request: ChatCompletionRequest) -> Submission:
        caller = caller_of(req)
        return Submission(
            job_id=ids.new_job(),
            conversation_id=ids.new_conversation(),
            owner_id=caller.owner_id,
            new=True,
            instructions="",
            request=turn_request(request, self._settings.max_tokens_limit),
            api_id=self._intake.api,
            limits=caller.limits,
            stateless=True,
        )

    async def _whole(
        self,
        asked: Asked,
        submission: Submission,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
    ) -> None:
        async with self._feed.watch_new(submission.job_id) as watch:
            accepted = await self._intake.submit(submission)
            tell_allowance(accepted.allowance, resp)
            try:
                wait_s = self._settings.job_timeout + ENDS_WITHIN_S
                event = await first_terminal(watch, wait_s, Incoming.of(req))
            except ClientLeft:
                await self._turns.cancel(accepted.job_id, submission.owner_id)
                raise
        if event is None:
            # Nobody can ask for it later: whoever wants it sends it again.
            await self._turns.cancel(accepted.job_id, submission.owner_id)
            raise Problem(503, "no_outcome", "this server stops; try again", retry_after_s=1)
        await self._turns.release(accepted.job_id, submission.owner_id)
        reply = _reply(accepted, event)
        resp.content_type = falcon.MEDIA_JSON
        resp.data = asked.whole(reply)

    async def _stream(
        self, asked: Asked, accepted: Accepted, owner_id: str
    ) -> AsyncIterator[SSEvent | None]:
        """Chunks; a client that goes away has its turn cancelled, for nobody else can read it.

        The first one comes with the first token: that is what clients take it for.
        """
        has_begun = False
        try:
            async with self._feed.watch(accepted.job_id) as watch:
                yield None
                async for event in events_or_pings(watch):
                    if event is None:
                        yield None
                        continue
                    is_reply = event.kind in ("token", "completed")
                    if is_reply and not has_begun:
                        has_begun = True
                        yield asked.chunk({"role": "assistant", "content": ""})
                    if event.kind == "token":
                        yield asked.chunk({"content": orjson.loads(event.data)["text"]})
                    elif event.is_terminal:
                        for last in self._last(asked, accepted, event):
                            yield last
                        return
        finally:
            await self._turns.release(accepted.job_id, owner_id)

    def _last(self, asked: Asked, accepted: Accepted, event: Event) -> list[SSEvent]:
        try:
            reply = _reply(accepted, event)
        except Problem as problem:
            return [SSEvent(data=error_body(problem))]
        last = [asked.chunk({}, reply["finish_reason"])]
        if asked.include_usage:
            last.append(asked.usage(reply["usage"]))
        return [*last, _DONE]


def _reply(accepted: Accepted, event: Event) -> dict[str, Any]:
    """Raises: Problem: it ended without one."""
    if event.kind != "completed":
        raise to_problem_of(accepted, event)
    reply: dict[str, Any] = orjson.loads(event.data)
    return reply


def turn_request(request: ChatCompletionRequest, max_tokens_limit: int) -> TurnRequest:
    """What a worker is to do; a reply longer than this server allows is cut to what it allows."""
    schema = None
    if isinstance(request.response_format, ObjectFormat):
        schema = ANY_OBJECT
    elif isinstance(request.response_format, SchemaFormat):
        schema = orjson.dumps(request.response_format.json_schema.schema_).decode()
    max_tokens = request.max_tokens or request.max_completion_tokens
    options = sampling_options(request, max_tokens, max_tokens_limit)
    if request.seed is not None:
        options["seed"] = request.seed % _SEEDS
    return TurnRequest(
        prompt="",
        context=None,
        replace_from=None,
        sampling=parse(Sampling, options),
        messages=tuple(message.to_chat() for message in request.messages),
        json_schema=schema,
        logit_bias=request.logit_bias,
    )
