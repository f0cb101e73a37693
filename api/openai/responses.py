"""`/v1/responses`: turns of Palaver's conversations under OpenAI's names."""

import re
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
from falcon.asgi import SSEvent

from api.access import caller_of
from api.body import read_json_object
from api.errors import Problem, field_problem, parse
from api.feed import EventFeed
from api.intake import Intake
from api.openai.models import Models
from api.openai.objects import (
    CONVERSATION,
    RESPONSE,
    ResponseEvents,
    ResponseShape,
    echo_of,
    response_of,
    shape_of,
)
from api.openai.response_requests import ResponsesRequest
from api.stream import events_or_pings
from api.waiting import first_terminal, tell_allowance, to_problem_of
from shared import ids
from shared.config import Settings
from shared.conversations import Conversations
from shared.jobs import Jobs, JobState
from shared.limits import Caller
from shared.requests import Sampling
from shared.schema import TurnRequest
from shared.turn_values import Accepted, Submission
from shared.turns import Turns

_CONVERSATION_ID = re.compile(CONVERSATION + r"([1-9][0-9]{0,15})")
_NOT_STORED: Final = "there is no such response"


class ResponsesResource:
    """Makes responses."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        conversations: Conversations,
        jobs: Jobs,
        streams: "ResponseStreams",
        feed: EventFeed,
        models: Models,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._conversations = conversations
        self._jobs = jobs
        self._streams = streams
        self._feed = feed
        self._models = models

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(ResponsesRequest, body)
        submission = await self._submission(caller_of(req), request)
        if request.stream or request.background:
            accepted = await self._intake.submit(submission)
            tell_allowance(accepted.allowance, resp)
            if request.stream:
                shape = await self._shape(submission, accepted)
                return self._streams.open(shape, 0, resp)
            return await self._show(accepted.job, submission.owner, resp)
        return await self._wait(submission, resp)

    async def _submission(self, caller: Caller, request: ResponsesRequest) -> Submission:
        conversation = await self._conversation(caller, request)
        return Submission(
            job=ids.new_job(),
            conversation=conversation or ids.new_conversation(),
            owner=caller.owner,
            new=conversation is None,
            instructions="",
            request=turn_request(request, self._settings.max_tokens_limit),
            api=self._intake.api,
            limits=caller.limits,
            stateless=not request.is_stored,
        )

    async def _conversation(self, caller: Caller, request: ResponsesRequest) -> str | None:
        """The one to go on in; None for a new one."""
        if request.conversation_id is not None:
            return conversation_id(request.conversation_id)
        if request.previous_response_id is None:
            return None
        job = job_id(request.previous_response_id)
        found = None
        if job is not None:
            # What is not stored must not enter the conversation that is.
            always = not request.is_stored
            fork = ids.new_conversation()
            found = await self._conversations.fork(job, caller.owner, fork, always=always)
        if found is None:
            raise Problem(404, "previous_response_not_found", _NOT_STORED)
        return found

    async def _shape(self, submission: Submission, accepted: Accepted) -> ResponseShape:
        model = await self._models.name()
        now_ms = time.time_ns() // 1_000_000
        return ResponseShape(accepted.job, accepted.conversation, now_ms, submission.request, model)

    async def _wait(self, submission: Submission, resp: falcon.asgi.Response) -> None:
        async with self._feed.watch_new(submission.job) as watch:
            accepted = await self._intake.submit(submission)
            tell_allowance(accepted.allowance, resp)
            event = await first_terminal(watch, self._settings.job_timeout)
        if event is not None and event.kind != "completed":
            raise to_problem_of(accepted, event)
        await self._show(accepted.job, submission.owner, resp)

    async def _show(self, job: str, owner: str, resp: falcon.asgi.Response) -> None:
        state = await self._jobs.get(job, owner)
        if state is None:
            raise Problem(404, "not_found", "the response is gone")
        show_response(response_of(state, await self._models.name()), resp)


class ResponseResource:
    """Shows, streams and deletes a response."""

    def __init__(
        self, jobs: Jobs, conversations: Conversations, streams: "ResponseStreams", models: Models
    ) -> None:
        self._jobs = jobs
        self._conversations = conversations
        self._streams = streams
        self._models = models

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        state = await stored(self._jobs, response, caller_of(req).owner)
        model = await self._models.name()
        if req.get_param_as_bool("stream"):
            after = req.get_param_as_int("starting_after", min_value=0)
            begin = 0 if after is None else after + 1
            return self._streams.open(shape_of(state, model), begin, resp)
        return show_response(response_of(state, model), resp)

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        owner = caller_of(req).owner
        state = await stored(self._jobs, response, owner)
        if not await self._conversations.forget_job(state.job, owner):
            raise Problem(404, "not_found", _NOT_STORED)
        show_response({"id": response, "object": "response", "deleted": True}, resp)


class CancelResource:
    """Cancels a response that was begun in the background."""

    def __init__(self, jobs: Jobs, turns: Turns, models: Models) -> None:
        self._jobs = jobs
        self._turns = turns
        self._models = models

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        owner = caller_of(req).owner
        state = await stored(self._jobs, response, owner)
        await self._turns.cancel(state.job, owner)
        state = await stored(self._jobs, response, owner)
        show_response(response_of(state, await self._models.name()), resp)


class ResponseStreams:
    """Responses as OpenAI's events."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed

    def open(self, shape: ResponseShape, begin: int, resp: falcon.asgi.Response) -> None:
        """Let a response stream the events numbered `begin` and above."""
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("X-Accel-Buffering", "no")
        resp.sse = self._emit(shape, begin)

    async def _emit(self, shape: ResponseShape, begin: int) -> AsyncIterator[SSEvent | None]:
        told = ResponseEvents(shape)
        async with self._feed.watch(shape.job) as watch:
            async for event in events_or_pings(watch):
                if event is None:
                    yield None
                    continue
                for one in told.of(event):
                    if one["sequence_number"] >= begin:
                        yield SSEvent(event=one["type"], data=orjson.dumps(one))


