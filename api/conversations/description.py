"""The routes for prompts and jobs."""

from typing import Any, Final

from typing_extensions import TypedDict

from api.conversations.conversation_description import RESUMING
from api.conversations.events import JOB_EVENTS
from api.description.problems import ENDING_WITHOUT_REPLY, SUBMITTING, USING_REDIS
from api.description.route import Answer, Body, Operation, Parameter, Route, Security
from shared.wire.objects import JobObject
from shared.wire.reply import ReplyObject
from shared.wire.requests import ChatRequest

PROMPTS: Final = "Prompts"
JOBS: Final = "Jobs"

_JOB_ID: Final = "01a20468ad556c9e281ab26b9b22bda1"
_CONVERSATION_ID: Final = 8543490280686788
_WINDOW: Final = {"budget": 3500, "used": 124, "turns_kept": 1, "turns_dropped": 0}
_REPLY: Final = {
    "id": _CONVERSATION_ID,
    "prompt": "Name a famous person.",
    "context": "Answer in one short sentence.",
    "reply": "Akira Kurosawa.",
    "timestamp": "2026-11-22T17:58:19.350Z",
    "numberOfTokens": 124,
    "finish_reason": "stop",
    "usage": {
        "prompt_tokens": 76,
        "completion_tokens": 48,
        "total_tokens": 124,
        "prompt_tokens_details": {"cached_tokens": 60},
    },
    "window": _WINDOW,
    "timings": {"queued_ms": 1.2, "prompt_ms": 80.1, "generation_ms": 310.5},
    "job": _JOB_ID,
    "model": "SmolLM2-135M-Instruct",
}
_LINKS: Final = {"self": f"/jobs/{_JOB_ID}", "events": f"/jobs/{_JOB_ID}/events"}
_QUEUED_JOB: Final[dict[str, Any]] = {
    "job": _JOB_ID,
    "status": "queued",
    "id": _CONVERSATION_ID,
    "attempts": 0,
    "created_at": "2026-11-22T17:58:18.900Z",
    "queue": {"position": 3, "eta_seconds": 4.2},
    "links": _LINKS,
}
_STREAM: Final = (
    "id: 1795370299350-0\nevent: queued\n"
    f'data: {{"job": "{_JOB_ID}", "id": {_CONVERSATION_ID}, "position": 1, "eta_seconds": 0.4}}\n\n'
    'id: 1795370299360-0\nevent: started\ndata: {"attempt": 1}\n\n'
    'id: 1795370299420-0\nevent: token\ndata: {"text": "Akira"}\n\n'
    'id: 1795370299440-0\nevent: token\ndata: {"text": " Kurosawa."}\n\n'
    "id: 1795370299480-0\nevent: completed\n"
    'data: {"id": 8543490280686788, "reply": "Akira Kurosawa.", …}\n\n'
)

_PROMPT: Final = Body(
    kind=ChatRequest,
    examples={
        "A new conversation": {
            "context": "Answer in one short sentence.",
            "prompt": "Name a famous person.",
        },
        "Continue a conversation": {
            "id": _CONVERSATION_ID,
            "prompt": "Why is this person famous?",
        },
        "Go on with another model": {
            "id": _CONVERSATION_ID,
            "model": "Qwen3-8B",
            "prompt": "And what do you think?",
        },
        "Replace the last prompt and its reply": {
            "id": _CONVERSATION_ID,
            "replace_from": 3,
            "prompt": "When was this person born?",
            "temperature": 0,
        },
        "Go on with a reply that was cut": {"id": _CONVERSATION_ID, "continue": True},
    },
)
_PREFER: Final = Parameter(
    name="Prefer",
    place="header",
    description="`wait=N` waits at most N seconds for the reply; `respond-async` does not wait.",
    schema={"type": "string"},
)
_IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    place="header",
    description="Makes a request safe to repeat: the same key with the same body always means the "
    "same job. Kept for 24 hours, separately for each API key.",
    schema={"type": "string", "minLength": 16, "maxLength": 255},
)
_ACCEPTED: Final = Answer(
    status=202,
    description="The prompt was accepted and has no reply yet.",
    kind=JobObject,
    example=_QUEUED_JOB,
    headers={
        "Location": "Address of the job.",
        "Retry-After": "Seconds to wait before asking for the job.",
    },
)
_FOR_PROMPTS: Final = (
    *SUBMITTING,
    *ENDING_WITHOUT_REPLY,
    "not_found",
    "conversation_busy",
    "nothing_to_continue",
    "idempotency_key_reused",
    "idempotency_key_spent",
)

_JOB: Final = Parameter(
    name="job",
    place="path",
    description="Id of the job.",
    schema={"type": "string", "pattern": "^[0-9a-f]{32}$"},
    example=_JOB_ID,
    is_id=True,
)
_LOOKING_UP: Final = (*USING_REDIS, "not_found")


class HomeLinks(TypedDict):
    """Where to go next."""

    openapi: str
    docs: str
    ready: str


class HomeObject(TypedDict):
    """What this server is."""

    name: str
    version: str
    description: str
    links: HomeLinks


