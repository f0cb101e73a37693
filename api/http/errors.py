"""Shared errors as HTTP: RFC 9457 problem objects, in one place."""

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
from redis.exceptions import RedisError

from shared.errors import (
    ConversationBusy,
    IdempotencyKeyReused,
    IdempotencyKeySpent,
    InvalidReplaceFrom,
    LimitReached,
    MemoryShort,
    NoEmbeddings,
    NoSuchAlternative,
    NoSuchConversation,
    NoSuchModel,
    NoSuchTurn,
    NothingToContinue,
    NoWorker,
    OutcomeUnknown,
    PalaverError,
    QueueFull,
    ReadOnlyRedis,
    StillInUse,
    TooManyPersonas,
    TurnInProgress,
    TurnWithoutReply,
)
from shared.store.connection import (
    REDIS_UNAVAILABLE,
    is_without_replicas,
    trouble,
    will_pass,
)
from shared.wire.limits import Allowance

log = logging.getLogger(__name__)

PROBLEM_JSON: Final = "application/problem+json"

_RETRY_AFTER_S: Final = 2
_TITLES: Final = {
    "invalid_body": "The body is not a JSON object",
    "invalid_request": "A field is wrong",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "conversation_busy": "The conversation is busy",
    "nothing_to_continue": "There is nothing to continue",
    "nothing_to_summarise": "There is nothing to summarise",
    "context_length_exceeded": "The prompt does not fit the window",
    "deadline_exceeded": "The turn took too long",
    "job_cancelled": "The job was cancelled",
    "generation_failed": "The reply could not be generated",
    "worker_lost": "The workers were lost",
}


class Problem(PalaverError):
    """A response other than the one asked for: an RFC 9457 problem.

    Args:
        status: HTTP status.
        code: machine-readable reason.
        detail: explanation for people.
        errors: the wrong fields, for 422.
        retry_after_s: sent as `Retry-After`.
        extra: further members of the problem object.
        headers: further headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after_s: int | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)

    def body(self) -> bytes:
        """The problem object as JSON."""
        title = _TITLES.get(self.code) or self.code.replace("_", " ").capitalize()
        members: dict[str, Any] = {
            "type": f"urn:palaver:problem:{self.code}",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            members["errors"] = list(self.errors)
        return orjson.dumps(members | self.extra)


def field_problem(field: str, message: str) -> Problem:
    """422 for one field."""
    return Problem(
        422,
        "invalid_request",
        f"{field}: {message}",
        errors=[{"field": field, "message": message}],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How problems are written for clients of another API.

    Args:
        body: translates a problem to that API's JSON.
        statuses: by our status, that API's, where it differs.
    """

    body: Callable[[Problem], bytes]
    statuses: Mapping[int, int]


Dialects = Mapping[str, Dialect]
NO_DIALECTS: Final[Dialects] = {}


def to_problem(error: PalaverError) -> Problem:
    """The response to one of our errors."""
    detail = str(error)
    match error:
        case NoSuchConversation() | NoSuchAlternative():
            return Problem(404, "not_found", detail)
        case NoSuchTurn():
            return Problem(404, "previous_response_not_found", detail)
        case TurnInProgress():
            return Problem(409, "response_in_progress", detail, retry_after_s=_RETRY_AFTER_S)
        case TurnWithoutReply():
            return Problem(422, f"previous_response_{error.status}", detail)
        case StillInUse():
            return _in_use(error)
        case ConversationBusy():
            return Problem(409, "conversation_busy", detail, retry_after_s=_RETRY_AFTER_S)
        case TooManyPersonas():
            return Problem(409, "too_many_personas", detail)
        case NothingToContinue():
            return Problem(409, "nothing_to_continue", detail)
        case InvalidReplaceFrom():
            return field_problem("replace_from", detail)
        case QueueFull():
            return Problem(503, "queue_full", detail, retry_after_s=max(1, math.ceil(error.wait_s)))
        case IdempotencyKeyReused():
            return Problem(422, "idempotency_key_reused", detail)
        case IdempotencyKeySpent():
            return Problem(410, "idempotency_key_spent", detail, extra={"job": error.job})
        case MemoryShort():
            return Problem(503, "memory_short", detail, retry_after_s=_RETRY_AFTER_S)
        case ReadOnlyRedis():
            return Problem(503, "redis_away", detail, retry_after_s=_RETRY_AFTER_S)
        case LimitReached():
            return _limit_problem(error)
        case NoSuchModel():
            return Problem(404, "model_not_found", detail)
        case NoEmbeddings():
            return Problem(400, "no_embeddings", detail)
        case NoWorker():
            return Problem(503, "no_worker", detail, retry_after_s=_RETRY_AFTER_S)
        case OutcomeUnknown():
            return Problem(
                503,
                "outcome_unknown",
                detail,
                retry_after_s=_RETRY_AFTER_S,
                extra={"job": error.job},
            )
        case _:
            return Problem(500, "internal_error", "an internal error occurred")


