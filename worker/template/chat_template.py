"""A model's chat template: from messages to the text of a prompt, cut by who wrote what.

The template is rendered with placeholders instead of what others wrote, so that it can be told
from the template's own text afterwards: only that may hold control tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from shared.wire.messages import ChatMessage, Role
from worker.template.environment import TemplateError, TextTemplate
from worker.template.options import NO_OPTIONS, TemplateOptions
from worker.template.placed_text import Origin, PlacedText, RenderedPrompt

_PLACEHOLDER = re.compile("\ue000(\\d+)\ue001")
_PROBES: Final[tuple[tuple[Role, ...], ...]] = (
    ("user",),
    ("system", "user"),
    ("system", "user", "assistant", "user"),
)
_LATER_SYSTEM: Final[tuple[Role, ...]] = ("system", "user", "assistant", "system", "user")


class ChatTemplate:
    """A compiled template.

    Args:
        source: Jinja text.
        bos, eos: texts of these tokens ("" if the model has none).

    Raises:
        TemplateError: the template is invalid, or drops or reorders messages.
    """

    def __init__(self, source: str, *, bos: str = "", eos: str = "") -> None:
        self._template = TextTemplate(source)
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._folds_first = not all(map(self._takes, _PROBES))
        self._folds_later = self._folds_first or not self._takes(_LATER_SYSTEM)
        self._scaffold = lru_cache(maxsize=512)(self._make_scaffold)
        for roles in _PROBES:
            self._scaffold(self._folded_roles(roles))

    def render(
        self, messages: Sequence[ChatMessage], options: TemplateOptions = NO_OPTIONS
    ) -> RenderedPrompt:
        """The prompt up to where the assistant's reply begins.

        Neighbours of one role are joined, as many templates refuse them. If the template has no
        place for a system message, it goes in front of the next prompt.

        Raises:
            TemplateError: the template refuses the messages.
        """
        del options
        messages = self._folded(messages)
        roles = tuple(message.role for message in messages)
        scaffold = self._scaffold(roles)
        texts = [PlacedText(text=scaffold[0])]
        for number, (message, after) in enumerate(zip(messages, scaffold[1:], strict=True)):
            texts.append(PlacedText(text=message.content, origin=Origin(message=number)))
            texts.append(PlacedText(text=after))
        return RenderedPrompt(texts=tuple(text for text in texts if text.text))

    def _folded(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        folded: list[ChatMessage] = []
        instructions = ""
        for message in messages:
            if message.role == "system" and (self._folds_later if folded else self._folds_first):
                instructions = _joined(instructions, message.content)
                continue
            if instructions and message.role == "user":
                message = replace(message, content=_joined(instructions, message.content))
            elif instructions:
                _add(folded, ChatMessage(role="user", content=instructions))
            _add(folded, message)
            instructions = ""
        if instructions:
            _add(folded, ChatMessage(role="user", content=instructions))
        return folded

    def _folded_roles(self, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        return roles[1:] if self._folds_first and roles[0] == "system" else roles

    def _takes(self, roles: tuple[Role, ...]) -> bool:
        try:
            self._make_scaffold(roles)
        except TemplateError:
            return False
        return True

    def _make_scaffold(self, roles: tuple[Role, ...]) -> tuple[str, ...]:
        """Text before the first content, between contents, and after the last."""
        messages = [
            {"role": role, "content": f"\ue000{index}\ue001"} for index, role in enumerate(roles)
        ]
        variables = {"messages": messages, "add_generation_prompt": True, **self._tokens}
        try:
            text = self._template.render(variables, now=datetime.now())
        except TemplateError as error:
            raise TemplateError(f"it fails for {', '.join(roles)}: {error}") from None
        parts = _PLACEHOLDER.split(text)
        if [int(index) for index in parts[1::2]] != list(range(len(roles))):
            raise TemplateError("the template does not keep every message, once and in order")
        return tuple(parts[::2])


def _add(folded: list[ChatMessage], message: ChatMessage) -> None:
    """Append a message; neighbours of one role are joined."""
    if folded and folded[-1].role == message.role:
        message = replace(message, content=_joined(folded.pop().content, message.content))
    folded.append(message)


def _joined(first: str, second: str) -> str:
    return f"{first}\n\n{second}" if first else second
