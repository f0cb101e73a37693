"""A request as its job stores it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from shared.wire.sampling import Sampling
from tests.faults.old_wire.messages import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """A message that a request brings along."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """An accepted prompt, and what its reply is to be like.

    Args:
        context: new instructions of the conversation; None leaves them as they are.
        replace_from: number of the first message to replace.
        messages: the whole conversation of a stateless turn, whose `prompt` is empty.
        earlier: messages that enter the conversation before the prompt.
        json_schema: what the reply must follow, as JSON text.
        logit_bias: pairs of a token and what is added to its logit.
        instructions: for this turn alone, before the conversation's.
        truncate: whether a conversation that does not fit is cut; otherwise it is an error.
        echo: parts of the request that its API repeats in its answers; nobody else reads them.
    """

    prompt: str
    context: str | None
    replace_from: int | None
    sampling: Sampling
    messages: tuple[ChatMessage, ...] = ()
    earlier: tuple[ChatMessage, ...] = ()
    json_schema: str | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    instructions: str | None = None
    truncate: bool = True
    echo: str = ""

    def encode(self) -> bytes:
        """Compact JSON, without defaults."""
        fields: dict[str, Any] = {"prompt": self.prompt}
        if self.context is not None:
            fields["context"] = self.context
        if self.replace_from is not None:
            fields["replace_from"] = self.replace_from
        if self.messages:
            fields["messages"] = [(message.role, message.content) for message in self.messages]
        if self.earlier:
            fields["earlier"] = [(message.role, message.content) for message in self.earlier]
        if self.json_schema is not None:
            fields["json_schema"] = self.json_schema
        if self.logit_bias:
            fields["logit_bias"] = self.logit_bias
        if self.instructions is not None:
            fields["instructions"] = self.instructions
        if not self.truncate:
            fields["truncate"] = False
        if self.echo:
            fields["echo"] = self.echo
        return orjson.dumps(fields | self.sampling.stored())

    @classmethod
    def decode(cls, text: str | bytes) -> "TurnRequest":
        """Read a stored request; fields of newer versions are ignored.

        Raises:
            ValueError, TypeError, KeyError: it cannot be read.
        """
        fields = orjson.loads(text)
        return cls(
            prompt=fields.pop("prompt"),
            context=fields.pop("context", None),
            replace_from=fields.pop("replace_from", None),
            messages=_chat_messages(fields.pop("messages", ())),
            earlier=_chat_messages(fields.pop("earlier", ())),
            json_schema=fields.pop("json_schema", None),
            logit_bias=tuple((token, bias) for token, bias in fields.pop("logit_bias", ())),
            instructions=fields.pop("instructions", None),
            truncate=fields.pop("truncate", True),
            echo=fields.pop("echo", ""),
            sampling=Sampling.model_validate(
                {name: value for name, value in fields.items() if name in Sampling.model_fields}
            ),
        )


def _chat_messages(pairs: Iterable[tuple[Role, str]]) -> tuple[ChatMessage, ...]:
    return tuple(ChatMessage(role=role, content=content) for role, content in pairs)
