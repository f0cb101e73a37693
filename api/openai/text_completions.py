"""`POST /v1/completions`: plain text that the model continues."""

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import falcon.asgi
import orjson
from falcon.asgi import SSEvent

from api.http.access import caller_of
from api.http.errors import Problem, field_problem
from api.http.incoming import parse, read_json_object
from api.live.asking import Asking, reply_of
from api.live.stream import Translator
from api.openai.errors import error_body, no_outcome
from api.openai.submissions import stateless_submission
from api.openai.text_objects import Reply, TextWriter, finish_reason, legacy_logprobs
from api.openai.text_requests import CompletionRequest
from shared.config import Settings
from shared.wire.event import Event
from shared.wire.submission import Accepted, Submission


class CompletionsResource:
    """Continues texts, each choice in a turn of its own."""

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._settings = settings
        self._asking = asking

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(CompletionRequest, body)
        try:
            turns = request.turns(self._settings.max_tokens_limit)
        except ValueError as error:
            raise field_problem("n", str(error)) from None
        submissions = [
            stateless_submission(caller_of(req), turn, self._asking, request.model)
            for turn in turns
        ]
        writer = TextWriter(
            id=f"cmpl-{submissions[0].job_id}",
            created=int(time.time()),
            include_usage=bool(request.stream_options and request.stream_options.include_usage),
            per_prompt=request.n or 1,
        )
        if request.stream:
            return await self._stream(writer, submissions, req, resp)
        replies = []
        for result in await self._asking.wait_together(submissions, req, resp):
            if result.end is None:
                raise no_outcome(result.accepted, may_retry=True)
            replies.append(orjson.loads(reply_of(result.accepted, result.end)))
        resp.media = replace(writer, model_name=replies[0]["model"]).to_wire(replies)
        return None

    async def _stream(
        self,
        writer: TextWriter,
        submissions: list[Submission],
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
    ) -> None:
        chunks = TextStream(writer, len(submissions))
        wanted = [
            (submission, partial(chunks.translator, index))
            for index, submission in enumerate(submissions)
        ]
        await self._asking.stream_together(wanted, req, resp, is_over=lambda: chunks.has_failed)


class TextStream:
    """The chunks of one completion, whose choices are turns of their own."""

    def __init__(self, writer: TextWriter, num_choices: int) -> None:
        self.writer = writer
        self.has_failed = False
        self._num_choices = num_choices
        self._replies: dict[int, Reply] = {}

    def translator(self, index: int, accepted: Accepted) -> Translator:
        """Translates the events of one choice; all choices are made by the same model."""
        self.writer = replace(self.writer, model_name=accepted.model_name)
        return _ChoiceTranslator(self, index, accepted)

    def fail(self, problem: Problem) -> list[SSEvent]:
        """What ends the stream when a choice has failed; nothing follows."""
        self.has_failed = True
        return [SSEvent(data=error_body(problem))]

    def finish(self, index: int, reply: Reply) -> list[SSEvent]:
        """The last chunk of a choice; after the last choice also what ends the stream."""
        self._replies[index] = reply
        chunks = [self.writer.chunk(index, "", reason=finish_reason(reply))]
        if len(self._replies) < self._num_choices:
            return chunks
        if self.writer.include_usage:
            replies = [self._replies[number] for number in sorted(self._replies)]
            chunks.append(self.writer.usage_chunk(replies))
        return [*chunks, SSEvent(data=b"[DONE]")]


class _ChoiceTranslator:
    """One choice's events as chunks."""

    def __init__(self, stream: TextStream, index: int, accepted: Accepted) -> None:
        self._stream = stream
        self._index = index
        self._accepted = accepted
        self._length = 0

    async def __call__(self, event: Event) -> Iterable[SSEvent]:
        if event.kind == "token":
            piece = orjson.loads(event.data)
            logprobs = legacy_logprobs(piece.get("logprobs"), self._length)
            self._length += len(piece["text"])
            return [self._stream.writer.chunk(self._index, piece["text"], logprobs=logprobs)]
        if not event.is_terminal:
            return []
        try:
            reply = orjson.loads(reply_of(self._accepted, event))
        except Problem as problem:
            return self._stream.fail(problem)
        return self._stream.finish(self._index, reply)
