"""`POST /v1/chat/completions`: stateless, through the same queue as everything else."""

import time
from dataclasses import replace
from functools import partial

import falcon.asgi
import orjson

from api.http.access import caller_of
from api.http.incoming import parse, read_json_object
from api.live.asking import Asking, reply_of
from api.openai.chat_requests import ChatCompletionRequest, turn_requests
from api.openai.chunks import ChunkStream
from api.openai.completion_objects import CompletionWriter
from api.openai.errors import no_outcome
from api.openai.submissions import stateless_submission
from shared.config import Settings


class ChatCompletionsResource:
    """Completes a conversation that the client keeps."""

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._settings = settings
        self._asking = asking

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(ChatCompletionRequest, body)
        turns = turn_requests(request, self._settings.max_tokens_limit)
        submissions = [
            stateless_submission(caller_of(req), turn, self._asking, request.model)
            for turn in turns
        ]
        completion = CompletionWriter(
            id=f"chatcmpl-{submissions[0].job_id}",
            created=int(time.time()),
            include_usage=request.stream_options is not None
            and request.stream_options.include_usage,
            is_legacy=request.is_legacy,
        )
        if request.stream:
            chunks = ChunkStream(completion, len(submissions))
            wanted = [
                (submission, partial(chunks.translator, index))
                for index, submission in enumerate(submissions)
            ]
            return await self._asking.stream_together(
                wanted, req, resp, is_over=lambda: chunks.has_failed
            )
        replies = []
        for result in await self._asking.wait_together(submissions, req, resp):
            if result.end is None:
                raise no_outcome(result.accepted, may_retry=True)
            replies.append(orjson.loads(reply_of(result.accepted, result.end)))
        resp.media = replace(completion, model_name=replies[0]["model"]).to_wire(replies)
        return None
