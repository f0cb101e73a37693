"""`POST /v1/messages` and `/v1/messages/count_tokens`: stateless turns, as chat completions are."""

from dataclasses import replace
from functools import partial
from typing import Any

import falcon.asgi
import orjson

from api.anthropic.events import MessageEvents
from api.anthropic.message import MessageWriter
from api.anthropic.requests import CountTokensRequest, MessagesRequest
from api.anthropic.turns import counting_turn_of, turn_of
from api.http.access import caller_of
from api.http.errors import Problem
from api.http.incoming import parse, read_json_object
from api.live.asking import Asking, reply_of
from api.openai.errors import no_outcome
from api.openai.submissions import stateless_submission
from shared.config import Settings
from shared.wire.submission import Submission


class AnthropicMessagesResource:
    """Answers a conversation that the client keeps."""

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._settings = settings
        self._asking = asking

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        _refuse_threads(body)
        request = parse(MessagesRequest, body)
        turn = turn_of(request, self._settings.max_tokens_limit)
        caller = caller_of(req)
        submission = stateless_submission(caller, turn, self._asking, request.model)
        writer = MessageWriter(
            id=f"msg_{submission.job_id}",
            shows_thoughts=getattr(request.thinking, "display", None) != "omitted",
        )
        if request.stream:
            await self._asking.stream(submission, partial(MessageEvents, writer), req, resp)
        else:
            reply = await _reply(self._asking, submission, req, resp)
            resp.media = replace(writer, model_name=reply["model"]).to_wire(reply)


class CountTokensResource:
    """Counts the tokens of a conversation as the model would see it."""

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._settings = settings
        self._asking = asking

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(CountTokensRequest, body)
        turn = counting_turn_of(request)
        submission = stateless_submission(caller_of(req), turn, self._asking, request.model)
        reply = await _reply(self._asking, submission, req, resp)
        resp.media = {"input_tokens": reply["usage"]["prompt_tokens"]}


def _refuse_threads(body: dict[str, Any]) -> None:
    """Refuse to hold a conversation, in the form upon which clients send it whole instead.

    Raises:
        Problem: 422.
    """
    if body.get("thread"):
        message = "conversations are not held here: send all messages"
        raise Problem(
            422,
            "invalid_request",
            f"thread: {message}",
            errors=[{"field": "thread", "message": message}],
            extra={
                "details": {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
            },
        )


async def _reply(
    asking: Asking,
    submission: Submission,
    req: falcon.asgi.Request,
    resp: falcon.asgi.Response,
) -> dict[str, Any]:
    """The reply object of a turn.

    Raises:
        Problem: there is none.
    """
    result = await asking.wait(submission, req, resp)
    if result.end is None:
        raise no_outcome(result.accepted, may_retry=True)
    reply: dict[str, Any] = orjson.loads(reply_of(result.accepted, result.end))
    return reply
