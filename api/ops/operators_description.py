"""The routes for operators: everybody's turns, and the workers."""

from typing import Any, Final, Literal

from typing_extensions import TypedDict

from api.description.problems import USING_REDIS
from api.description.route import Answer, Operation, Parameter, Route, Security
from api.ops.turn_objects import OverviewObject, TurnList, TurnObject
from api.ops.usage_objects import UsageObject

OPERATORS: Final = "Operators"

_JOB_ID: Final = "01a20468ad556c9e281ab26b9b22bda1"
_WORKER_ID: Final = "gpu-3:4711:9f2c01ab"
_TURN: Final[dict[str, Any]] = {
    "job": _JOB_ID,
    "id": 8543490280686788,
    "key": "alice",
    "model": "SmolLM2-135M-Instruct",
    "status": "queued",
    "attempts": 0,
    "created_at": "2026-11-22T17:58:18.900Z",
    "started_at": None,
    "finished_at": None,
    "worker": None,
    "suspect": False,
    "wait": {
        "reason": "slot",
        "behind": None,
        "home": None,
        "queue": {"position": 3, "eta_seconds": 4.2},
    },
    "error": None,
    "request": "req_5f0e8b0c2d3a4b5c6d7e8f90",
}
_NONE: Final = {"count": 0, "turns": []}
_RUNNING: Final = {
    **_TURN,
    "status": "in_progress",
    "attempts": 1,
    "started_at": "2026-11-22T17:58:19.100Z",
    "worker": _WORKER_ID,
    "wait": None,
}
_DAY: Final = {
    "day": "2026-11-22",
    "usage": [
        {
            "owner": "5f0e8b0c2d3a4b5c",
            "key": "alice",
            "model": "SmolLM2-135M-Instruct",
            "turns": 120,
            "prompt_tokens": 91200,
            "cached_tokens": 80100,
            "completion_tokens": 20400,
            "unfinished_tokens": 310,
        }
    ],
}
_JOB: Final = Parameter(
    name="job",
    place="path",
    description="Id of the job.",
    schema={"type": "string", "pattern": "^[0-9a-f]{32}$"},
    example=_JOB_ID,
    is_id=True,
)
_WORKER: Final = Parameter(
    name="worker",
    place="path",
    description="Id of the worker.",
    schema={"type": "string", "minLength": 1},
    example=_WORKER_ID,
)
_SOUGHT: Final = Parameter(
    name="id",
    place="query",
    description="Id of a job (or response), a conversation or a request (`x-request-id`). Requests "
    "are known of turns that have not ended, and of those that have failed.",
    schema={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    example=_JOB_ID,
    is_required=True,
)


class DrainingWorker(TypedDict):
    """A worker that takes no more turns, and ends when those that it has have ended."""

    worker: str
    draining: Literal[True]


def _action(
    name: str, operation_id: str, *, summary: str, description: str, problems: tuple[str, ...] = ()
) -> Route:
    return Route(
        path=f"/ops/turns/{{job}}/{name}",
        security=Security.OPERATOR,
        parameters=(_JOB,),
        operations=(
            Operation(
                method="POST",
                id=operation_id,
                tag=OPERATORS,
                summary=summary,
                description=description,
                answers=(Answer(description="The turn.", kind=TurnObject, example=_TURN),),
                problems=(*USING_REDIS, "not_found", *problems),
            ),
        ),
    )


ROUTES: Final = (
    Route(
        path="/ops/turns",
        security=Security.OPERATOR,
        is_routine=True,
        operations=(
            Operation(
                method="GET",
                id="listTurns",
                tag=OPERATORS,
                summary="List everybody's turns that run, wait and have failed",
                description="At most a hundred of each, without prompts, replies and titles. Of "
                "those that wait each model's first, of those that failed the last.",
                answers=(
                    Answer(
                        description="The turns.",
                        kind=OverviewObject,
                        example={
                            "running": {"count": 1, "turns": [_RUNNING]},
                            "waiting": _NONE,
                            "failed": _NONE,
                        },
                    ),
                ),
                problems=(*USING_REDIS, "not_found"),
            ),
        ),
    ),
    Route(
        path="/ops/lookup",
        security=Security.OPERATOR,
        is_routine=True,
        operations=(
            Operation(
                method="GET",
                id="lookUpTurns",
                tag=OPERATORS,
                summary="Find turns by the id of a job, a conversation or a request",
                parameters=(_SOUGHT,),
                answers=(
                    Answer(
                        description="The turns; none if the id is not known.",
                        kind=TurnList,
                        example={"turns": [_RUNNING]},
                    ),
                ),
                problems=(*USING_REDIS, "invalid_request", "not_found"),
            ),
        ),
    ),
    _action(
        "cancel",
        "cancelTurn",
        summary="Cancel anybody's turn",
        description="As its owner's `DELETE /jobs/{job}`: nothing of it enters the conversation. "
        "One that has ended stays as it is.",
    ),
    _action(
        "requeue",
        "requeueTurn",
        summary="Give a running turn back to the line",
        description="It keeps its place, what is written of its reply stands, and no attempt is "
        "charged; any worker may go on with it. One that waits stays where it is.",
        problems=("turn_ended",),
    ),
    Route(
        path="/ops/usage",
        security=Security.OPERATOR,
        is_routine=True,
        operations=(
            Operation(
                method="GET",
                id="getUsage",
                tag=OPERATORS,
                summary="Read turns and tokens of the last week by key, model and day",
                description="Prompt tokens include cached ones. `unfinished_tokens` were evaluated "
                "and generated for turns that failed or were cancelled.",
                answers=(
                    Answer(description="The usage.", kind=UsageObject, example={"days": [_DAY]}),
                ),
                problems=(*USING_REDIS, "not_found"),
            ),
        ),
    ),
    Route(
        path="/ops/workers/{worker}/drain",
        security=Security.OPERATOR,
        parameters=(_WORKER,),
        operations=(
            Operation(
                method="POST",
                id="drainWorker",
                tag=OPERATORS,
                summary="Let a worker finish its turns and end",
                description="As `palaver drain`. There is no way back: start another worker.",
                answers=(
                    Answer(
                        description="It drains.",
                        kind=DrainingWorker,
                        example={"worker": _WORKER_ID, "draining": True},
                    ),
                ),
                problems=(*USING_REDIS, "not_found", "cannot_drain"),
            ),
        ),
    ),
)
