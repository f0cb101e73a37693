"""`/v1/responses`: turns of Palaver's conversations under OpenAI's names."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
from falcon.asgi import SSEvent

from api.http.access import caller_of, names_an_id
from api.http.body import read_json_object
from api.http.errors import Problem, field_problem, parse
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
from api.openai.completions import ENDS_WITHIN_S
from api.openai.models import Models
from api.openai.objects import (
    CONVERSATION,
    RESPONSE,
    ResponseEvents,
    ResponseShape,
    echo_of,
    end_with_reply,
    input_items_of,
    response_of,
    shape_of,
    usage_so_far,
)
from api.openai.queries import ItemQuery, Query, behind
from api.openai.requests import sampling_options
from api.openai.response_requests import ResponsesRequest
from shared import ids
from shared.config import Settings
from shared.store.conversations import Conversations
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs, JobState
from shared.store.submissions import Submissions
from shared.wire.event import order
from shared.wire.limits import Caller
from shared.wire.sampling import Sampling
from shared.wire.submission import Accepted, Submission
from shared.wire.turn_request import TurnRequest

_CONVERSATION_ID = re.compile(CONVERSATION + r"([1-9][0-9]{0,15})")
_LARGEST_NUMBER: Final = 10**9
_NOT_STORED: Final = "there is no such response"


class ResponsesResource:
    """Makes responses."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        turns: Submissions,
        streams: "ResponseStreams",
        feed: EventFeed,
        models: Models,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._turns = turns
        self._streams = streams
        self._feed = feed
        self._models = models

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(ResponsesRequest, body)
        submission = self._submission(caller_of(req), request)
        if not submission.new:
            names_an_id(req)
        # Asked before it is accepted: what fails afterwards makes clients repeat it.
        model = await self._models.name()
        if not (request.stream or request.background):
            return await self._wait(submission, model, req, resp)
        accepted = await self._intake.submit(submission)
        tell_allowance(accepted.allowance, resp)
        shape = _shape(submission, accepted, model)
        if request.stream:
            await self._until_it_goes(submission, accepted, req)
            return self._streams.open(shape, submission.owner_id, 0, resp)
        return show_response(shape.to_wire("queued"), resp)

    async def _until_it_goes(
        self, submission: Submission, accepted: Accepted, req: falcon.asgi.Request
    ) -> None:
        only_reader = Incoming.of(req) if submission.stateless else None
        try:
            await raise_early_failure(self._feed, accepted, only_reader)
        except Problem:
            if submission.stateless:
                await self._turns.release(accepted.job_id, submission.owner_id)
            raise

    def _submission(self, caller: Caller, request: ResponsesRequest) -> Submission:
        named, previous = request.conversation_id, request.previous_response_id
        behind = None
        if previous is not None and (behind := job_of(previous)) is None:
            raise Problem(404, "previous_response_not_found", _NOT_STORED)
        return Submission(
            job_id=ids.new_job(),
            conversation_id=ids.new_conversation() if named is None else conversation_of(named),
            owner_id=caller.owner_id,
            new=named is None and previous is None,
            instructions="",
            request=turn_request(request, self._settings.max_tokens_limit),
            api_id=self._intake.api,
            limits=caller.limits,
            stateless=not request.is_stored,
            response=request.is_stored,
            after=behind,
        )

    async def _wait(
        self,
        submission: Submission,
        model: str,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
    ) -> None:
        async with self._feed.watch_new(submission.job_id) as watch:
            accepted = await self._intake.submit(submission)
            tell_allowance(accepted.allowance, resp)
            try:
                wait_s = self._settings.job_timeout + ENDS_WITHIN_S
                only_reader = Incoming.of(req) if submission.stateless else None
                event = await first_terminal(watch, wait_s, only_reader)
            except ClientLeft:
                await self._turns.cancel(accepted.job_id, submission.owner_id)
                raise
        if event is None:
            if submission.stateless:
                await self._turns.cancel(accepted.job_id, submission.owner_id)
            raise no_outcome(accepted, may_retry=submission.stateless)
        if submission.stateless:
            await self._turns.release(accepted.job_id, submission.owner_id)
        if event.kind != "completed":
            raise to_problem_of(accepted, event)
        status, end = end_with_reply(orjson.loads(event.data), order(event.id)[0])
        show_response(_shape(submission, accepted, model).to_wire(status, end), resp)


def _shape(submission: Submission, accepted: Accepted, model: str) -> ResponseShape:
    return ResponseShape(
        job_id=accepted.job_id,
        conversation_id=accepted.conversation_id,
        created_ms=accepted.created_ms,
        request=submission.request,
        model_name=model,
    )


def no_outcome(accepted: Accepted, *, may_retry: bool) -> Problem:
    """This server cannot wait any longer for a turn; one that goes on must not be repeated."""
    headers = {} if may_retry else {"x-should-retry": "false"}
    return Problem(
        503,
        "no_outcome",
        "this server stops" if may_retry else "this server stops; the response goes on",
        retry_after_s=1,
        headers=headers,
        extra={} if may_retry else {"response": f"{RESPONSE}{accepted.job_id}"},
    )


