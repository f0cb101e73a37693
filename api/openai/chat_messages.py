"""Messages of a conversation that the client keeps, as chat completions bring them."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, StrictStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from api.http.validation import MISSING_FIELD
from api.openai.requests import Content, Nothing, RequestModel, bounded_schema, text_of
from api.openai.tools import FunctionType
from shared.wire.messages import ChatMessage, Role
from shared.wire.parts import ToolCall

_ROLES: Final[dict[str, Role]] = {"developer": "system", "function": "tool"}
"""Roles under other names."""


def _json_text(value: object) -> object:
    """Arguments as JSON text; some clients send the object itself, or nothing for none."""
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        return value
    return orjson.dumps(bounded_schema(value)).decode()


class CalledFunction(RequestModel):
    """The function that a model called."""

    model_config = ConfigDict(extra="ignore")

    name: StrictStr
    arguments: Annotated[StrictStr, BeforeValidator(_json_text)]


class MessageCall(RequestModel):
    """A call in an assistant's message."""

    model_config = ConfigDict(extra="ignore")

    id: StrictStr
    type: FunctionType = "function"
    function: CalledFunction

    def to_call(self) -> ToolCall:
        """As a turn knows it."""
        return ToolCall(id=self.id, name=self.function.name, arguments=self.function.arguments)


class Message(RequestModel):
    """One message of a conversation that the client keeps.

    A reply's message comes back with everything it had besides its text. What means nothing to the
    model is ignored, unless something would be lost.
    """

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    name: StrictStr | None = None
    tool_calls: tuple[MessageCall, ...] = ()
    function_call: CalledFunction | None = None
    tool_call_id: StrictStr | None = Field(default=None, validate_default=True)
    reasoning_content: StrictStr | None = None
    reasoning: StrictStr | None = None
    audio: Nothing = ()
    refusal: Nothing = ()
    content: Content | None = Field(default=None, validate_default=True)

    @field_validator("tool_calls", "function_call")
    @classmethod
    def _only_of_assistants(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("role", "assistant") != "assistant":
            raise PydanticCustomError("calls", "is only for messages of the assistant")
        return value

    @field_validator("tool_call_id")
    @classmethod
    def _names_its_call(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("role") == "tool":
            raise PydanticCustomError("missing", MISSING_FIELD)
        return value

    @field_validator("content")
    @classmethod
    def _has_content(cls, value: Any, info: ValidationInfo) -> Any:
        """Only a message with calls or thoughts can be without a text, and a function's result."""
        others = ("tool_calls", "function_call", "reasoning_content", "reasoning")
        is_needed = info.data.get("role", "function") != "function"
        if value is None and is_needed and not any(map(info.data.get, others)):
            raise PydanticCustomError("missing", MISSING_FIELD)
        return value


def chat_messages(messages: Iterable[Message]) -> tuple[ChatMessage, ...]:
    """The messages as a turn holds them.

    A developer's is a system message. Calls of the older `functions` have no ids and get one each;
    their results belong to the newest call of the function. Other results get the name of the
    function from their call.
    """
    chat: list[ChatMessage] = []
    calls = _Calls()
    for number, message in enumerate(messages):
        own = _calls_of(message, number)
        calls.add(own)
        is_result = message.role in ("tool", "function")
        call_id, name = calls.answered_by(message) if is_result else ("", "")
        chat.append(
            ChatMessage(
                role=_ROLES.get(message.role, message.role),  # type: ignore[arg-type]
                content=text_of(message.content or ""),
                reasoning=_reasoning_of(message),
                tool_calls=own,
                call_id=call_id,
                name=name,
            )
        )
    return tuple(chat)


class _Calls:
    """The calls so far, by their ids and by the names of their functions."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._newest: dict[str, str] = {}

    def add(self, calls: Iterable[ToolCall]) -> None:
        for call in calls:
            self._names[call.id] = call.name
            self._newest[call.name] = call.id

    def answered_by(self, message: Message) -> tuple[str, str]:
        """The id and the function's name of the call that a result belongs to."""
        name = message.name or ""
        if message.role == "function":
            return self._newest.get(name, ""), name
        call_id = message.tool_call_id or ""
        return call_id, self._names.get(call_id, name)


def _reasoning_of(message: Message) -> str:
    is_reply = message.role == "assistant"
    return (message.reasoning_content or message.reasoning or "") if is_reply else ""


def _calls_of(message: Message, number: int) -> tuple[ToolCall, ...]:
    called = message.function_call
    calls = [call.to_call() for call in message.tool_calls]
    if called is not None and not calls:
        calls = [ToolCall(id=f"call_{number}", name=called.name, arguments=called.arguments)]
    return tuple(calls)
