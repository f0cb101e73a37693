"""The routes of plain text under `/v1`."""

from typing import Any, Final

from api.description.problems import ENDING_WITHOUT_REPLY, SUBMITTING
from api.description.route import Answer, Body, Operation, Route
from api.openai import examples, text_schemas
from api.openai.text_requests import CompletionRequest, EmbeddingsRequest

TEXTS: Final = "OpenAI: texts"

_PROBLEMS: Final = (*SUBMITTING, *ENDING_WITHOUT_REPLY, "unusable_options", "no_outcome")
_COMPLETION: Final[dict[str, Any]] = {
    "id": f"cmpl-{examples.JOB_ID}",
    "object": "text_completion",
    "created": examples.CREATED,
    "model": examples.MODEL_NAME,
    "choices": [
        {"index": 0, "text": " there was a king.", "logprobs": None, "finish_reason": "stop"}
    ],
    "usage": examples.USAGE,
}
_CHUNKS: Final = (
    'data: {"object": "text_completion", '
    '"choices": [{"index": 0, "text": " there was a king.", …}], …}\n\n'
    "data: [DONE]\n\n"
)
_VECTORS: Final = {
    "object": "list",
    "model": examples.MODEL_NAME,
    "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}

ROUTES: Final = (
    Route(
        path="/v1/completions",
        operations=(
            Operation(
                method="POST",
                id="openaiCreateCompletion",
                tag=TEXTS,
                summary="Continue a text",
                description="Without a chat template: the model continues what it is given. "
                "Several prompts and `n` together make at most 8 choices.",
                body=Body(
                    kind=CompletionRequest,
                    examples={
                        "A text": {"model": examples.MODEL_NAME, "prompt": "Once upon a time,"}
                    },
                ),
                answers=(
                    Answer(
                        description="The completion, or with `stream` its chunks, which `[DONE]` "
                        "ends.",
                        kind=text_schemas.TextCompletion,
                        example=_COMPLETION,
                        events={"message": text_schemas.TextCompletion},
                        stream_example=_CHUNKS,
                    ),
                ),
                problems=_PROBLEMS,
            ),
        ),
    ),
    Route(
        path="/v1/embeddings",
        operations=(
            Operation(
                method="POST",
                id="openaiCreateEmbeddings",
                tag=TEXTS,
                summary="Embed texts",
                description="Only where workers run a model that embeds. Without a `model` "
                "it is the first one that does.",
                body=Body(
                    kind=EmbeddingsRequest,
                    examples={"A text": {"model": examples.MODEL_NAME, "input": "A king."}},
                ),
                answers=(
                    Answer(
                        description="A vector for each text.",
                        kind=text_schemas.EmbeddingList,
                        example=_VECTORS,
                    ),
                ),
                problems=(*_PROBLEMS, "no_embeddings"),
            ),
        ),
    ),
)
