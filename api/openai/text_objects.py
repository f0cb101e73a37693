"""Completions of plain text as OpenAI shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from falcon.asgi import SSEvent

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextWriter:
    """Writes one completion.

    Args:
        created: seconds since the epoch.
        model_name: known when its turn was accepted.
        per_prompt: choices of each prompt.
    """

    id: str
    created: int
    include_usage: bool
    per_prompt: int
    model_name: str = ""

    def to_wire(self, replies: Sequence[Reply]) -> dict[str, Any]:
        """The object with all replies, a choice for each."""
        choices = [
            {
                "index": index,
                "text": reply["reply"],
                "logprobs": legacy_logprobs(reply.get("logprobs"), 0),
                "finish_reason": finish_reason(reply),
            }
            for index, reply in enumerate(replies)
        ]
        return self._head() | {"choices": choices, "usage": self.usage(replies)}

    def chunk(
        self,
        index: int,
        text: str,
        *,
        logprobs: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> SSEvent:
        """A piece of one choice."""
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        usage = {"usage": None} if self.include_usage else {}
        return SSEvent(data=orjson.dumps(self._head() | {"choices": [choice]} | usage))

    def usage_chunk(self, replies: Sequence[Reply]) -> SSEvent:
        """The last piece of a stream with `include_usage`."""
        return SSEvent(
            data=orjson.dumps(self._head() | {"choices": [], "usage": self.usage(replies)})
        )

    def usage(self, replies: Sequence[Reply]) -> dict[str, Any]:
        """Tokens of all choices; a prompt counts once, however many choices it has."""
        prompts = [reply["usage"] for reply in replies[:: self.per_prompt]]
        prompt = sum(usage["prompt_tokens"] for usage in prompts)
        cached = sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in prompts)
        completion = sum(reply["usage"]["completion_tokens"] for reply in replies)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model_name,
        }


def finish_reason(reply: Reply) -> str:
    """`stop` or `length`."""
    return "length" if reply["finish_reason"] == "length" else "stop"


def legacy_logprobs(entries: Sequence[dict[str, Any]] | None, offset: int) -> dict[str, Any] | None:
    """Probabilities as columns; None if nobody asked for them.

    Args:
        offset: characters of the reply before them.
    """
    if entries is None:
        return None
    offsets = []
    for entry in entries:
        offsets.append(offset)
        offset += len(entry["token"])
    return {
        "tokens": [entry["token"] for entry in entries],
        "token_logprobs": [entry["logprob"] for entry in entries],
        "top_logprobs": [
            {other["token"]: other["logprob"] for other in entry["top_logprobs"]}
            for entry in entries
        ],
        "text_offset": offsets,
    }