ROUTES: Final = (
    Route(
        path="/",
        security=Security.PAGE,
        operations=(
            Operation(
                method="GET",
                id="getHome",
                tag=PROMPTS,
                summary="Describe this server",
                description="A browser gets the chat page instead.",
                answers=(
                    Answer(
                        description="The description.",
                        kind=HomeObject,
                        example={
                            "name": "Palaver",
                            "version": "0.1.0",
                            "description": "A chat backend that remembers: POST a prompt here.",
                            "links": {
                                "openapi": "/openapi.json",
                                "docs": "/docs",
                                "ready": "/readyz",
                            },
                        },
                        media_type="text/html",
                    ),
                ),
            ),
            Operation(
                method="POST",
                id="sendPrompt",
                tag=PROMPTS,
                summary="Send a prompt and get the reply",
                description=(
                    "Starts a conversation, or continues the one that `id` names; with `continue`, "
                    "goes on with a reply that was cut or stopped. By default the request waits "
                    "for the reply; if there is none after `PALAVER_SYNC_TIMEOUT` seconds, it "
                    "gets 202 with the job, which keeps running. With "
                    "`Accept: text/event-stream` it gets the job's events as they happen.\n\n"
                    "Prompts sent to one conversation at the same time run in the order in which "
                    "they arrived. A client that disconnects does not stop its job."
                ),
                parameters=(_PREFER, _IDEMPOTENCY_KEY),
                body=_PROMPT,
                answers=(
                    Answer(
                        description="The reply, or the job's events.",
                        kind=ReplyObject,
                        example=_REPLY,
                        events=JOB_EVENTS,
                        stream_example=_STREAM,
                        headers={"Preference-Applied": "What of `Prefer` was honoured."},
                    ),
                    _ACCEPTED,
                ),
                problems=_FOR_PROMPTS,
            ),
        ),
    ),
    Route(
        path="/jobs",
        operations=(
            Operation(
                method="POST",
                id="createJob",
                tag=JOBS,
                summary="Send a prompt without waiting for the reply",
                parameters=(_PREFER, _IDEMPOTENCY_KEY),
                body=_PROMPT,
                answers=(
                    Answer(
                        description="The reply: sent only if `Prefer: wait=N` was given and the "
                        "job ended in time.",
                        kind=ReplyObject,
                        example=_REPLY,
                    ),
                    _ACCEPTED,
                ),
                problems=_FOR_PROMPTS,
            ),
        ),
    ),
    Route(
        path="/jobs/{job}",
        parameters=(_JOB,),
        operations=(
            Operation(
                method="GET",
                id="getJob",
                tag=JOBS,
                summary="Look up a job",
                description="`Prefer: wait=N` works here, too.",
                parameters=(
                    Parameter(
                        name="wait",
                        place="query",
                        description="Seconds to wait for the job to end.",
                        schema={"type": "integer", "minimum": 0, "maximum": 60},
                    ),
                ),
                answers=(Answer(description="The job.", kind=JobObject, example=_QUEUED_JOB),),
                problems=(*_LOOKING_UP, "invalid_request"),
            ),
            Operation(
                method="DELETE",
                id="cancelJob",
                tag=JOBS,
                summary="Cancel a job",
                description=(
                    "A queued turn never runs; a running one stops within a second. Nothing of it "
                    "enters the conversation. A job that has ended stays as it is."
                ),
                answers=(
                    Answer(
                        description="The job.",
                        kind=JobObject,
                        example={
                            "job": _JOB_ID,
                            "status": "cancelled",
                            "id": _CONVERSATION_ID,
                            "attempts": 1,
                            "created_at": "2026-11-22T17:58:18.900Z",
                            "finished_at": "2026-11-22T17:58:19.350Z",
                            "links": _LINKS,
                        },
                    ),
                ),
                problems=_LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/jobs/{job}/stop",
        parameters=(_JOB,),
        operations=(
            Operation(
                method="POST",
                id="stopJob",
                tag=JOBS,
                summary="Stop a reply and keep what is written",
                description=(
                    "A running turn ends at its next token. It completes with `finish_reason: "
                    "stopped`, and what is written of its reply enters the conversation. That may "
                    "take a moment: wait for the job, or follow its events. A turn of which "
                    "nothing is written yet is cancelled; one that has ended stays as it is."
                ),
                answers=(Answer(description="The job.", kind=JobObject, example=_QUEUED_JOB),),
                problems=_LOOKING_UP,
            ),
        ),
    ),
    Route(
        path="/jobs/{job}/events",
        parameters=(_JOB,),
        operations=(
            Operation(
                method="GET",
                id="streamJobEvents",
                tag=JOBS,
                summary="Stream a job's events",
                description=(
                    "Server-sent events from the beginning, or from the one after `Last-Event-ID` "
                    "(else `after`), even if the job has ended. The stream ends after "
                    "`completed`, `failed` or `cancelled`; if it ends any other way, resume it. A "
                    "comment every 15 seconds keeps the connection open.\n\n"
                    "What a model thinks comes as `reasoning`, its answer as `token`, and each of "
                    "its calls of a tool as one `call`."
                ),
                parameters=RESUMING,
                answers=(
                    Answer(description="The events.", events=JOB_EVENTS, stream_example=_STREAM),
                    Answer(status=204, description="There are no more events."),
                ),
                problems=(*_LOOKING_UP, "invalid_request"),
            ),
        ),
    ),
)