def _in_use(error: StillInUse) -> Problem:
    return Problem(
        409,
        "response_in_use",
        str(error),
        extra={"conversation": f"conv_{error.conversation}"},
        headers={"x-should-retry": "false"},
    )


def _limit_problem(error: LimitReached) -> Problem:
    """429; for prompts a minute with headers that say when the whole limit is available again."""
    headers = {}
    if error.kind == "requests":
        reset_s = error.wait_s + 60 - 60 / error.limit
        headers = rate_limit_headers(Allowance(limit=error.limit, remaining=0, reset_s=reset_s))
    retry_after_s = max(1, math.ceil(error.wait_s))
    return Problem(
        429,
        f"limit_{error.kind}",
        str(error),
        retry_after_s=retry_after_s,
        headers=headers,
        extra={"limit": error.limit},
    )


def rate_limit_headers(allowance: Allowance) -> dict[str, str]:
    """What is left of the prompts a minute, under OpenAI's names."""
    return {
        "x-ratelimit-limit-requests": str(allowance.limit),
        "x-ratelimit-remaining-requests": str(allowance.remaining),
        "x-ratelimit-reset-requests": f"{allowance.reset_s:.3f}s",
    }


_JOB_STATUS: Final = {
    "context_length_exceeded": 422,
    "unusable_options": 422,
    "deadline_exceeded": 504,
    "nothing_to_continue": 409,
    "job_cancelled": 409,
}


def job_problem(job_id: str, conversation_id: str, error: Mapping[str, Any]) -> Problem:
    """The response to a client that waits for a job that ended without a reply."""
    code = str(error["code"])
    extra = {name: value for name, value in error.items() if name not in ("code", "detail")}
    return Problem(
        _JOB_STATUS.get(code, 500),
        code,
        str(error["detail"]),
        extra={**extra, "job": job_id, "id": int(conversation_id)},
        headers={"x-should-retry": "false"},
    )


def install_error_handlers(
    app: "falcon.asgi.App[Any, Any]", dialects: Dialects = NO_DIALECTS
) -> None:
    """Answer every error of this application with a problem object.

    Args:
        dialects: of other APIs, by path prefix.
    """

    async def write_problem(
        req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _params: Any
    ) -> None:
        problem = problem_of(error)
        req.context.problem = problem.code
        resp.status = problem.status
        resp.content_type, resp.data = PROBLEM_JSON, problem.body()
        for prefix, dialect in dialects.items():
            if req.path.startswith(prefix):
                resp.status = dialect.statuses.get(problem.status, problem.status)
                resp.content_type, resp.data = falcon.MEDIA_JSON, dialect.body(problem)
        resp.set_headers(problem.headers)

    app.add_error_handler(Exception, write_problem)
    # falcon has a handler for its own errors, and prefers that of the most specific class.
    app.add_error_handler(falcon.HTTPError, write_problem)


def problem_of(error: Exception) -> Problem:
    """The response to an error. One that nobody expects is logged, and its text is not shown."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, PalaverError):
        return to_problem(error)
    if isinstance(error, falcon.HTTPError):
        return _from_falcon(error)
    if isinstance(error, REDIS_UNAVAILABLE):
        trouble.met(error)
        detail = "Redis cannot be reached"
        return Problem(503, "redis_away", detail, retry_after_s=_RETRY_AFTER_S)
    if isinstance(error, RedisError) and will_pass(error):
        trouble.met(error)
        if is_without_replicas(error):
            detail = "Redis has too few replicas to take writes"
            return Problem(503, "redis_away", detail, retry_after_s=_RETRY_AFTER_S)
        detail = "Redis does not accept writes at the moment"
        return Problem(503, "memory_short", detail, retry_after_s=_RETRY_AFTER_S)
    log.error("unexpected error", exc_info=error)
    return Problem(500, "internal_error", "an internal error occurred")


def _from_falcon(error: falcon.HTTPError) -> Problem:
    # falcon's titles are "404 Not Found"; the number is in `status` already.
    title = re.sub(r"^\d+ ", "", str(error.title or "error"))
    detail = error.description or title
    code = re.sub(r"\W+", "_", title.lower())
    return Problem(error.status_code, code, detail, headers=dict(error.headers or {}))
