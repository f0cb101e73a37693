"""Finds out what a chat template does, by rendering conversations that differ in one thing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.wire.messages import ChatMessage, Role
from shared.wire.parts import Tool, ToolCall
from worker.template.conversation import (
    functions_for,
    messages_for,
    switches_for,
    tools_for,
    verbatim,
)
from worker.template.environment import TemplateError, TemplateLimit
from worker.template.folding import folded
from worker.template.traits import Blanks, SystemMessages, TemplateTraits, Thoughts, Trim
from worker.template.written_calls import form_for

Render = Callable[[dict[str, Any], datetime], str]
"""From a template's variables to the prompt's text."""

_NOON: Final = datetime(2024, 5, 6, 12)
_ANOTHER_DAY: Final = datetime(2031, 10, 17, 12)
_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")
_SWITCHES: Final[dict[str, tuple[Any, ...]]] = {
    "enable_thinking": (True, False, None),
    "thinking": (True, False, None),
    "reasoning_effort": ("low", "high", None),
}
_TOOL: Final = Tool(
    name="qtoolq",
    description="qdescriptionq",
    parameters='{"type": "object", "properties": {"qnameq": {"type": "string"}}}',
)
_CALL: Final = ToolCall(id="call_0", name="qtoolq", arguments='{"qnameq": "qvalueq"}')
_PYTHON_CALL: Final = re.compile(r"""qtoolq\(qnameq=(["'])qvalueq\1\)""")
_BEGIN: Final = "\n\n\n\t"
_END: Final = "\t\n\n\n"
"""More newlines than a template puts there itself."""
_TALK: Final[tuple[Role, ...]] = ("user", "assistant", "user")
_WITH_SYSTEM: Final[tuple[Role, ...]] = ("system", "user", "assistant", "user")
_LATER_SYSTEM: Final[tuple[Role, ...]] = ("system", "user", "assistant", "system", "user")


@dataclass(frozen=True, slots=True)
class Probe:
    """Tries a template.

    Args:
        render: the template.
        source: its text.
    """

    render: Render
    source: str

    def traits(self) -> TemplateTraits:
        """All that can be found out.

        Raises:
            TemplateError: it drops or reorders messages, or fails for the simplest ones.
            TemplateLimit: it takes too much of something for any of them.
        """
        traits = self._simplest()
        traits = replace(traits, system=self._system(traits))
        self._check(traits)
        switches = tuple(name for name in _SWITCHES if self._looks_at(name, traits))
        traits = replace(traits, switches=switches)
        traits = replace(traits, needs_effort=self._needs_effort(traits))
        # From here on as prompts are by default.
        traits = replace(traits, trims=self._trims(traits))
        traits = self._with_tools(traits)
        traits = self._with_thoughts(traits)
        return replace(
            traits,
            shows_date=self._text(traits, [_says(0, "user")])
            != self._text(traits, [_says(0, "user")], now=_ANOTHER_DAY),
        )

    def _simplest(self) -> TemplateTraits:
        """What a single prompt needs to come out."""
        names_functions = "functions" in self.source and "datetime" in self.source
        tried = [
            TemplateTraits(wants_parts=parts, needs_tool_list=tools, names_functions=functions)
            for functions in (False, names_functions)
            for parts in (False, True)
            for tools in (False, True)
        ]
        return next((traits for traits in tried if self._keeps(traits, ("user",))), tried[0])

    def _check(self, traits: TemplateTraits) -> None:
        for roles in (("user",), _TALK, _WITH_SYSTEM):
            if not self._keeps(traits, roles):
                messages = [_says(number, role) for number, role in enumerate(roles)]
                self._rendered(traits, messages)  # its own words, if it refuses them
                raise TemplateError("the template does not keep every message, once and in order")

    def _keeps(self, traits: TemplateTraits, roles: Sequence[Role]) -> bool:
        """Whether all messages come out, once and in order."""
        messages = [_says(number, role) for number, role in enumerate(roles)]
        text = self._text(traits, messages)
        if text is None or "'text'" in text:  # a list of parts, printed as it is
            return False
        places = [text.find(message.content) for message in messages]
        once = all(text.count(message.content) == 1 for message in messages)
        return once and places == sorted(places)

    def _system(self, traits: TemplateTraits) -> SystemMessages:
        if self._keeps(replace(traits, system="anywhere"), _LATER_SYSTEM):
            return "anywhere"
        first = replace(traits, system="first")
        if self._keeps(first, ("system", "user")) and self._keeps(first, _WITH_SYSTEM):
            return "first"
        return "nowhere"

    def _trims(self, traits: TemplateTraits) -> tuple[Trim, ...]:
        trims = []
        tried: list[tuple[Role, Sequence[Role]]] = [("user", _TALK), ("assistant", _TALK)]
        if traits.system != "nowhere":
            tried.append(("system", _WITH_SYSTEM))
        for role, roles in tried:
            messages = [_says(place, each) for place, each in enumerate(roles)]
            number = roles.index(role)
            content = messages[number].content
            messages[number] = replace(messages[number], content=f"{_BEGIN}{content}{_END}")
            trims += _trim_in(self._text(traits, messages), role, content)
        return tuple(trims)

    # Tools.

    def _with_tools(self, traits: TemplateTraits) -> TemplateTraits:
        text = self._text(traits, [_says(0, "user")], tools=(_TOOL,)) or ""
        shown = replace(traits, shows_tools=_TOOL.name in text)
        for short_ids in (False, True):
            for as_text in (False, True):
                tried = replace(shown, arguments_as_text=as_text, short_ids=short_ids)
                if self._shows_call(tried):
                    return self._with_results(replace(tried, shows_calls=True))
        written = replace(shown, call_form=form_for(self.source))
        if written.shows_tools and written.call_form is not None and self._shows_call(written):
            return self._with_results(replace(written, shows_calls=True))
        return shown

    def _with_results(self, traits: TemplateTraits) -> TemplateTraits:
        text = self._call_loop(traits, result=f"{_BEGIN}qresultq{_END}")
        if "qresultq" not in text:
            return traits
        trims = (*traits.trims, *_trim_in(text, "tool", "qresultq"))
        return replace(traits, shows_results=True, trims=trims)

    def _call_loop(self, traits: TemplateTraits, *, result: str = "qresultq", **reply: Any) -> str:
        messages = [
            _says(0, "user"),
            ChatMessage(role="assistant", content="", tool_calls=(_CALL,), **reply),
            ChatMessage(role="tool", content=result, call_id=_CALL.id, name=_CALL.name),
        ]
        return self._text(traits, messages, tools=(_TOOL,)) or ""

    def _shows_call(self, traits: TemplateTraits) -> bool:
        """Whether name and arguments come out, and as JSON if they come out as an object."""
        _, _, call = self._call_loop(traits).rpartition("q0messageq")
        is_python = "'qvalueq'" in call or "'qnameq'" in call
        is_python_call = _PYTHON_CALL.search(call) is not None
        is_json_in_json = '\\"qvalueq\\"' in call
        is_whole = all(text in call for text in ("qtoolq", "qnameq", "qvalueq"))
        return is_whole and (is_python_call or not (is_python or is_json_in_json))

    # Thoughts.

    def _with_thoughts(self, traits: TemplateTraits) -> TemplateTraits:
        for name in _FIELDS:
            tried = replace(traits, reasoning_field=name)
            if (shown := self._thoughts(tried)) != "never":
                return replace(tried, shows_thoughts=shown)
        if "</think>" not in self.source:
            return traits
        in_content = replace(traits, reasoning_field="content")
        shown = self._thoughts(in_content)
        return replace(in_content, shows_thoughts=shown)

    def _thoughts(self, traits: TemplateTraits) -> Thoughts:
        first = ChatMessage(role="assistant", content="qonceq", reasoning="qfirstq")
        second = ChatMessage(role="assistant", content="qtwiceq", reasoning="qsecondq")
        talk = [_says(0, "user"), first, _says(2, "user"), second]
        traits = replace(traits, shows_thoughts="always")  # so that they are passed
        text = self._text(traits, talk, add_generation_prompt=False) or ""
        if "qfirstq" in text:
            return "always"
        if "qsecondq" in text or "qloopq" in self._call_loop(traits, reasoning="qloopq"):
            return "last"
        return "never"

    def _looks_at(self, name: str, traits: TemplateTraits) -> bool:
        if name not in self.source:
            return False
        talk = [_says(0, "user"), _says(1, "assistant"), _says(2, "user")]
        texts = {
            self._text(traits, talk, **({} if value is None else {name: value}))
            for value in _SWITCHES[name]
        }
        return len(texts - {None}) > 1

    def _needs_effort(self, traits: TemplateTraits) -> bool:
        """Whether a prompt closes the thought that it leaves open if an effort is given."""
        if "reasoning_effort" not in traits.switches:
            return False
        says = [_says(0, "user")]
        closed, *opened = [
            (text or "").rpartition(says[0].content)[2]
            for text in (
                self._text(traits, says),
                self._text(traits, says, reasoning_effort="low"),
                self._text(traits, says, reasoning_effort="high"),
            )
        ]
        return all(end and closed.startswith(end) and closed != end for end in opened)

    # Rendering.

    def _text(
        self,
        traits: TemplateTraits,
        messages: Sequence[ChatMessage],
        *,
        tools: Sequence[Tool] = (),
        now: datetime = _NOON,
        **variables: Any,
    ) -> str | None:
        try:
            return self._rendered(traits, messages, tools=tools, now=now, **variables)
        except TemplateLimit:
            raise  # it would not do better with a conversation
        except TemplateError:
            return None

    def _rendered(
        self,
        traits: TemplateTraits,
        messages: Sequence[ChatMessage],
        *,
        tools: Sequence[Tool] = (),
        now: datetime = _NOON,
        **variables: Any,
    ) -> str:
        return self.render(
            {
                "messages": messages_for(folded(messages, traits.system), traits, verbatim),
                "tools": tools_for(tools, verbatim) or traits.no_tools,
                **(functions_for(tools, verbatim, now) if traits.names_functions else {}),
                "add_generation_prompt": True,
                **switches_for("auto", traits),
                **variables,
            },
            now,
        )


def _trim_in(text: str | None, role: str, content: str) -> list[Trim]:
    """How a content between `_BEGIN` and `_END` was trimmed, if it was; JSON keeps its blanks."""
    if text is None or content not in text or f"\\t{content}\\t" in text:
        return []
    trim = Trim(
        role=role,
        begin=_blanks_off(f"{_BEGIN}{content}" in text, f"\t{content}" in text),
        end=_blanks_off(f"{content}{_END}" in text, f"{content}\t" in text),
    )
    return [] if trim.begin == trim.end == "none" else [trim]


def _blanks_off(has_all: bool, has_tabs: bool) -> Blanks:
    if has_all:
        return "none"
    return "newlines" if has_tabs else "all"


def _says(number: int, role: Role) -> ChatMessage:
    return ChatMessage(role=role, content=f"q{number}messageq")
