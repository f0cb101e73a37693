"""A completion as OpenAI shows it, whole or in chunks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from falcon.asgi import SSEvent

Reply = dict[str, Any]
_FINISH_REASONS: Final = {"stopped": "stop"}
"""Ours that OpenAI's clients do not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionWriter:
    """Writes one completion.

    Args:
        created: seconds since the epoch.
        model_name: known when its turn was accepted.
        is_legacy: the client knows `function_call`, but no tools.
    """

    id: str
    created: int
    include_usage: bool
    model_name: str = ""
    is_legacy: bool = False

    def to_wire(self, replies: Sequence[Reply]) -> dict[str, Any]:
        """The object with all replies, a choice for each."""
        choices = [
            {
                "index": index,
                "message": self._message(reply),
                "logprobs": logprobs_object(reply.get("logprobs")),
                "finish_reason": self.finish_reason(reply),
            }
            for index, reply in enumerate(replies)
        ]
        usage = usage_of_all([reply["usage"] for reply in replies])
        return self._head("chat.completion") | {"choices": choices, "usage": usage}

    def finish_reason(self, reply: Reply) -> str:
        """Why a reply ended."""
        reason: str = reply["finish_reason"]
        if reason == "tool_calls" and self.is_legacy:
            return "function_call"
        return _FINISH_REASONS.get(reason, reason)

    def _message(self, reply: Reply) -> dict[str, Any]:
        calls = reply.get("tool_calls") or []
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if calls and not reply["reply"] else reply["reply"],
            "refusal": None,
        }
        if reply.get("reasoning"):
            message["reasoning_content"] = reply["reasoning"]
        if calls and self.is_legacy:
            message["function_call"] = _function(calls[0])
        elif calls:
            message["tool_calls"] = [_call(call) for call in calls]
        return message

    def call_deltas(self, call: dict[str, Any], index: int) -> list[dict[str, Any]]:
        """A call as deltas: first its name, then its arguments."""
        head, arguments = _function(call) | {"arguments": ""}, {"arguments": call["arguments"]}
        if self.is_legacy:
            return [{"function_call": head}, {"function_call": arguments}] if index == 0 else []
        first = {"index": index, "id": call["id"], "type": "function", "function": head}
        return [
            {"tool_calls": [first]},
            {"tool_calls": [{"index": index, "function": arguments}]},
        ]

    def chunk(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        finish_reason: str | None = None,
        logprobs: Sequence[dict[str, Any]] | None = None,
    ) -> SSEvent:
        """A piece of the choice with this index."""
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs_object(logprobs),
            "finish_reason": finish_reason,
        }
        return self._event([choice])

    def usage_chunk(self, usage: dict[str, Any]) -> SSEvent:
        """The last piece of a stream with `include_usage`."""
        return self._event([], usage=usage)

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> SSEvent:
        body = self._head("chat.completion.chunk") | {"choices": choices} | more
        if self.include_usage and "usage" not in more:
            body["usage"] = None
        return SSEvent(data=orjson.dumps(body))

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model_name}


def _function(call: dict[str, Any]) -> dict[str, Any]:
    return {"name": call["name"], "arguments": call["arguments"]}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    return {"id": call["id"], "type": "function", "function": _function(call)}


def logprobs_object(entries: Sequence[dict[str, Any]] | None) -> dict[str, Any] | None:
    """The probabilities of a reply's tokens; None if nobody asked for them."""
    return None if entries is None else {"content": list(entries), "refusal": None}


def usage_of_all(usages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The usage of several replies to one prompt, whose tokens count once."""
    total: dict[str, Any] = dict(usages[0])
    total["completion_tokens"] = sum(usage["completion_tokens"] for usage in usages)
    total["total_tokens"] = total["prompt_tokens"] + total["completion_tokens"]
    details = [
        usage["completion_tokens_details"]
        for usage in usages
        if usage.get("completion_tokens_details")
    ]
    if details:
        tokens = sum(each["reasoning_tokens"] for each in details)
        total["completion_tokens_details"] = {"reasoning_tokens": tokens}
    return total
