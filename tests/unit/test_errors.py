"""Every error is a problem object (RFC 9457) with its documented status."""

from collections.abc import Mapping
from typing import Any

import falcon
import falcon.asgi
import orjson
import pytest
import redis.exceptions
from falcon import testing
from pydantic import ValidationError

from api.http.errors import (
    PROBLEM_JSON,
    Problem,
    install_error_handlers,
    job_problem,
    to_problem,
)
from api.http.validation import validation_problem
from shared.errors import (
    ConfigError,
    ContextLengthExceeded,
    ConversationBusy,
    DeadlineExceeded,
    IdempotencyKeyReused,
    IdempotencyKeySpent,
    InvalidReplaceFrom,
    LimitReached,
    MemoryShort,
    NoEmbeddings,
    NoRoomToContinue,
    NoSuchAlternative,
    NoSuchConversation,
    NoSuchModel,
    NoSuchTurn,
    NothingToContinue,
    NothingWasCut,
    NoWorker,
    OutcomeUnknown,
    PalaverError,
    QueueFull,
    ReadOnlyRedis,
    Refused,
    StillInUse,
    TooManyPersonas,
    TurnFailed,
    TurnInProgress,
    TurnWithoutReply,
    UnusableOptions,
    WorkerLost,
)
from shared.store.claims import error_data
from shared.wire.requests import ChatRequest

JOB = "0190a0b0c0d0e0f0a1b2c3d4e5f60718"

REFUSALS: Mapping[type[PalaverError], tuple[PalaverError, int, str]] = {
    NoSuchAlternative: (NoSuchAlternative("x"), 404, "not_found"),
    NoSuchConversation: (NoSuchConversation("no such conversation"), 404, "not_found"),
    NoSuchTurn: (NoSuchTurn("no such response"), 404, "previous_response_not_found"),
    ConversationBusy: (ConversationBusy("too many turns"), 409, "conversation_busy"),
    InvalidReplaceFrom: (InvalidReplaceFrom(7), 422, "invalid_request"),
    NothingToContinue: (NothingToContinue(), 409, "nothing_to_continue"),
    QueueFull: (QueueFull(2.5), 503, "queue_full"),
    MemoryShort: (MemoryShort("Redis is short of memory"), 503, "memory_short"),
    ReadOnlyRedis: (ReadOnlyRedis("Redis is a read-only replica"), 503, "redis_away"),
    LimitReached: (LimitReached("requests", 3, 2.5), 429, "limit_requests"),
    NoSuchModel: (NoSuchModel("large", ["small", "tiny"]), 404, "model_not_found"),
    NoEmbeddings: (NoEmbeddings("small"), 400, "no_embeddings"),
    NoWorker: (NoWorker("small"), 503, "no_worker"),
    TurnInProgress: (TurnInProgress("not yet"), 409, "response_in_progress"),
    TurnWithoutReply: (TurnWithoutReply("failed"), 422, "previous_response_failed"),
    IdempotencyKeySpent: (IdempotencyKeySpent(JOB), 410, "idempotency_key_spent"),
    IdempotencyKeyReused: (IdempotencyKeyReused("used"), 422, "idempotency_key_reused"),
}


