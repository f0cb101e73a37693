"""Every field of Anthropic's client is taken and documented, or refused by its name."""

from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel

from api.anthropic.requests import AnthropicTool, CountTokensRequest, MessagesRequest
from tests.official_fields import check_fields

pytest.importorskip("anthropic", reason="the clients are not installed (group clients)")

PARAMS = {
    MessagesRequest: ("MessageCreateParamsStreaming", "message_create_params"),
    CountTokensRequest: ("MessageCountTokensParams", "message_count_tokens_params"),
}


@pytest.mark.parametrize("model", PARAMS)
@pytest.mark.parametrize("folder", ["types", "types.beta"])
def test_fields_of_a_body(model: type[BaseModel], folder: str) -> None:
    kind, module = PARAMS[model]
    check_fields(model, (official(f"{folder}.{module}", kind),), "anthropic.md")


def test_fields_of_a_tool() -> None:
    check_fields(AnthropicTool, (official("types.tool_param", "ToolParam"),), "anthropic.md")


def official(module: str, kind: str) -> Any:
    return getattr(import_module(f"anthropic.{module}"), kind)
