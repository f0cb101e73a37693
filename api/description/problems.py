"""Every error code of the API: its status, and when it is sent."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An error as the documentation shows it.

    Args:
        when: it is sent.
        detail: an example of the text for people.
        extra: further members of its problem object, with example values.
    """

    status: int
    when: str
    detail: str
    extra: dict[str, Any]


def _problem(status: int, when: str, detail: str, **extra: Any) -> Described:
    return Described(status=status, when=when, detail=detail, extra=extra)


_JOB: Final = "01a20468ad556c9e281ab26b9b22bda1"
_ENDED: Final = {"job": _JOB, "id": 8543490280686788}

PROBLEMS: Final[dict[str, Described]] = {
    "invalid_body": _problem(
        400,
        "The body is not a JSON object in UTF-8.",
        "the body is JSON, but not an object",
    ),
    "no_embeddings": _problem(
        400,
        "The model does not embed texts, or no worker runs one that does.",
        "the model 'SmolLM2-135M-Instruct' does not embed texts",
    ),
    "unauthorized": _problem(
        401,
        "The API key is missing or unknown.",
        "there is no such API key",
    ),
    "host_refused": _problem(
        403,
        "The `Host` header names a host that this server does not answer for.",
        "this Host is not in PALAVER_ALLOWED_HOSTS",
    ),
    "origin_refused": _problem(
        403,
        "A browser sent the request from a page of another site.",
        "this Origin is not in PALAVER_ALLOWED_ORIGINS",
    ),
    "proxy_refused": _problem(
        403,
        "The request came through a proxy, and the server has no API keys.",
        "VIA: a proxy in front needs API keys, or PALAVER_ALLOW_OPEN=1",
    ),
    "operator_required": _problem(
        403,
        "The API key is not an operator's.",
        "this needs an operator's key: palaver keys role NAME operator",
    ),
    "not_found": _problem(
        404,
        "It does not exist, has expired, or belongs to another key.",
        "there is no such job",
    ),
    "model_not_found": _problem(
        404,
        "Workers run several models, and not this one; of a look-up, that no worker runs it.",
        "there is no model 'gpt-4o'; there are SmolLM2-135M-Instruct, Qwen3-8B",
    ),
    "previous_response_not_found": _problem(
        404,
        "`previous_response_id` names no stored response of this key.",
        "there is no such response",
    ),
    "not_supported": _problem(
        404,
        "OpenAI's API has this operation; this server does not.",
        "/v1/responses/compact is not supported here",
    ),
    "method_not_allowed": _problem(
        405,
        "The path exists, but not with this method. `Allow` lists those that it has.",
        "Method Not Allowed",
    ),
    "not_acceptable": _problem(
        406,
        "`Accept` rules out every type that the server could answer with.",
        "responses here are application/json",
    ),
    "body_timeout": _problem(
        408,
        "The body did not arrive in time.",
        "the body was not sent in time",
    ),
    "conversation_busy": _problem(
        409,
        "The conversation has too many unfinished turns. Try again after `Retry-After`.",
        "the conversation has too many unfinished turns",
    ),
    "nothing_to_summarise": _problem(
        409,
        "No turn of the conversation has left the window yet.",
        "no turn has left the window yet: there is nothing to summarise",
    ),
    "nothing_to_continue": _problem(
        409,
        "`continue`: the last message is not a reply that was cut or stopped. With `job`, if other "
        "turns were pending, so that this was known only when the turn started.",
        "the last message is not a reply that was cut or stopped",
    ),
    "job_cancelled": _problem(
        409,
        "The job was cancelled while the request waited for it.",
        "the job was cancelled",
        **_ENDED,
    ),
    "response_in_progress": _problem(
        409,
        "`previous_response_id` names a response that has not finished yet.",
        "that response has not ended yet: wait for it, then continue",
    ),
    "response_in_use": _problem(
        409,
        "Later turns of the conversation build on this response.",
        "later turns or copies build on this response: delete those first, or the conversation",
        conversation="conv_8543490280686788",
    ),
    "too_many_personas": _problem(
        409,
        "The caller has as many personas as are kept.",
        "there are 100 personas already: delete one first",
    ),
    "turn_ended": _problem(
        409,
        "A turn that has ended is not given back to the line.",
        "the turn has failed, and its client knows it: to run the prompt again, its owner sends it "
        "again",
    ),
    "cannot_drain": _problem(
        409,
        "The worker runs a version that cannot be asked to drain.",
        "this worker runs an older version and cannot be asked: send it SIGTERM",
    ),
    "idempotency_key_spent": _problem(
        410,
        "The prompt sent under this idempotency key has run, and its job is no longer kept.",
        "the prompt was run under this key, and its job is no longer kept; use another key to run "
        "it again",
        job=_JOB,
    ),
    "body_too_large": _problem(
        413,
        "The body is longer than `PALAVER_MAX_BODY_BYTES`.",
        "the body is longer than 1048576 bytes",
    ),
    "unsupported_content_encoding": _problem(
        415,
        "The body is compressed.",
        "Content-Encoding: gzip: bodies are taken uncompressed only",
    ),
    "invalid_request": _problem(
        422,
        "A field, parameter or header is wrong. `errors` names each one.",
        "temperature: Input should be less than or equal to 2",
        errors=[{"field": "temperature", "message": "Input should be less than or equal to 2"}],
    ),
    "context_length_exceeded": _problem(
        422,
        "The prompt, its instructions and room for a reply do not fit the context window. "
        "Tokens are counted by a worker, so the job exists and has failed.",
        "the instructions and this prompt are 4000 tokens; with room for a reply they exceed "
        "the window of 3500 tokens",
        prompt_tokens=4000,
        budget=3500,
        **_ENDED,
    ),
    "unusable_options": _problem(
        422,
        "The model cannot do what was asked for: follow this JSON schema, chat if it embeds.",
        "the schema's keyword `not` is not supported",
        **_ENDED,
    ),
    "idempotency_key_reused": _problem(
        422,
        "The idempotency key was used before, with another body.",
        "the key was used with another body",
    ),
    "previous_response_failed": _problem(
        422,
        "`previous_response_id` names a response that failed.",
        "there is no reply to continue after: that response has failed",
    ),
    "previous_response_cancelled": _problem(
        422,
        "`previous_response_id` names a response that was cancelled.",
        "there is no reply to continue after: that response has been cancelled",
    ),
    "too_many_misses": _problem(
        429,
        "Too many requests named ids or keys that do not exist.",
        "too many requests for what does not exist",
    ),
    "limit_requests": _problem(
        429,
        "The key has used up its prompts per minute.",
        "the limit of this key is reached: 60 prompts a minute",
        limit=60,
    ),
    "limit_in_flight": _problem(
        429,
        "The key has as many unfinished prompts as it may have.",
        "the limit of this key is reached: 4 prompts at a time",
        limit=4,
    ),
    "limit_queued": _problem(
        429,
        "The key has as many waiting prompts as it may have.",
        "the limit of this key is reached: 100 waiting prompts",
        limit=100,
    ),
    "limit_tokens": _problem(
        429,
        "The key has used up its tokens for the day (UTC).",
        "the limit of this key is reached: 100000 tokens a day",
        limit=100000,
    ),
    "internal_error": _problem(
        500,
        "A bug. The server's log has the details, under this answer's `x-request-id`.",
        "an internal error occurred",
    ),
    "generation_failed": _problem(
        500,
        "The model could not generate a reply. The conversation is unchanged.",
        "the reply could not be generated",
        **_ENDED,
    ),
    "worker_lost": _problem(
        500,
        "Every worker that tried this turn was lost. The conversation is unchanged.",
        "3 workers were lost with this turn",
        **_ENDED,
    ),
    "queue_full": _problem(
        503,
        "The queue is full. `Retry-After` estimates when there is room.",
        "the queue is full",
    ),
    "no_worker": _problem(
        503,
        "No worker has been heard from for a minute: of the model that the prompt is for, or none "
        "at all.",
        "no worker of 'SmolLM2-135M-Instruct' has been heard from lately",
    ),
    "memory_short": _problem(
        503,
        "Redis is short of memory or disk. Turns in progress still finish.",
        "Redis takes nothing new at the moment",
    ),
    "redis_away": _problem(
        503,
        "Redis cannot be reached. Nothing is lost.",
        "Redis cannot be reached",
    ),
    "outcome_unknown": _problem(
        503,
        "Redis was lost while the prompt was being accepted. Ask for `job`, or repeat the request "
        "with the same idempotency key.",
        "the connection to Redis was lost while the prompt was being accepted",
        job=_JOB,
    ),
    "no_outcome": _problem(
        503,
        "This API process is stopping and cannot wait any longer.",
        "this server is stopping; try again",
    ),
    "not_healthy": _problem(
        503,
        "A part of this process has failed; it is about to restart.",
        "the task 'feed' has ended",
        task="feed",
    ),
    "not_ready": _problem(
        503,
        "A prompt would not be answered now; `missing` says what is needed.",
        "no worker is ready",
        missing="worker",
    ),
    "deadline_exceeded": _problem(
        504,
        "The turn took longer than `PALAVER_JOB_TIMEOUT`. The conversation is unchanged.",
        "the turn did not end within its time",
        **_ENDED,
    ),
}

REFUSED_REQUEST: Final = ("not_acceptable", "host_refused", "origin_refused", "proxy_refused")
"""What every route but the probes can answer before it has looked at the request."""

READING_BODY: Final = (
    "invalid_body",
    "body_timeout",
    "body_too_large",
    "unsupported_content_encoding",
    "invalid_request",
)
USING_REDIS: Final = ("internal_error", "redis_away", "memory_short")
STORING: Final = (
    *READING_BODY,
    "limit_requests",
    "limit_in_flight",
    "limit_queued",
    "limit_tokens",
    *USING_REDIS,
)
SUBMITTING: Final = (
    *STORING,
    "model_not_found",
    "queue_full",
    "no_worker",
    "outcome_unknown",
)
ENDING_WITHOUT_REPLY: Final = (
    "job_cancelled",
    "context_length_exceeded",
    "generation_failed",
    "worker_lost",
    "deadline_exceeded",
)
