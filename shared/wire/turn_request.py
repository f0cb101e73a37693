"""A request as its job stores it."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from shared.wire.memory import MemoryMode, RecallScope
from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool
from shared.wire.sampling import Sampling

Thinking = Literal["auto", "off", "low", "medium", "high"]
"""How much a reasoning model is to think; `auto` leaves it to the server's setting."""
THINKING: Final[tuple[Thinking, ...]] = ("auto", "off", "low", "medium", "high")

ANY_TOOL: Final = "required"
"""A `tool_choice`: at least one call, whichever."""
_TOOL_PREFIX: Final = "="


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """The tools of a turn.

    Args:
        choice: `auto`, `none`, `required`, or `=` and the name of the one to be called.
        parallel: whether several calls may be made at once.
    """

    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    parallel: bool = True

    @property
    def forced_name(self) -> str | None:
        """The tool that must be called, if it is a certain one."""
        is_name = self.choice.startswith(_TOOL_PREFIX)
        return self.choice.removeprefix(_TOOL_PREFIX) if is_name else None

    @classmethod
    def choice_of(cls, name: str) -> str:
        """The `choice` that demands a certain tool."""
        return _TOOL_PREFIX + name


NO_TOOLS: Final = ToolUse()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """An accepted prompt, and what its reply is to be like.

    Args:
        prompt: the last message of the turn's input: what the user says, or a tool's result.
        continues: the last reply of the conversation, which was cut, is to be continued. Such a
            request has no prompt until it is claimed (`continuing.py`).
        call_id: of the call that `prompt` answers; empty if a user speaks.
        context: new instructions of the conversation; None leaves them as they are.
        replace_from: number of the first message to replace.
        messages: the whole conversation of a stateless turn, whose `prompt` is empty. If an
            assistant's comes last, the reply continues it.
        earlier: messages that enter the conversation before the prompt.
        is_plain: the prompt is the text to be continued, without a chat template.
        counts_only: the reply is empty; only the prompt's tokens are wanted.
        to_embed: texts whose embeddings are wanted instead of a reply, or the model's token ids
            of them.
        texts_before: how many texts of the same client's request other turns embed, for errors.
        json_schema: what the reply must follow, as JSON text.
        logit_bias: pairs of a token and what is added to its logit.
        instructions: for this turn alone, before the conversation's.
        truncate: whether a conversation that does not fit is cut; otherwise it is an error.
        memory: of the conversation from now on; None leaves it as it is.
        recall: where the prompt is looked for.
        tool_use: the client's tools.
        thinking: how much the model is to think.
        longest_thought: in tokens; None leaves it to the server's setting.
        template_options: further variables of the chat template, as the JSON text of an object.
        top_logprobs: alternatives reported for each token; None reports no probabilities.
        echo: parts of the request that its API repeats in its answers; nobody else reads them.
    """

    prompt: str
    context: str | None
    replace_from: int | None
    sampling: Sampling
    continues: bool = False
    call_id: str = ""
    messages: tuple[ChatMessage, ...] = ()
    earlier: tuple[ChatMessage, ...] = ()
    is_plain: bool = False
    counts_only: bool = False
    to_embed: tuple[str | tuple[int, ...], ...] = ()
    texts_before: int = 0
    json_schema: str | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    instructions: str | None = None
    truncate: bool = True
    memory: MemoryMode | None = None
    recall: RecallScope = "own"
    tool_use: ToolUse = NO_TOOLS
    thinking: Thinking = "auto"
    longest_thought: int | None = None
    template_options: str = ""
    top_logprobs: int | None = None
    echo: str = ""

    @property
    def needs_parts(self) -> bool:
        """Whether versions before data format 2 would answer it wrongly, so must not read it."""
        return bool(
            self.call_id
            or self.is_plain
            or self.counts_only
            or self.to_embed
            or self.tool_use.tools
            or self.thinking != "auto"
            or self.longest_thought is not None
            or self.template_options
            or self.top_logprobs is not None
            or (self.messages and self.messages[-1].role == "assistant")
        )

    def encode(self) -> bytes:
        """Compact JSON, without defaults.

        A request that needs parts names its prompt differently: a version that does not know them
        then fails the turn instead of answering something else. One that continues a reply names
        none, which no version that does not know of it can read.
        """
        fields: dict[str, Any] = {"input" if self.needs_parts else "prompt": self.prompt}
        if self.continues:
            fields = {"continue": True}
        if self.context is not None:
            fields["context"] = self.context
        if self.replace_from is not None:
            fields["replace_from"] = self.replace_from
        if self.messages:
            fields["messages"] = [message.encode() for message in self.messages]
        if self.earlier:
            fields["earlier"] = [message.encode() for message in self.earlier]
        if self.json_schema is not None:
            fields["json_schema"] = self.json_schema
        if self.logit_bias:
            fields["logit_bias"] = self.logit_bias
        if self.instructions is not None:
            fields["instructions"] = self.instructions
        if not self.truncate:
            fields["truncate"] = False
        if self.memory is not None:
            fields["memory"] = self.memory
        return orjson.dumps(fields | self._parts() | self.sampling.stored())

    def _parts(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "call_id": self.call_id,
            "is_plain": self.is_plain,
            "counts_only": self.counts_only,
            "to_embed": self.to_embed,
            "texts_before": self.texts_before,
            "recall": self.recall if self.recall != "own" else "",
            "thinking": self.thinking if self.thinking != "auto" else "",
            "template_options": self.template_options,
            "tools": [tool.to_json() for tool in self.tool_use.tools],
            "tool_choice": self.tool_use.choice if self.tool_use.choice != "auto" else "",
            "echo": self.echo,
        }
        fields = {name: value for name, value in fields.items() if value}
        if not self.tool_use.parallel:
            fields["parallel_tools"] = False
        if self.longest_thought is not None:
            fields["longest_thought"] = self.longest_thought
        if self.top_logprobs is not None:
            fields["top_logprobs"] = self.top_logprobs
        return fields

    @classmethod
    def decode(cls, text: str | bytes) -> "TurnRequest":
        """Read a stored request; fields of newer versions are ignored.

        Raises:
            ValueError, TypeError, KeyError: it cannot be read.
        """
        fields = orjson.loads(text)
        sampling = {name: value for name, value in fields.items() if name in Sampling.model_fields}
        return cls(
            prompt=_prompt_in(fields),
            continues=fields.get("continue", False),
            call_id=fields.get("call_id", ""),
            context=fields.get("context"),
            replace_from=fields.get("replace_from"),
            messages=tuple(map(ChatMessage.decode, fields.get("messages", ()))),
            earlier=tuple(map(ChatMessage.decode, fields.get("earlier", ()))),
            is_plain=fields.get("is_plain", False),
            counts_only=fields.get("counts_only", False),
            to_embed=tuple(
                text if isinstance(text, str) else tuple(map(int, text))
                for text in fields.get("to_embed", ())
            ),
            texts_before=fields.get("texts_before", 0),
            json_schema=fields.get("json_schema"),
            logit_bias=tuple((token, bias) for token, bias in fields.get("logit_bias", ())),
            instructions=fields.get("instructions"),
            truncate=fields.get("truncate", True),
            memory=fields.get("memory"),
            recall=fields.get("recall", "own"),
            tool_use=ToolUse(
                tools=tuple(map(Tool.from_json, fields.get("tools", ()))),
                choice=fields.get("tool_choice", "auto"),
                parallel=fields.get("parallel_tools", True),
            ),
            thinking=fields.get("thinking", "auto"),
            longest_thought=fields.get("longest_thought"),
            template_options=fields.get("template_options", ""),
            top_logprobs=fields.get("top_logprobs"),
            echo=fields.get("echo", ""),
            sampling=Sampling.model_validate(sampling),
        )


def _prompt_in(fields: dict[str, Any]) -> str:
    if fields.get("continue", False):
        return ""
    prompt: str = fields["input"] if "input" in fields else fields["prompt"]
    return prompt
