"""Spans of the turns that a worker ran, each start of a job a span of its own.

They are made when a turn has left this worker, from the moments that it noted on the way: nothing
waits for them. Names follow OpenTelemetry's conventions for generative AI; what is Palaver's own
begins with `palaver.`.
"""

import time
from itertools import pairwise
from typing import Final

from shared.traces import Attributes, Tracer
from shared.wire.reply import TurnResult
from shared.wire.sampling import Sampling
from shared.wire.turn_request import TurnRequest
from worker.running_turn import RunningTurn

_SAMPLING: Final = (
    "temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty",
)  # fmt: skip
"""Options that the conventions have a name for; it ends like ours."""
_NO_FAILURES: Final = frozenset({"completed", "cancelled", "fenced", "gone", "handed_over"})


class TurnSpans:
    """Tells a tracer about turns that have left this worker.

    Args:
        model_name: of the worker's model.
    """

    def __init__(self, tracer: Tracer, model_name: str, worker_id: str) -> None:
        self._tracer = tracer
        self._model_name = model_name
        self._worker_id = worker_id

    def ended(self, turn: RunningTurn) -> None:
        """Make the spans of a start: how long it waited, and what took how long then."""
        claim, now_ns = turn.claim, time.time_ns()
        began_ns, operation = turn.began_ns, _operation(claim.request)
        span = self._tracer.begin(
            f"{operation} {self._model_name}", "internal", parent=claim.traceparent, at_ns=began_ns
        )
        parent = claim.traceparent or span.traceparent
        waiting_ns = began_ns - claim.waited_ms * 1_000_000
        queue = self._tracer.begin("queue", "internal", parent=parent, at_ns=waiting_ns)
        queue.end({"palaver.attempt": claim.starts}, at_ns=began_ns)
        for stage, following in pairwise([*turn.stages, ("", now_ns)]):
            part = self._tracer.begin(stage[0], "internal", parent=span.traceparent, at_ns=stage[1])
            part.end(at_ns=following[1])
        failed = turn.outcome not in _NO_FAILURES
        span.end(
            {"gen_ai.operation.name": operation, **self._attributes(turn, waiting_ns)},
            error=turn.outcome if failed else "",
            at_ns=now_ns,
        )

    def _attributes(self, turn: RunningTurn, waiting_ns: int) -> Attributes:
        claim = turn.claim
        first_ns = next((at_ns for name, at_ns in turn.stages if name == "generate"), None)
        first = (
            {"gen_ai.response.time_to_first_chunk": (first_ns - waiting_ns) / 1e9}
            if first_ns
            else {}
        )
        return {
            "gen_ai.provider.name": "palaver",
            "gen_ai.conversation.id": claim.conversation_id,
            "gen_ai.request.model": self._model_name,
            "gen_ai.response.model": self._model_name,
            "palaver.job.id": claim.job_id,
            "palaver.worker.id": self._worker_id,
            "palaver.attempt": claim.starts,
            "palaver.outcome": turn.outcome,
            **_sampling(claim.request.sampling),
            **first,
            **({} if turn.result is None else _of_result(turn.result)),
        }


def _operation(request: TurnRequest) -> str:
    if request.to_embed:
        return "embeddings"
    return "text_completion" if request.is_plain else "chat"


def _sampling(sampling: Sampling) -> Attributes:
    options = sampling.model_dump(exclude_none=True)
    return {f"gen_ai.request.{name}": options[name] for name in _SAMPLING if name in options}


def _of_result(result: TurnResult) -> Attributes:
    usage = result.usage
    details = usage.completion_tokens_details
    return {
        "gen_ai.response.finish_reasons": [result.finish_reason],
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.prompt_tokens_details.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": details.reasoning_tokens if details else 0,
        "palaver.window.turns_kept": result.window["turns_kept"],
        "palaver.window.turns_dropped": result.window["turns_dropped"],
    }
