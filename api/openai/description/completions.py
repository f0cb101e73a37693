"""The route of chat completions under `/v1`."""

from typing import Final

from api.description.problems import ENDING_WITHOUT_REPLY, SUBMITTING
from api.description.route import Answer, Body, Operation, Route
from api.openai import examples
from api.openai.chat_requests import ChatCompletionRequest
from api.openai.completion_schemas import ChatCompletion, ChatCompletionChunk

COMPLETIONS: Final = "OpenAI: chat completions"

ROUTES: Final = (
    Route(
        path="/v1/chat/completions",
        operations=(
            Operation(
                method="POST",
                id="openaiCreateChatCompletion",
                tag=COMPLETIONS,
                summary="Complete a conversation that the client keeps",
                description=(
                    "Stateless: `messages` is the whole conversation, and nothing is stored. A "
                    "conversation that does not fit the context window is an error; it is never "
                    "cut. A client that disconnects cancels its completion."
                ),
                body=Body(
                    kind=ChatCompletionRequest,
                    examples={
                        "A question": {
                            "model": examples.MODEL_NAME,
                            "messages": [{"role": "user", "content": "Name a famous person."}],
                        },
                        "A tool": {
                            "model": examples.MODEL_NAME,
                            "messages": [{"role": "user", "content": "How is the weather?"}],
                            "tools": [
                                {
                                    "type": "function",
                                    "function": {
                                        "name": "get_weather",
                                        "parameters": {"type": "object", "properties": {}},
                                    },
                                }
                            ],
                        },
                        "A stream": {
                            "model": examples.MODEL_NAME,
                            "messages": [{"role": "user", "content": "Count to three."}],
                            "stream": True,
                            "stream_options": {"include_usage": True},
                        },
                        "A reply that follows a JSON schema": {
                            "model": examples.MODEL_NAME,
                            "messages": [{"role": "user", "content": "Invent a person."}],
                            "response_format": {
                                "type": "json_schema",
                                "json_schema": {
                                    "name": "person",
                                    "schema": {
                                        "type": "object",
                                        "properties": {"name": {"type": "string"}},
                                        "required": ["name"],
                                        "additionalProperties": False,
                                    },
                                },
                            },
                        },
                    },
                ),
                answers=(
                    Answer(
                        description="The completion, or with `stream` its chunks. The last piece "
                        "of a stream is `[DONE]`; a failure is sent as an error object.",
                        kind=ChatCompletion,
                        example=examples.COMPLETION,
                        events={"message": ChatCompletionChunk},
                        stream_example=examples.CHUNKS,
                    ),
                ),
                problems=(
                    *SUBMITTING,
                    *ENDING_WITHOUT_REPLY,
                    "unusable_options",
                    "no_outcome",
                ),
            ),
        ),
    ),
)
