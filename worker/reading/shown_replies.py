"""What a chat template makes of replies whose parts are known words."""

import json
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from worker.engine.prefixes import common_prefix
from worker.reading.tags import common_end, element_end, last_element, outside_tags
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.options import TemplateOptions

_PROPERTIES: Final = {name: {"type": "string"} for name in ("qkeyq", "qsecondq")}
TOOLS: Final = tuple(
    Tool(
        name=name,
        description="qdescriptionq",
        parameters=json.dumps({"type": "object", "properties": _PROPERTIES}),
    )
    for name in ("qfirstq", "qotherq")
)
_OPTIONS: Final = TemplateOptions(tools=TOOLS)
FIRST: Final = ToolCall(id="functions.qfirstq:0", name="qfirstq", arguments='{"qkeyq": "qvalueq"}')
OTHER: Final = ToolCall(id="functions.qotherq:1", name="qotherq", arguments='{"qkeyq": "qwordq"}')
LONGER: Final = replace(FIRST, arguments='{"qkeyq": "qvalueq", "qsecondq": "qlastq"}')
SHOWN: Final = replace(OTHER, arguments='{"qkeyq": "qwordq", "qsecondq": "qlastq"}')
"""A call to try what was derived with."""
_USER: Final = ChatMessage(role="user", content="qquestionq")
_NEXT: Final = ChatMessage(role="user", content="qnextq")
_KNOWN_TAGS: Final = ("<think>", "<seed:think>", "<|START_THINKING|>", "[THINK]")
"""Tags in which prompts open thoughts, for templates that show none in replies."""


class Rendered:
    """What a template makes of replies.

    Args:
        template: whose replies.
    """

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self.has_tools = template.traits.has_tools
        self._options = _OPTIONS if self.has_tools else TemplateOptions()

    def reply(self, **parts: Any) -> str | None:
        """A reply as its model would write it; None if the template has no place for it."""
        try:
            text = self._behind_question(**parts)
            end = self.end
        except TemplateError:
            return None
        if not text.endswith(end):
            end = text[element_end(text, len(text) - len(common_end(text, end))) :]
        opening = self.opening
        at = text.find(opening) if opening else -1
        begin = at + len(opening) if at >= 0 else self._end_of_prompt(text)
        return text[begin : len(text) - len(end)]

    @property
    def end(self) -> str:
        """What stands behind an answer.

        Raises:
            TemplateError: the template shows none.
        """
        _, found, end = self._answer.rpartition("qanswerq")
        if not found:
            raise TemplateError("the template shows no answer")
        return end

    @cached_property
    def opening(self) -> str:
        """What stands in front of any reply, without a thought that is opened there."""
        opening = self.whole_opening
        for tag in (*_KNOWN_TAGS, self._thought_tag):
            opening = opening.split(tag)[0] if tag else opening
        return opening

    @cached_property
    def whole_opening(self) -> str:
        """What stands in front of any reply; empty if there is nothing of the kind."""
        try:
            return self._template.opening_of(self._options)
        except TemplateError:
            return ""

    @property
    def opened_thought(self) -> str:
        """What a prompt says at its end, though no reply that the template shows begins so."""
        try:
            shown = self._behind_question(content="qanswerq", reasoning="qthoughtq")
        except TemplateError:
            return ""
        opening = self.whole_opening
        return opening[common_prefix(opening, shown) :]

    @cached_property
    def _thought_tag(self) -> str:
        """The tag in front of a thought, if answers do not stand behind the same."""
        try:
            shown = self._last(content="qanswerq", reasoning="qthoughtq")
            answer = self._last(content="qanswerq").partition("qanswerq")[0]
        except TemplateError:
            return ""
        before, found, _ = shown.partition("qthoughtq")
        return last_element(before).rstrip() if found and before != answer else ""

    @cached_property
    def _answer(self) -> str:
        return self._behind_question(content="qanswerq")

    def _behind_question(self, **parts: Any) -> str:
        if not self._last_is_begun:
            return self._last(**parts)
        messages = [_USER, ChatMessage(role="assistant", **{"content": "", **parts}), _NEXT]
        return _behind(self._template.render_text(messages, self._options))

    def _last(self, **parts: Any) -> str:
        messages = [_USER, ChatMessage(role="assistant", **{"content": "", **parts})]
        text = self._template.render_text(messages, self._options, add_generation_prompt=False)
        return _behind(text)

    @cached_property
    def _last_is_begun(self) -> bool:
        """Whether the last reply is shown as the beginning of one, behind an open thought."""
        before = self._last(content="qanswerq").partition("qanswerq")[0]
        opened = self.whole_opening[len(self.opening) :]
        is_a_tag = bool(opened.strip()) and last_element(opened) == opened
        return is_a_tag and before.endswith(self.whole_opening)

    def _end_of_prompt(self, text: str) -> int:
        """Where nothing opens a reply: the end of the prompt in front of it."""
        before = self._answer.partition("qanswerq")[0]
        length = common_prefix(text, before)
        return min(outside_tags(text, length), outside_tags(before, length))


def _behind(text: str) -> str:
    return text[text.rfind("qquestionq") + len("qquestionq") :]
