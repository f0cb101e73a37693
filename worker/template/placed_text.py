"""A rendered prompt, cut into what the template wrote and what others wrote."""

from dataclasses import dataclass
from typing import Literal

MessagePart = Literal["content", "reasoning", "call", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a text comes from.

    Args:
        message: index among the rendered messages; -1 for the definition of a tool, or for what a
            client sets of the template's variables.
        part: of the message.
    """

    message: int
    part: MessagePart = "content"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedText:
    """A stretch of a rendered prompt; without an origin the template wrote it."""

    text: str
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPrompt:
    r"""A whole prompt.

    Args:
        texts: in order; joined they are the prompt's text.
        opening: the end of it that only stands where a reply is to begin, such as
            `<|im_start|>assistant\n`. What the model writes follows.
    """

    texts: tuple[PlacedText, ...]
    opening: str = ""
