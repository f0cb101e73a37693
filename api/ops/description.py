"""The routes for probes and monitoring."""

from typing import Any, Final, Literal, NotRequired

from typing_extensions import TypedDict

from api.description.problems import USING_REDIS
from api.description.route import Answer, Operation, Route, Security

SERVICE: Final = "Service"


class HealthObject(TypedDict):
    """The process and all its parts work."""

    status: Literal["ok"]


class ReadyObject(TypedDict):
    """A prompt would be accepted and answered; not in the cells of `degraded`."""

    status: Literal["ready"]
    degraded: NotRequired[list[int]]


class OpsObject(TypedDict):
    """What the operations page draws; it changes with the page."""

    period_s: float
    points: list[dict[str, Any]]
    minutes: dict[str, Any] | None
    models: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    notices: list[dict[str, Any]]


class OpenApiObject(TypedDict):
    """An OpenAPI 3.1 document."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


def _health(path: str, operation_id: str, summary: str) -> Route:
    return Route(
        path=path,
        security=Security.OPEN,
        takes_any_host=True,
        is_routine=True,
        operations=(
            Operation(
                method="GET",
                id=operation_id,
                tag=SERVICE,
                summary=summary,
                answers=(
                    Answer(description="It does.", kind=HealthObject, example={"status": "ok"}),
                ),
                problems=("not_healthy",),
            ),
        ),
    )


ROUTES: Final = (
    _health("/healthz", "getHealth", "Check whether the process works"),
    _health("/health", "getHealthAlias", "The same under the name that other servers use"),
    Route(
        path="/readyz",
        security=Security.OPEN,
        takes_any_host=True,
        is_routine=True,
        operations=(
            Operation(
                method="GET",
                id="getReadiness",
                tag=SERVICE,
                summary="Check whether a prompt would be answered",
                answers=(
                    Answer(description="It would.", kind=ReadyObject, example={"status": "ready"}),
                ),
                problems=("not_ready",),
            ),
        ),
    ),
    Route(
        path="/metrics",
        security=Security.FIGURES,
        is_routine=True,
        operations=(
            Operation(
                method="GET",
                id="getMetrics",
                tag=SERVICE,
                summary="Read metrics for Prometheus",
                answers=(Answer(description="The metrics.", media_type="text/plain"),),
                problems=USING_REDIS,
            ),
        ),
    ),
    Route(
        path="/ops",
        security=Security.KEYED_PAGE,
        operations=(
            Operation(
                method="GET",
                id="getOpsPage",
                tag=SERVICE,
                summary="Open the operations page",
                answers=(Answer(description="The page.", media_type="text/html"),),
            ),
        ),
    ),
    Route(
        path="/ops/data",
        security=Security.FIGURES,
        is_routine=True,
        operations=(
            Operation(
                method="GET",
                id="getOpsData",
                tag=SERVICE,
                summary="Read what the operations page shows",
                answers=(Answer(description="The figures.", kind=OpsObject),),
            ),
        ),
    ),
    Route(
        path="/openapi.json",
        security=Security.OPEN,
        operations=(
            Operation(
                method="GET",
                id="getOpenApi",
                tag=SERVICE,
                summary="Read this document",
                answers=(Answer(description="The document.", kind=OpenApiObject),),
            ),
        ),
    ),
)