class Raising:
    """Answers every request with one exception."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def on_get(self, _req: falcon.asgi.Request, _resp: falcon.asgi.Response) -> None:
        raise self._error


def answer_to(error: Exception) -> testing.Result:
    """What a client gets when a resource raises this."""
    return application(error).simulate_get("/")


def application(error: Exception) -> testing.TestClient:
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App()
    install_error_handlers(app)
    app.add_route("/", Raising(error))
    return testing.TestClient(app)


def assert_problem(result: testing.Result, status: int, code: str) -> None:
    """The answer is a complete problem object, and says the same as its status line."""
    assert result.status_code == status
    assert result.headers["content-type"] == PROBLEM_JSON
    body = result.json
    assert body["type"] == f"urn:palaver:problem:{code}"
    assert (body["status"], body["code"]) == (status, code)
    assert all(isinstance(body[name], str) and body[name] for name in ("title", "detail"))


def test_a_problem_has_all_its_members() -> None:
    result = answer_to(Problem(418, "no_coffee", "this is a teapot", extra={"pot": 1}))
    assert result.json == {
        "type": "urn:palaver:problem:no_coffee",
        "title": "No coffee",
        "status": 418,
        "detail": "this is a teapot",
        "code": "no_coffee",
        "pot": 1,
    }


def test_a_problems_headers_are_sent() -> None:
    result = answer_to(Problem(503, "busy", "busy", retry_after_s=7, headers={"X-Own": "yes"}))
    assert result.headers["retry-after"] == "7"
    assert result.headers["x-own"] == "yes"


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_has_its_documented_status(kind: type[PalaverError]) -> None:
    error, status, code = REFUSALS[kind]
    result = answer_to(error)
    assert_problem(result, status, code)
    assert str(error) in result.json["detail"]


def test_what_stands_on_a_response_is_told() -> None:
    result = answer_to(StillInUse("50"))
    assert_problem(result, 409, "response_in_use")
    assert result.json["conversation"] == "conv_50"
    assert result.headers["x-should-retry"] == "false"


def test_how_many_personas_there_may_be_is_told() -> None:
    result = answer_to(TooManyPersonas(100))
    assert_problem(result, 409, "too_many_personas")
    assert "100" in result.json["detail"]


def test_no_refusal_is_forgotten() -> None:
    assert set(Refused.__subclasses__()) == set(REFUSALS)


@pytest.mark.parametrize("kind", [ConversationBusy, QueueFull, LimitReached, MemoryShort, NoWorker])
def test_what_passes_says_when_to_come_back(kind: type[PalaverError]) -> None:
    assert int(answer_to(REFUSALS[kind][0]).headers["retry-after"]) > 0


def test_a_wrong_replace_from_is_named_as_a_field() -> None:
    (error,) = answer_to(InvalidReplaceFrom(7)).json["errors"]
    assert error["field"] == "replace_from"
    assert "number 7" in error["message"]


def test_an_unknown_outcome_names_the_job() -> None:
    result = answer_to(OutcomeUnknown(JOB))
    assert_problem(result, 503, "outcome_unknown")
    assert result.json["job"] == JOB
    assert int(result.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("the secret prompt"),
        ValueError("the secret prompt"),
        KeyError("the secret prompt"),
        ConfigError("the secret prompt"),
        TurnFailed("the secret prompt"),
        redis.exceptions.ResponseError("the secret prompt"),
    ],
)
def test_what_was_not_foreseen_is_a_500_that_tells_nothing(error: Exception) -> None:
    result = answer_to(error)
    assert_problem(result, 500, "internal_error")
    assert "secret" not in result.text


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ConnectionError("redis://user:secret@host"),
        redis.exceptions.TimeoutError("secret"),
        redis.exceptions.BusyLoadingError("secret"),
        redis.exceptions.ReadOnlyError("secret"),
        ConnectionResetError("secret"),
    ],
)
def test_redis_away_is_a_503_that_tells_nothing_more(error: Exception) -> None:
    result = answer_to(error)
    assert_problem(result, 503, "redis_away")
    assert int(result.headers["retry-after"]) > 0
    assert "secret" not in result.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ContextLengthExceeded(4000, 3500), 422),
        (NoRoomToContinue(3500, 3500), 422),
        (NothingWasCut(), 409),
        (DeadlineExceeded("too late"), 504),
        (WorkerLost("gone"), 500),
        (UnusableOptions("the schema is nested too deep"), 422),
        (TurnFailed("the engine failed"), 500),
    ],
)
def test_a_failed_job_has_its_documented_status(error: TurnFailed, status: int) -> None:
    stored = orjson.loads(error_data(error))["error"]
    result = answer_to(job_problem(JOB, "50", stored))
    assert_problem(result, status, error.code)
    assert (result.json["job"], result.json["id"]) == (JOB, 50)
    assert result.json["detail"] == str(error)
    assert result.headers["x-should-retry"] == "false"


def test_no_failure_is_forgotten() -> None:
    known = {
        ContextLengthExceeded,
        DeadlineExceeded,
        NothingWasCut,
        UnusableOptions,
        WorkerLost,
    }
    assert set(TurnFailed.__subclasses__()) == known


def test_a_cancelled_job_is_a_conflict() -> None:
    cancelled = {"code": "job_cancelled", "detail": "the job was cancelled"}
    result = answer_to(job_problem(JOB, "50", cancelled))
    assert_problem(result, 409, "job_cancelled")
    assert result.headers["x-should-retry"] == "false"


def test_a_prompt_that_does_not_fit_tells_its_numbers() -> None:
    error = {"code": "context_length_exceeded", "detail": "long", "prompt_tokens": 9, "budget": 8}
    body = answer_to(job_problem(JOB, "50", error)).json
    assert (body["prompt_tokens"], body["budget"]) == (9, 8)


def test_wrong_fields_are_listed_with_their_names() -> None:
    body = {"prompt": " ", "nonsense": "secret", "stop": ["", "x"]}
    with pytest.raises(ValidationError) as refusal:
        ChatRequest.model_validate(body)
    result = answer_to(validation_problem(refusal.value, body))
    assert_problem(result, 422, "invalid_request")
    messages = {item["field"]: item["message"] for item in result.json["errors"]}
    assert set(messages) == {"prompt", "nonsense", "stop.0"}
    assert messages["nonsense"] == "there is no such field"
    assert messages["prompt"] == "must not be blank"
    assert "prompt: must not be blank" in result.json["detail"]
    assert "secret" not in result.text


def test_problems_without_wrong_fields_have_no_list_of_them() -> None:
    assert b"errors" not in to_problem(QueueFull(2.5)).body()


def test_an_unknown_path_is_a_problem() -> None:
    assert_problem(application(KeyError()).simulate_get("/nothing"), 404, "not_found")


def test_a_wrong_method_is_a_problem_and_names_the_right_ones() -> None:
    result = application(KeyError()).simulate_post("/")
    assert_problem(result, 405, "method_not_allowed")
    assert "GET" in result.headers["allow"]


def test_codes_do_not_repeat_the_status() -> None:
    assert_problem(answer_to(falcon.HTTPNotAcceptable()), 406, "not_acceptable")
