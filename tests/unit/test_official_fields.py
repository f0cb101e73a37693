"""Every field of the official clients is taken and documented, or refused by its name."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_type_hints

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
from pydantic import BaseModel, ValidationError

from api.anthropic.requests import AnthropicTool, CountTokensRequest, MessagesRequest
from api.openai.chat_requests import ChatCompletionRequest
from api.openai.conversation_requests import ConversationUpdate, NewConversation, NewItems
from api.openai.response_requests import InputTokensRequest, Reasoning, ResponsesRequest
from api.openai.text_requests import CompletionRequest, EmbeddingsRequest
from api.openai.tools import ResponseTool

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
FENCE: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SPAN: Final = re.compile(r"`([^`\n]+)`")
NAME: Final = re.compile(r"\w+")
NOT_IN_THE_BODY: Final = {"include", "betas", "user_profile_id", "workspace_id"}
"""Sent in the query or in a header."""
TAKEN_BY_ANOTHER_NAME: Final = {"generate_summary"}
ELSEWHERE: Final = NOT_IN_THE_BODY | TAKEN_BY_ANOTHER_NAME
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
ANTHROPICS: Final[list[tuple[type[BaseModel], tuple[str, ...]]]] = [
    (
        MessagesRequest,
        (
            "message_create_params.MessageCreateParamsNonStreaming",
            "message_create_params.MessageCreateParamsStreaming",
            "beta.message_create_params.MessageCreateParamsStreaming",
        ),
    ),
    (
        CountTokensRequest,
        (
            "message_count_tokens_params.MessageCountTokensParams",
            "beta.message_count_tokens_params.MessageCountTokensParams",
        ),
    ),
    (AnthropicTool, ("tool_param.ToolParam",)),
]


def fields_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def official_fields(kinds: tuple[Any, ...]) -> set[str]:
    return {name for kind in kinds for name in get_type_hints(kind)} - ELSEWHERE


def refused_fields(model: type[BaseModel], names: set[str]) -> Iterator[str]:
    """Those that the model names as what it does not know."""
    try:
        model.model_validate(dict.fromkeys(names, "x"))
    except ValidationError as error:
        unknown = [each for each in error.errors() if each["type"] == "extra_forbidden"]
        yield from (str(each["loc"][0]) for each in unknown)


def check(model: type[BaseModel], official: set[str], page: str) -> None:
    others = official - fields_of(model)
    assert set(refused_fields(model, others)) == others
    assert fields_of(model) - names_on(page) == set(), "not documented"


def names_on(page: str) -> set[str]:
    """All names in a page's code spans."""
    text = FENCE.sub("", (DOCS / page).read_text(encoding="utf-8"))
    return {name for span in SPAN.findall(text) for name in NAME.findall(span)}


@pytest.mark.parametrize(
    ("model", "kinds"), OPENAIS, ids=lambda value: getattr(value, "__name__", "")
)
def test_fields_of_openais_client(model: type[BaseModel], kinds: tuple[Any, ...]) -> None:
    check(model, official_fields(kinds), "openai.md")


@pytest.mark.parametrize(
    ("model", "names"), ANTHROPICS, ids=lambda value: getattr(value, "__name__", "")
)
def test_fields_of_anthropics_client(model: type[BaseModel], names: tuple[str, ...]) -> None:
    pytest.importorskip("anthropic", reason="anthropic is missing")
    kinds = []
    for name in names:
        module, _, kind = name.rpartition(".")
        kinds.append(getattr(importlib.import_module(f"anthropic.types.{module}"), kind))
    check(model, official_fields(tuple(kinds)), "anthropic.md")