class ResponseResource:
    """Shows, streams and deletes a response."""

    def __init__(
        self,
        jobs: Jobs,
        events: EventLog,
        conversations: Conversations,
        streams: "ResponseStreams",
        models: Models,
    ) -> None:
        self._jobs = jobs
        self._events = events
        self._conversations = conversations
        self._streams = streams
        self._models = models

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        state = await stored(self._jobs, response, caller_of(req).owner_id)
        model = await self._models.name()
        # No padding is sent, whether it is asked for or not.
        query = Query(req, "stream", "starting_after", "include_obfuscation")
        after = query.number("starting_after", 0, _LARGEST_NUMBER)
        if query.flag("stream"):
            begin = 0 if after is None else after + 1
            return self._streams.open(shape_of(state, model), state.owner_id, begin, resp)
        if after is not None:
            raise field_problem("starting_after", "needs stream=true")
        written = await written_by(self._events, state)
        return show_response(response_of(state, model, written), resp)

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        owner = caller_of(req).owner_id
        state = await stored(self._jobs, response, owner)
        if not await self._conversations.forget_response(state.job_id, owner):
            raise Problem(404, "not_found", _NOT_STORED)
        show_response({"id": response, "object": "response", "deleted": True}, resp)


class CancelResource:
    """Cancels a response that was begun in the background."""

    def __init__(self, jobs: Jobs, events: EventLog, turns: Submissions, models: Models) -> None:
        self._jobs = jobs
        self._events = events
        self._turns = turns
        self._models = models

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        owner = caller_of(req).owner_id
        state = await stored(self._jobs, response, owner)
        await self._turns.cancel(state.job_id, owner)
        state = await stored(self._jobs, response, owner)
        written = await written_by(self._events, state)
        show_response(response_of(state, await self._models.name(), written), resp)


class InputItemsResource:
    """Lists what a response was asked."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        state = await stored(self._jobs, response, caller_of(req).owner_id)
        query = ItemQuery(req)
        items = input_items_of(state)
        if query.order == "desc":
            items.reverse()
        show_response(query.page(behind(items, query.after)[: query.limit + 1]), resp)


class ResponseStreams:
    """Responses as OpenAI's events."""

    def __init__(self, feed: EventFeed, turns: Submissions, jobs: Jobs) -> None:
        self._feed = feed
        self._turns = turns
        self._jobs = jobs

    def open(
        self, shape: ResponseShape, owner_id: str, begin: int, resp: falcon.asgi.Response
    ) -> None:
        """Let a response stream the events numbered `begin` and above."""
        open_stream(resp, self._emit(shape, owner_id, begin))

    async def _emit(
        self, shape: ResponseShape, owner_id: str, begin: int
    ) -> AsyncIterator[SSEvent | None]:
        told = ResponseEvents(shape)
        try:
            async with self._feed.watch(shape.job_id) as watch:
                async for event in events_or_pings(watch):
                    if event is None:
                        yield None
                        continue
                    usage = None
                    if event.is_terminal and event.kind != "completed":
                        usage = usage_so_far(await self._jobs.get(shape.job_id, owner_id))
                    for one in told.from_number(event, begin, usage):
                        yield SSEvent(event=one["type"], data=orjson.dumps(one))
        finally:
            if not shape.is_stored:
                # Nobody else can read it.
                await self._turns.release(shape.job_id, owner_id)


def turn_request(request: ResponsesRequest, max_tokens_limit: int) -> TurnRequest:
    """What a worker is to do; a reply longer than this server allows is cut to what it allows."""
    options = sampling_options(request, request.max_output_tokens, max_tokens_limit)
    return TurnRequest(
        prompt=request.prompt,
        context=None,
        replace_from=None,
        sampling=parse(Sampling, options),
        earlier=request.earlier,
        json_schema=request.json_schema,
        instructions=request.instructions,
        truncate=request.truncation == "auto",
        echo=echo_of(request),
    )


async def written_by(events: EventLog, state: JobState) -> str:
    """What a cancelled or failed turn had written, as long as its log is kept."""
    if not state.has_ended or state.result is not None:
        return ""
    log = await events.read(state.job_id)
    return "".join(orjson.loads(one.data)["text"] for one in log if one.kind == "token")


async def stored(jobs: Jobs, response_id: str, owner_id: str) -> JobState:
    """A response that can be asked for.

    Raises:
        Problem: 404.
    """
    job = job_of(response_id)
    state = await jobs.get(job, owner_id) if job is not None else None
    # Turns of `POST /` are no responses, and neither are those that were not to be stored; of one
    # whose conversation was deleted nothing is told any more.
    request = TurnRequest.decode(state.request) if state and state.request else None
    echo = orjson.loads(request.echo or "{}") if request else {}
    if state is None or not echo.get("store"):
        raise Problem(404, "not_found", _NOT_STORED)
    return state


def job_of(response_id: str) -> str | None:
    """The job behind a response's id; None if it is no such id."""
    job = response_id.removeprefix(RESPONSE)
    return job if response_id.startswith(RESPONSE) and ids.is_job(job) else None


def conversation_of(name: str) -> str:
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