def turn_request(request: ResponsesRequest, max_tokens_limit: int) -> TurnRequest:
    """What a worker is to do.

    Raises:
        Problem: it asks for more tokens than are allowed.
    """
    options = {
        "max_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "ignore_eos": request.ignore_eos,
    }
    said = {name: value for name, value in options.items() if value is not None}
    return TurnRequest(
        prompt=request.prompt,
        context=None,
        replace_from=None,
        sampling=parse(Sampling, said, {"max_tokens_limit": max_tokens_limit}),
        json_schema=request.json_schema,
        instructions=request.all_instructions,
        truncate=request.truncation == "auto",
        echo=echo_of(request),
    )


async def stored(jobs: Jobs, response: str, owner: str) -> JobState:
    """A response that can be asked for.

    Raises:
        Problem: 404.
    """
    job = job_id(response)
    state = await jobs.get(job, owner) if job is not None else None
    # Turns of `POST /` are no responses, and neither are those that were not to be stored.
    echo = orjson.loads(TurnRequest.decode(state.request).echo or "{}") if state else {}
    if state is None or not echo.get("store"):
        raise Problem(404, "not_found", _NOT_STORED)
    return state


def job_id(response: str) -> str | None:
    """The job behind a response's id; None if it is no such id."""
    job = response.removeprefix(RESPONSE)
    return job if response.startswith(RESPONSE) and ids.is_job(job) else None


def conversation_id(name: str) -> str:
    """The conversation behind an id.

    Raises:
        Problem: it is no such id.
    """
    match = _CONVERSATION_ID.fullmatch(name)
    if match is None:
        raise field_problem("conversation", "is not the id of a conversation (conv_…)")
    return match[1]


def show_response(body: dict[str, Any], resp: falcon.asgi.Response) -> None:
    """Write a JSON object."""
    resp.content_type = falcon.MEDIA_JSON
    resp.data = orjson.dumps(body)
