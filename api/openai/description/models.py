"""The routes of models under `/v1`."""

from typing import Final

from api.description.problems import USING_REDIS
from api.description.route import Answer, Operation, Parameter, Route
from api.openai import examples, schemas

MODELS: Final = "OpenAI: models"
_MODEL: Final = Parameter(
    name="model",
    place="path",
    description="Name of the model.",
    schema={"type": "string", "pattern": ".+"},
    example=examples.MODEL_NAME,
)

ROUTES: Final = (
    Route(
        path="/v1/models",
        operations=(
            Operation(
                method="GET",
                id="openaiListModels",
                tag=MODELS,
                summary="List models",
                description="Those that living workers run, the one that was there first in "
                "front. Workers of one name count as one model.",
                answers=(
                    Answer(
                        description="The models that workers run.",
                        kind=schemas.ModelList,
                        example={"object": "list", "data": [examples.MODEL]},
                    ),
                ),
                problems=USING_REDIS,
            ),
        ),
    ),
    Route(
        path="/v1/models/{model}",
        parameters=(_MODEL,),
        operations=(
            Operation(
                method="GET",
                id="openaiGetModel",
                tag=MODELS,
                summary="Look up a model",
                answers=(
                    Answer(description="The model.", kind=schemas.Model, example=examples.MODEL),
                ),
                problems=(*USING_REDIS, "model_not_found"),
            ),
        ),
    ),
    # The same for names with a slash, which OpenAPI cannot describe.
    Route(path="/v1/models/{model}/{rest:path}"),
)
