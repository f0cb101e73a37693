"""`POST /v1/responses/input_tokens`: how many tokens the input of a response would have."""

import falcon.asgi
import orjson

from api.http.access import caller_of, note_lookup
from api.http.incoming import parse, read_json_object
from api.live.asking import Asking, reply_of
from api.openai.errors import no_outcome
from api.openai.ids import conversation_id_of
from api.openai.response_requests import InputTokensRequest
from api.openai.responses import job_id_before
from api.openai.thinking import encoded_options
from shared.config import Settings
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest


class InputTokensResource:
    """Counts an input's tokens: a worker makes the prompt, and generates nothing."""

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._settings = settings
        self._asking = asking

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request, caller = parse(InputTokensRequest, body), caller_of(req)
        after, named = job_id_before(request.previous_response_id), request.conversation_id
        if after is not None or named is not None:
            note_lookup(req)
        behind = None if named is None else conversation_id_of(named)
        ids = self._asking.id_source.new_turn(caller.owner_id, conversation_id=behind, after=after)
        submission = Submission(
            job_id=ids.job_id,
            conversation_id=ids.conversation_id,
            owner_id=caller.owner_id,
            new=after is None and named is None,
            instructions="",
            request=_turn_request(request),
            api_id=self._asking.api_id,
            limits=caller.limits,
            stateless=True,
            after=after,
            behind=behind,
            model_name=request.model,
        )
        result = await self._asking.wait(submission, req, resp)
        if result.end is None:
            raise no_outcome(result.accepted, may_retry=True)
        usage = orjson.loads(reply_of(result.accepted, result.end))["usage"]
        resp.media = {"object": "response.input_tokens", "input_tokens": usage["prompt_tokens"]}


def _turn_request(request: InputTokensRequest) -> TurnRequest:
    return TurnRequest(
        prompt=request.prompt.content,
        call_id=request.prompt.call_id,
        context=None,
        replace_from=None,
        sampling=Sampling(),
        earlier=request.earlier,
        counts_only=True,
        json_schema=request.json_schema,
        instructions=request.instructions,
        truncate=request.truncation == "auto",
        tool_use=request.tool_use,
        thinking=request.thinking,
        template_options=encoded_options(request.chat_template_kwargs),
    )
