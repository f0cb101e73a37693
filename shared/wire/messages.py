"""Messages as requests bring them and as conversations store them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from shared.wire.parts import ToolCall

Role = Literal["system", "user", "assistant", "tool"]

_ROLES: Final[dict[str, Role]] = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
_CONTENT_WITH_CALLS: Final = "x"
"""Instead of `c`, where versions before data format 2 must not read a content alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """A message without its place in a conversation.

    Args:
        content: text; of a tool's message the tool's result.
        reasoning: what an assistant thought before it wrote.
        tool_calls: tools that an assistant called, after `content`.
        call_id: of the call that a tool's message answers.
        name: of the tool that a tool's message comes from, where it is known.
    """

    role: Role
    content: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    name: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but text, as versions before data format 2 know it."""
        return self.role != "tool" and not (self.reasoning or self.tool_calls)

    def encode(self) -> Any:
        """As JSON; a plain message is a pair, and others are what old versions cannot read."""
        if self.is_plain:
            return self.role, self.content
        fields: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.reasoning:
            fields["reasoning"] = self.reasoning
        if self.tool_calls:
            fields["tool_calls"] = [call.to_json() for call in self.tool_calls]
        if self.call_id or self.role == "tool":
            # Versions before data format 2 would take an object of two members for a pair.
            fields["call_id"] = self.call_id
        if self.name:
            fields["name"] = self.name
        return fields

    @classmethod
    def decode(cls, stored: Any) -> "ChatMessage":
        """Read what `encode` returned; fields of newer versions are ignored."""
        if not isinstance(stored, dict):
            role, content = stored
            return cls(role=role, content=content)
        return cls(
            role=stored["role"],
            content=stored["content"],
            reasoning=stored.get("reasoning", ""),
            tool_calls=tuple(map(ToolCall.from_json, stored.get("tool_calls", ()))),
            call_id=stored.get("call_id", ""),
            name=stored.get("name", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """One message of a conversation.

    System messages are those that a client put between turns; the instructions before all messages
    are the conversation's context.

    Args:
        tokens: number of tokens of a prompt's content, or of all that the model wrote.
        job_id: empty for a reply that was read without the prompt before it.
        names_job: whether a reply belongs to another job than its prompt: one that continued it.
        token_ids: of `content`; set only if tokenizing it again would give other ids.
        written_ids: all that the model wrote, markup included; set only where a later prompt may
            show the message as it was written, or a later turn may continue it.
        fingerprint: of the model that `token_ids` and `written_ids` belong to.
        place: index among the messages that a client brought along.
        reasoning, tool_calls, call_id, name: as in `ChatMessage`.
        finish_reason: why a reply ended; empty if it is unknown.
        model_name: of the model that wrote a reply; empty if it is unknown.
        is_pinned: whether its turn is always in view.
    """

    number: int
    role: Role
    content: str
    timestamp_ms: int
    tokens: int
    job_id: str
    token_ids: tuple[int, ...] | None = None
    written_ids: tuple[int, ...] | None = None
    fingerprint: str = ""
    place: int | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    name: str = ""
    finish_reason: str = ""
    model_name: str = ""
    is_pinned: bool = False
    names_job: bool = field(default=False, compare=False)

    @property
    def needs_parts(self) -> bool:
        """Whether versions before data format 2 cannot read it.

        They would show and go on with a reply without its calls. A reply without its thoughts is
        what most templates make of it anyway.
        """
        return self.role == "tool" or bool(self.tool_calls)

    @property
    def can_continue(self) -> bool:
        """Whether it is a reply that was cut, or stopped; behind a call its result comes next.

        The scripts look for the same (lua/lib/history.lua, `is_cut`).
        """
        is_cut = self.finish_reason in ("length", "stopped")
        return self.role == "assistant" and is_cut and not self.tool_calls

    @property
    def message(self) -> ChatMessage:
        """The message without its place in the conversation."""
        return ChatMessage(
            role=self.role,
            content=self.content,
            reasoning=self.reasoning,
            tool_calls=self.tool_calls,
            call_id=self.call_id,
            name=self.name,
        )

    def encode(self) -> bytes:
        """Compact JSON with short names, as there are millions of these.

        Whatever follows from the place in the list is left out (`decode_messages`).
        """
        fields: dict[str, Any] = {
            "r": self.role[0],
            _CONTENT_WITH_CALLS if self.tool_calls else "c": self.content,
            "t": self.timestamp_ms,
            "k": self.tokens,
        }
        if self.role != "assistant" or self.place is not None or self.names_job:
            fields["j"] = self.job_id
        if self.place is not None:
            fields["b"] = self.place
        if self.token_ids is not None:
            fields["i"] = self.token_ids
        if self.written_ids is not None:
            fields["w"] = self.written_ids
        optional = {
            "f": self.fingerprint if fields.keys() & {"i", "w"} else "",
            "h": self.reasoning,
            "o": [(call.id, call.name, call.arguments) for call in self.tool_calls],
            "l": self.call_id,
            "q": self.name,
            "e": self.finish_reason,
            "m": self.model_name,
            "p": int(self.is_pinned),
        }
        fields |= {name: value for name, value in optional.items() if value}
        return orjson.dumps(fields)


def content_of(text: str) -> str:
    """The content alone of a message as `encode` wrote it."""
    fields = orjson.loads(text)
    return str(fields[_CONTENT_WITH_CALLS if "o" in fields else "c"])


def decode_messages(
    texts: Iterable[str | bytes], number: int, job_id: str = ""
) -> tuple[StoredMessage, ...]:
    """Consecutive messages of a conversation, the first of which has this number.

    A reply belongs to the job of the prompt before it, the first one to `job_id`, unless it names
    its job itself: one that was continued does, and older ones do.
    """
    messages: list[StoredMessage] = []
    for fields in map(orjson.loads, texts):
        before, job_id = job_id, fields.get("j", job_id)
        messages.append(
            StoredMessage(
                number=number + len(messages),
                role=_ROLES[fields["r"]],
                content=fields[_CONTENT_WITH_CALLS if "o" in fields else "c"],
                timestamp_ms=fields["t"],
                tokens=fields["k"],
                job_id=job_id,
                token_ids=tuple(fields["i"]) if "i" in fields else None,
                written_ids=tuple(fields["w"]) if "w" in fields else None,
                fingerprint=fields.get("f", ""),
                place=fields.get("b"),
                reasoning=fields.get("h", ""),
                tool_calls=tuple(
                    ToolCall(id=call_id, name=name, arguments=arguments)
                    for call_id, name, arguments in fields.get("o", ())
                ),
                call_id=fields.get("l", ""),
                name=fields.get("q", ""),
                finish_reason=fields.get("e", ""),
                model_name=fields.get("m", ""),
                is_pinned=bool(fields.get("p")),
                names_job=fields["r"] == "a" and "b" not in fields and job_id != before,
            )
        )
    return tuple(messages)
