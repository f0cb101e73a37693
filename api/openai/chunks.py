"""The events of a completion's turns as its chunks."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import orjson
from falcon.asgi import SSEvent

from api.http.errors import Problem
from api.live.asking import reply_of
from api.live.stream import Translator
from api.openai.completion_objects import CompletionWriter, Reply, usage_of_all
from api.openai.errors import error_body
from shared.wire.event import Event
from shared.wire.parts import PART_OF_EVENT
from shared.wire.submission import Accepted

_DONE: Final = SSEvent(data=b"[DONE]")


class ChunkStream:
    """The chunks of one completion, whose choices are turns of their own.

    Args:
        num_choices: how many turns there are.
    """

    def __init__(self, completion: CompletionWriter, num_choices: int) -> None:
        self.completion = completion
        self._replies: dict[int, Reply] = {}
        self._num_choices = num_choices
        self.has_failed = False

    def translator(self, index: int, accepted: Accepted) -> Translator:
        """Translates the events of one choice; all choices are made by the same model."""
        self.completion = replace(self.completion, model_name=accepted.model_name)
        return _ChoiceTranslator(self, index, accepted)

    def fail(self, problem: Problem) -> list[SSEvent]:
        """What ends the stream when a choice has failed; nothing follows."""
        self.has_failed = True
        return [SSEvent(data=error_body(problem))]

    def finish(self, index: int, reply: Reply) -> list[SSEvent]:
        """The last chunk of a choice; after the last choice also what ends the stream."""
        reason = self.completion.finish_reason(reply)
        chunks = [self.completion.chunk(index, {}, finish_reason=reason)]
        self._replies[index] = reply
        if len(self._replies) < self._num_choices:
            return chunks
        if self.completion.include_usage:
            usages = [self._replies[number]["usage"] for number in sorted(self._replies)]
            chunks.append(self.completion.usage_chunk(usage_of_all(usages)))
        return [*chunks, _DONE]


class _ChoiceTranslator:
    """One choice's events as chunks.

    The first chunk, which only names the role, is sent with the first piece: clients take it for
    that.
    """

    def __init__(self, stream: ChunkStream, index: int, accepted: Accepted) -> None:
        self._stream = stream
        self._index = index
        self._accepted = accepted
        self._chunk = partial(stream.completion.chunk, index)
        self._has_begun = False
        self._num_calls = 0

    async def __call__(self, event: Event) -> Iterable[SSEvent]:
        chunks: list[SSEvent] = []
        if (event.kind in PART_OF_EVENT or event.kind == "completed") and not self._has_begun:
            self._has_begun = True
            begins_with_text = event.kind not in ("reasoning", "call")
            content = "" if begins_with_text else None
            chunks.append(self._chunk({"role": "assistant", "content": content}))
        if event.kind in PART_OF_EVENT:
            chunks += self._piece(event.kind, orjson.loads(event.data))
        elif event.is_terminal:
            chunks += self._end(event)
        return chunks

    def _piece(self, kind: str, data: dict[str, Any]) -> list[SSEvent]:
        if kind == "call":
            deltas = self._stream.completion.call_deltas(data, self._num_calls)
            self._num_calls += 1
            return [self._chunk(delta) for delta in deltas]
        if kind == "reasoning":
            return [self._chunk({"reasoning_content": data["text"]})]
        return [self._chunk({"content": data["text"]}, logprobs=data.get("logprobs"))]

    def _end(self, end: Event) -> list[SSEvent]:
        try:
            reply = orjson.loads(reply_of(self._accepted, end))
        except Problem as problem:
            return self._stream.fail(problem)
        return self._stream.finish(self._index, reply)
