"""Items of an input: messages, thoughts, calls and their results."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, StrictStr, Tag
from pydantic_core import PydanticCustomError

from api.openai.chat_messages import CalledFunction
from api.openai.requests import Content, RequestModel, shortened, text_of
from shared.wire.messages import ChatMessage, Role
from shared.wire.parts import ToolCall

_TYPES: Final = ("reasoning", "function_call", "function_call_output")
_SEAL: Final = "palaver:"


def _message_type(value: object) -> object:
    if value not in (None, "message"):
        raise PydanticCustomError(
            "item",
            "items of type {kind} are not supported, only message, reasoning, function_call and "
            "function_call_output",
            {"kind": shortened(value)},
        )
    return "message"


class InputMessage(RequestModel):
    """One message of an input: the client's own, or an output item that it sends back.

    An output item's id, status and annotations mean nothing to the model and are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    type: Annotated[Literal["message"], BeforeValidator(_message_type)] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    phase: Literal["commentary", "final_answer"] | None = None


class ReasoningText(RequestModel):
    """A stretch of a thought, or of its summary."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["reasoning_text", "summary_text"]
    text: StrictStr


class InputReasoning(RequestModel):
    """What a model thought.

    What another server has encrypted cannot be read here; such a thought is left out, as most
    models' templates leave out all earlier ones.
    """

    model_config = ConfigDict(extra="ignore")

    type: Literal["reasoning"]
    content: tuple[ReasoningText, ...] = ()
    summary: tuple[ReasoningText, ...] = ()
    encrypted_content: StrictStr | None = None

    @property
    def text(self) -> str:
        """The thought itself, else its summary."""
        own = "".join(part.text for part in self.content)
        return (
            own
            or unsealed(self.encrypted_content or "")
            or "".join(part.text for part in self.summary)
        )


class InputCall(CalledFunction):
    """A call that a model wrote."""

    type: Literal["function_call"]
    call_id: StrictStr

    def to_call(self) -> ToolCall:
        """As a turn knows it."""
        return ToolCall(id=self.call_id, name=self.name, arguments=self.arguments)


class InputCallOutput(RequestModel):
    """The result of a call."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["function_call_output"]
    call_id: StrictStr
    output: Content


def _tag(value: object) -> str:
    """The union's member for an item, named as no field can be."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if kind in _TYPES else "<message>"


InputItem = Annotated[
    Annotated[InputMessage, Tag("<message>")]
    | Annotated[InputReasoning, Tag("<reasoning>")]
    | Annotated[InputCall, Tag("<function_call>")]
    | Annotated[InputCallOutput, Tag("<function_call_output>")],
    Discriminator(_tag),
]
AnyItem = InputMessage | InputReasoning | InputCall | InputCallOutput
ItemList = Annotated[tuple[InputItem, ...], Field(min_length=1)]


def messages_of(items: Iterable[AnyItem]) -> tuple[ChatMessage, ...]:
    """Items as messages: a thought, a text and the calls that follow it are one of the assistant's.

    A developer's message becomes a system message.
    """
    messages = _Messages()
    for item in items:
        messages.add(item)
    return tuple(messages.done)


class _Messages:
    """Messages as they come together from items."""

    def __init__(self) -> None:
        self.done: list[ChatMessage] = []
        self._names: dict[str, str] = {}
        self._next_place = 0
        """What an assistant's message can still take: 0 a thought, 1 a text, 2 calls."""

    def add(self, item: AnyItem) -> None:
        """Add an item to the last message, or as a message of its own."""
        if isinstance(item, InputReasoning):
            self._add_part(0, reasoning=item.text)
        elif isinstance(item, InputCall):
            self._names[item.call_id] = item.name
            self._add_part(2, tool_calls=(item.to_call(),))
        elif isinstance(item, InputMessage) and item.role == "assistant":
            self._add_part(1, content=text_of(item.content))
        else:
            self._next_place = 3
            self.done.append(self._of_others(item))

    def _add_part(self, place: int, **part: Any) -> None:
        """A part that cannot stand behind what the last message has begins a new message."""
        last = self.done[-1] if self.done else None
        if last is None or last.role != "assistant" or place < self._next_place:
            last = ChatMessage(role="assistant", content="")
        else:
            self.done.pop()
        values = {"content": last.content, "reasoning": last.reasoning}
        calls = last.tool_calls + part.pop("tool_calls", ())
        self.done.append(ChatMessage(role="assistant", tool_calls=calls, **values | part))
        self._next_place = min(place + 1, 2)

    def _of_others(self, item: InputMessage | InputCallOutput) -> ChatMessage:
        if isinstance(item, InputCallOutput):
            name = self._names.get(item.call_id, "")
            output = text_of(item.output)
            return ChatMessage(role="tool", content=output, call_id=item.call_id, name=name)
        role: Role = "system" if item.role == "developer" else item.role
        return ChatMessage(role=role, content=text_of(item.content))


def sealed(thought: str) -> str:
    """A thought for clients that keep it as `encrypted_content`.

    It is not encrypted: the same client gets the thought in plain text.
    """
    return _SEAL + b64encode(thought.encode()).decode()


def unsealed(text: str) -> str:
    """The thought in what `sealed` returned; empty if another server wrote it."""
    if not text.startswith(_SEAL):
        return ""
    try:
        return b64decode(text.removeprefix(_SEAL), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
