"""From Anthropic's messages to ours."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from api.anthropic.blocks import (
    Block,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    text_of,
)
from api.anthropic.requests import AnthropicMessage
from api.http.errors import field_problem
from shared.wire.messages import ChatMessage, Role
from shared.wire.parts import ToolCall

_FAILED: str = "Error: "
"""In front of a result with `is_error`: chat templates have no other place for it."""


def chat_messages(system: str, messages: Iterable[AnthropicMessage]) -> tuple[ChatMessage, ...]:
    """The whole conversation, instructions first.

    A tool's result becomes a message of its own. Blocks of text are joined as they are.

    Raises:
        Problem: 422, a block cannot stand where it is.
    """
    opening = (ChatMessage(role="system", content=system),) if system else ()
    reader = _Reader()
    spoken = [
        each for place, message in enumerate(messages) for each in reader.read(place, message)
    ]
    if spoken and spoken[-1].role == "assistant" and spoken[-1].tool_calls:
        raise field_problem("messages", "the last message's tool_use blocks have no tool_result")
    return (*opening, *spoken)


@dataclass(slots=True)
class _Reader:
    """Remembers the calls that it has read, because results refer to them."""

    names: dict[str, str] = field(default_factory=dict)

    def read(self, place: int, message: AnthropicMessage) -> Iterator[ChatMessage]:
        where = f"messages.{place}.content"
        if isinstance(message.content, str):
            yield ChatMessage(role=message.role, content=message.content)
        elif message.role == "assistant":
            yield self._reply(where, message.content)
        else:
            yield from self._input(message.role, where, message.content)

    def _reply(self, where: str, blocks: Iterable[Block]) -> ChatMessage:
        text, thoughts, calls = "", "", list[ToolCall]()
        for place, block in enumerate(blocks):
            match block:
                case TextBlock():
                    text += block.text
                case ThinkingBlock():
                    thoughts += block.thinking
                case ToolUseBlock():
                    self.names[block.id] = block.name
                    arguments = orjson.dumps(block.input).decode()
                    calls.append(ToolCall(id=block.id, name=block.name, arguments=arguments))
                case ToolResultBlock():
                    raise field_problem(f"{where}.{place}", "a tool_result is the user's to send")
        return ChatMessage(
            role="assistant", content=text, reasoning=thoughts, tool_calls=tuple(calls)
        )

    def _input(self, role: Role, where: str, blocks: Iterable[Block]) -> Iterator[ChatMessage]:
        texts: list[str] = []
        is_empty = True
        for place, block in enumerate(blocks):
            match block:
                case TextBlock():
                    texts.append(block.text)
                case ToolResultBlock():
                    if texts:
                        yield ChatMessage(role=role, content="".join(texts))
                    texts, is_empty = [], False
                    yield self._result(f"{where}.{place}", block)
                case _:
                    raise field_problem(
                        f"{where}.{place}", f"a {block.type} block is the assistant's to send"
                    )
        if texts or is_empty:
            yield ChatMessage(role=role, content="".join(texts))

    def _result(self, where: str, block: ToolResultBlock) -> ChatMessage:
        if block.tool_use_id not in self.names:
            raise field_problem(f"{where}.tool_use_id", "no tool_use block before it has this id")
        content = text_of(block.content)
        return ChatMessage(
            role="tool",
            content=_FAILED + content if block.is_error else content,
            call_id=block.tool_use_id,
            name=self.names[block.tool_use_id],
        )
