"""`/v1/responses`: turns of Palaver's conversations under OpenAI's names."""

from typing import Any, Final

import falcon.asgi
import orjson

from api.http.access import caller_of, note_lookup
from api.http.errors import field_problem
from api.http.incoming import parse, read_json_object
from api.live.asking import Asking, reply_of
from api.live.stream import EventStreams, Translator
from api.openai.echo import echo_of
from api.openai.errors import no_outcome
from api.openai.ids import conversation_id_of, job_id_of, no_such_response
from api.openai.objects import ResponseShape, end_with_reply, input_items_of, shape_of
from api.openai.queries import ItemQuery, Query, items_after
from api.openai.references import References, has_references
from api.openai.requests import sampling_of
from api.openai.response_requests import ResponsesRequest
from api.openai.stored import StoredResponses
from api.openai.thinking import encoded_options
from shared.config import Settings
from shared.store.conversations import Conversations
from shared.wire.event import order
from shared.wire.limits import Caller
from shared.wire.submission import Accepted, Submission
from shared.wire.turn_request import TurnRequest

_LARGEST_NUMBER: Final = 10**9


class ResponsesResource:
    """Creates responses."""

    def __init__(self, settings: Settings, asking: Asking, responses: StoredResponses) -> None:
        self._settings = settings
        self._asking = asking
        self._responses = responses
        self._references = References(responses)

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        caller = caller_of(req)
        if has_references(body):
            note_lookup(req)
            body = await self._references.resolved(body, caller.owner_id)
        request = parse(ResponsesRequest, body)
        submission = self._submission(caller, request)
        if not submission.new:
            note_lookup(req)
        if request.stream:

            def translator(accepted: Accepted) -> Translator:
                shape = _shape(submission, accepted)
                return self._responses.translator(shape, submission.owner_id)

            await self._asking.stream(submission, translator, req, resp)
        elif request.background:
            accepted = await self._asking.submit(submission, resp)
            resp.media = _shape(submission, accepted).to_wire("queued")
        else:
            resp.media = await self._reply(submission, req, resp)

    async def _reply(
        self,
        submission: Submission,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
    ) -> dict[str, Any]:
        result = await self._asking.wait(submission, req, resp)
        if result.end is None:
            raise no_outcome(result.accepted, may_retry=submission.stateless)
        reply = orjson.loads(reply_of(result.accepted, result.end))
        status, end = end_with_reply(reply, order(result.end.id)[0])
        return _shape(submission, result.accepted).to_wire(status, end)

    def _submission(self, caller: Caller, request: ResponsesRequest) -> Submission:
        named, previous = request.conversation_id, request.previous_response_id
        after = job_id_before(previous)
        conversation_id = None if named is None else conversation_id_of(named)
        ids = self._asking.id_source.new_turn(
            caller.owner_id, conversation_id=conversation_id, after=after
        )
        return Submission(
            job_id=ids.job_id,
            conversation_id=conversation_id or ids.conversation_id,
            owner_id=caller.owner_id,
            new=named is None and previous is None,
            instructions="",
            request=turn_request(request, self._settings.max_tokens_limit),
            api_id=self._asking.api_id,
            limits=caller.limits,
            stateless=not request.is_stored,
            response=request.is_stored,
            after=after,
            model_name=request.model,
        )


def job_id_before(previous_response_id: str | None) -> str | None:
    """The turn that a new one continues after.

    Raises:
        Problem: 404, there is no such response.
    """
    if previous_response_id is None:
        return None
    if (job_id := job_id_of(previous_response_id)) is None:
        raise no_such_response("previous_response_not_found")
    return job_id


def _shape(submission: Submission, accepted: Accepted) -> ResponseShape:
    return ResponseShape(
        job_id=accepted.job_id,
        conversation_id=accepted.conversation_id,
        created_ms=accepted.created_ms,
        request=submission.request,
        model_name=accepted.model_name,
    )


class ResponseResource:
    """Shows, streams and deletes a response."""

    def __init__(
        self, responses: StoredResponses, conversations: Conversations, streams: EventStreams
    ) -> None:
        self._responses = responses
        self._conversations = conversations
        self._streams = streams

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        state = await self._responses.find(response, caller_of(req).owner_id)
        # Padding is never sent, whether it is asked for or not.
        query = Query(req, "stream", "starting_after", "include_obfuscation")
        after = query.number("starting_after", 0, _LARGEST_NUMBER)
        if query.flag("stream"):
            shape = shape_of(state)
            first_number = 0 if after is None else after + 1
            translate = self._responses.translator(shape, state.owner_id, first_number)
            return self._streams.open_translated(state.job_id, translate, resp)
        if after is not None:
            raise field_problem("starting_after", "needs stream=true")
        resp.media = await self._responses.to_wire(state)
        return None

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        owner_id = caller_of(req).owner_id
        state = await self._responses.find(response, owner_id)
        if not await self._conversations.forget_response(state.job_id, owner_id):
            raise no_such_response()
        resp.media = {"id": response, "object": "response", "deleted": True}


class CancelResource:
    """Cancels a response that was started in the background."""

    def __init__(self, responses: StoredResponses) -> None:
        self._responses = responses

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        state = await self._responses.cancel(response, caller_of(req).owner_id)
        resp.media = await self._responses.to_wire(state)


class InputItemsResource:
    """Lists the input of a response."""

    def __init__(self, responses: StoredResponses) -> None:
        self._responses = responses

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, response: str
    ) -> None:
        state = await self._responses.find(response, caller_of(req).owner_id)
        query = ItemQuery(req)
        items = input_items_of(state)
        if query.order == "desc":
            items.reverse()
        resp.media = query.page(items_after(query.after, items)[: query.limit + 1])


def turn_request(request: ResponsesRequest, max_tokens_limit: int) -> TurnRequest:
    """What a worker is to do; a reply longer than this server allows is cut to that length."""
    return TurnRequest(
        prompt=request.prompt.content,
        call_id=request.prompt.call_id,
        context=None,
        replace_from=None,
        sampling=sampling_of(request, request.max_output_tokens, max_tokens_limit),
        earlier=request.earlier,
        json_schema=request.json_schema,
        instructions=request.instructions,
        truncate=request.truncation == "auto",
        tool_use=request.tool_use,
        thinking=request.thinking,
        template_options=encoded_options(request.chat_template_kwargs),
        top_logprobs=request.alternatives,
        echo=echo_of(request),
    )
