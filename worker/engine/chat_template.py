"""A model's chat template as scaffold: the control tokens between the messages' contents.

The template is rendered with placeholders instead of contents. What it puts around them is
tokenized with special tokens enabled. Contents are tokenized separately with special tokens
disabled, so a user's `<|im_end|>` stays text.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from worker.engine.interface import PromptMessage, Role

CHATML: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For models without a template."""
CHATML_TOKENS: Final = ("<|im_start|>", "<|im_end|>")


class _Generation(Extension):
    """`{% generation %}` marks what training uses; here it renders its body."""

    tags = {"generation"}  # noqa: RUF012 - so jinja2 has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


_PLACEHOLDER = re.compile("\ue000(\\d+)\ue001")
_PROBES: Final[tuple[tuple[Role, ...], ...]] = (
    ("user",),
    ("system", "user"),
    ("system", "user", "assistant", "user"),
)
_LATER_SYSTEM: Final[tuple[Role, ...]] = ("system", "user", "assistant", "system", "user")

Scaffold = tuple[tuple[int, ...], ...]
"""Token ids before the first content, between contents, and after the last."""


class TemplateError(Exception):
    """A chat template cannot be used."""


class ChatTemplate:
    """A compiled template.

    Args:
        source: Jinja text.
        tokenize: text to ids with control tokens recognised.
        bos, eos: texts of these tokens ("" if the model has none).
        leading: ids that the model wants in front of every prompt, such as its BOS.

    Raises:
        TemplateError: the template is invalid, or drops or reorders messages.
    """

    def __init__(
        self,
        source: str,
        tokenize: Callable[[str], list[int]],
        *,
        bos: str = "",
        eos: str = "",
        leading: Sequence[int] = (),
    ) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise TemplateError(f"not a Jinja template: {error}") from None
        self._tokenize = tokenize
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._leading = tuple(leading)
        self._newlines = tuple(tokenize("\n\n"))
        self._folds_first = not all(map(self._takes, _PROBES))
        self._folds_later = self._folds_first or not self._takes(_LATER_SYSTEM)
        self._scaffold = lru_cache(maxsize=512)(self._make_scaffold)
        for roles in _PROBES:
            self._scaffold(self._folded_roles(roles))

    def render(self, messages: Sequence[PromptMessage]) -> list[int]:
        """Token ids of the whole prompt, up to where the assistant's reply begins.

        If the template has no place for a system message, it goes in front of the next prompt.
        """
        messages = self._folded(messages)
        scaffold = self._scaffold(tuple(message.role for message in messages))
        prompt = list(scaffold[0])
        for message, after in zip(messages, scaffold[1:], strict=True):
            prompt += message.token_ids
            prompt += after
        return prompt

    def _folded(self, messages: Sequence[PromptMessage]) -> list[PromptMessage]:
        folded: list[PromptMessage] = []
        instructions: tuple[int, ...] = ()
        for message in messages:
            if message.role == "system" and (self._folds_later if folded else self._folds_first):
                instructions = self._joined(instructions, message.token_ids)
                continue
            if instructions and message.role == "user":
                message = PromptMessage("user", self._joined(instructions, message.token_ids))
            elif instructions:
                self._add(folded, PromptMessage("user", instructions))
            self._add(folded, message)
            instructions = ()
        if instructions:
            self._add(folded, PromptMessage("user", instructions))
        return folded

    def _add(self, folded: list[PromptMessage], message: PromptMessage) -> None:
        """Append a message; neighbours of one role, which folding can create, are joined."""
        if folded and folded[-1].role == message.role:
            message = PromptMessage(
                message.role, self._joined(folded.pop().token_ids, message.token_ids)
            )
        folded.append(message)

    def _joined(self, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
        return (*first, *self._newlines, *second) if first else second

    def _folded_roles(self, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        return roles[1:] if self._folds_first and roles[0] == "system" else roles

    def _takes(self, roles: tuple[Role, ...]) -> bool:
        try:
            self._make_scaffold(roles)
        except TemplateError:
            return False
        return True

    def _make_scaffold(self, roles: tuple[Role, ...]) -> Scaffold:
        messages = [
            {"role": role, "content": f"\ue000{index}\ue001"} for index, role in enumerate(roles)
        ]
        try:
            text: Any = self._template.render(
                messages=messages, add_generation_prompt=True, **self._tokens
            )
        except Exception as error:  # templates are foreign programs: they may raise anything
            raise TemplateError(f"it fails for {', '.join(roles)}: {error}") from None
        parts = _PLACEHOLDER.split(text)
        if [int(index) for index in parts[1::2]] != list(range(len(roles))):
            raise TemplateError("the template does not keep every message, once and in order")
        first, *others = (tuple(self._tokenize(part)) if part else () for part in parts[::2])
        if self._leading and first[: len(self._leading)] != self._leading:
            first = self._leading + first
        return (first, *others)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
