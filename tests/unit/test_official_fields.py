"""Every field of OpenAI's client is taken and documented, or refused by its name."""

from typing import Any, Final

import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.conversations import (
    conversation_create_params,
    conversation_update_params,
    item_create_params,
)
from openai.types.responses import input_token_count_params, response_create_params
from openai.types.responses.function_tool_param import FunctionToolParam
from openai.types.shared_params.reasoning import Reasoning as ReasoningParam
from pydantic import BaseModel

from api.openai.chat_requests import ChatCompletionRequest
from api.openai.conversation_requests import ConversationUpdate, NewConversation, NewItems
from api.openai.response_requests import InputTokensRequest, Reasoning, ResponsesRequest
from api.openai.text_requests import CompletionRequest, EmbeddingsRequest
from api.openai.tools import ResponseTool
from tests.official_fields import check_fields

OPENAIS: Final[list[tuple[type[BaseModel], tuple[Any, ...]]]] = [
    (
        ChatCompletionRequest,
        (
            chat_create_params.CompletionCreateParamsNonStreaming,
            chat_create_params.CompletionCreateParamsStreaming,
        ),
    ),
    (
        CompletionRequest,
        (
            completion_create_params.CompletionCreateParamsNonStreaming,
            completion_create_params.CompletionCreateParamsStreaming,
        ),
    ),
    (
        ResponsesRequest,
        (
            response_create_params.ResponseCreateParamsNonStreaming,
            response_create_params.ResponseCreateParamsStreaming,
        ),
    ),
    (EmbeddingsRequest, (embedding_create_params.EmbeddingCreateParams,)),
    (InputTokensRequest, (input_token_count_params.InputTokenCountParams,)),
    (NewConversation, (conversation_create_params.ConversationCreateParams,)),
    (ConversationUpdate, (conversation_update_params.ConversationUpdateParams,)),
    (NewItems, (item_create_params.ItemCreateParams,)),
    (Reasoning, (ReasoningParam,)),
    (ResponseTool, (FunctionToolParam,)),
]


@pytest.mark.parametrize(
    ("model", "kinds"), OPENAIS, ids=lambda value: getattr(value, "__name__", "")
)
def test_fields_of_openais_client(model: type[BaseModel], kinds: tuple[Any, ...]) -> None:
    check_fields(model, kinds, "openai.md")
