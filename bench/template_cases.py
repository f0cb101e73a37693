"""Whether prompts are what plain Jinja makes of the same messages, as transformers calls it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

from shared.wire.messages import ChatMessage, Role
from shared.wire.parts import Tool, ToolCall
from worker.template.chat_template import ChatTemplate
from worker.template.conversation import functions_for, switches_for, verbatim
from worker.template.environment import TemplateError
from worker.template.options import NO_OPTIONS, TemplateOptions
from worker.template.traits import TemplateTraits

NOW: Final = datetime(2024, 5, 6, 12)
TOKENS: Final = {"bos_token": "<BOS>", "eos_token": "<EOS>"}
OK: Final = "ok"
NONE: Final = "-"
_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")
_THOUGHT: Final = "They want a number."
_ROLES: Final[Mapping[str, Sequence[Role]]] = {
    "u": ("user",),
    "su": ("system", "user"),
    "uau": ("user", "assistant", "user"),
    "suauau": ("system", "user", "assistant", "user", "assistant", "user"),
}
CASES: Final[Mapping[str, Sequence[ChatMessage]]] = {
    name: [ChatMessage(role=role, content=f"Say {n} & 'two'.") for n, role in enumerate(roles)]
    for name, roles in _ROLES.items()
} | {
    "edges": [
        ChatMessage(role="user", content="  One?\n\n"),
        ChatMessage(role="assistant", content="\n Two.  "),
        ChatMessage(role="user", content='\t{"three": "\\\\"}\n'),
    ]
}
_TOOL: Final = Tool(
    name="look_up",
    description="Looks up <a> word.",
    parameters='{"type": "object", "properties": {"word": {"type": "string"}}, '
    '"required": ["word"]}',
)
_CALL: Final = ToolCall(id="call00001", name="look_up", arguments='{"word": "tea"}')


class Plain:
    """A template in an environment that is set up as transformers documents it.

    Written apart from the worker's own, which is compared with it.
    """

    def __init__(self, source: str) -> None:
        environment = SandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, "jinja2.ext.loopcontrols"],
        )
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": _refuse, "strftime_now": NOW.strftime}
        self._template = environment.from_string(source)

    def text(self, messages: Sequence[Mapping[str, Any]], **variables: Any) -> str | None:
        """The prompt; None if the template refuses or fails."""
        given = {"tools": None, "documents": None, "add_generation_prompt": True}
        try:
            return self._template.render(messages=messages, **TOKENS, **(given | variables))
        except Exception:  # foreign programs may raise anything
            return None


class _Generation(Extension):
    tags = {"generation"}  # noqa: RUF012 - so jinja2 has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **({"ensure_ascii": False} | options))


def _refuse(reason: str) -> None:
    raise jinja2.TemplateRuntimeError(reason)


class Comparison:
    """Compares what a template makes of the same messages here and there."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self._traits = template.traits
        self._plain = Plain(template.source)
        self._switches = switches_for("auto", self._traits)

    def roles(self, case: str) -> str:
        """`ok`; `-` where plain Jinja refuses or loses a message; else how the texts differ."""
        messages = CASES[case]
        expected = self._text(
            [_as_given(message, self._traits.wants_parts) for message in messages]
        )
        if expected is None or not all(each.content.strip() in expected for each in messages):
            return NONE
        return _difference(expected, _prompt(self._template, messages))

    def thoughts(self) -> str:
        """`ok`; `-` where the template knows none; else how the texts differ."""
        problems = [self._thought(loop) for loop in (False, True)]
        known = [problem for problem in problems if problem != NONE]
        return next((problem for problem in known if problem != OK), OK) if known else NONE

    def _thought(self, is_loop: bool) -> str:
        if is_loop and not self._traits.has_tools:
            return NONE
        messages = _loop() if is_loop else _talk()
        options = TemplateOptions(tools=(_TOOL,)) if is_loop else NO_OPTIONS
        tools = [_tool()] if is_loop else self._traits.no_tools
        bare = [_with_calls(each, self._traits) for each in messages]
        shown = [self._with_thought(bare, messages, name, tools) for name in _FIELDS]
        expected = next((text for text in shown if text and _THOUGHT in text), None)
        if expected is None and self._traits.reasoning_field == "content":
            is_passed = self._traits.shows_thoughts != "never"
            given = [*map(_with_tags, bare, messages)] if is_passed else bare
            expected = self._text(given, tools=tools)
        if expected is None:
            prompt = _prompt(self._template, messages, options)
            return "shown, though the template drops it" if _THOUGHT in prompt else NONE
        return _difference(expected, _prompt(self._template, messages, options))

    def _with_thought(
        self,
        bare: Sequence[dict[str, Any]],
        messages: Sequence[ChatMessage],
        name: str,
        tools: Any,
    ) -> str | None:
        given = [
            {**fields, name: message.reasoning} if message.reasoning else fields
            for fields, message in zip(bare, messages, strict=True)
        ]
        return self._text(given, tools=tools)

    def tools(self) -> str:
        """`ok`; `-` where the template shows none; else how the texts differ."""
        messages = [ChatMessage(role="user", content="Look up tea.")]
        expected = self._text([_as_given(messages[0], self._traits.wants_parts)], tools=[_tool()])
        if expected is None or _TOOL.name not in expected:
            return NONE
        if not self._traits.has_tools:
            return "shown, but neither calls nor results"
        return _difference(expected, _prompt(self._template, messages, _WITH_TOOL))

    def _text(self, messages: Sequence[Mapping[str, Any]], **variables: Any) -> str | None:
        given = {"tools": self._traits.no_tools, **self._switches} | variables
        if self._traits.names_functions:
            tools = (_TOOL,) if given["tools"] else ()
            given |= functions_for(tools, verbatim, NOW)
        return self._plain.text(messages, **given)


_WITH_TOOL: Final = TemplateOptions(tools=(_TOOL,))


def _talk() -> list[ChatMessage]:
    return [
        ChatMessage(role="user", content="One?"),
        ChatMessage(role="assistant", content="Two.", reasoning=_THOUGHT),
        ChatMessage(role="user", content="Three?"),
    ]


def _loop() -> list[ChatMessage]:
    return [
        ChatMessage(role="user", content="Look up tea."),
        ChatMessage(role="assistant", content="", reasoning=_THOUGHT, tool_calls=(_CALL,)),
        ChatMessage(role="tool", content="A drink.", call_id=_CALL.id, name=_CALL.name),
    ]


def _as_given(message: ChatMessage, wants_parts: bool) -> dict[str, Any]:
    parts = [{"type": "text", "text": message.content}]
    return {"role": message.role, "content": parts if wants_parts else message.content}


def _with_calls(message: ChatMessage, traits: TemplateTraits) -> dict[str, Any]:
    as_text, form = traits.arguments_as_text, traits.call_form
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls and form is not None:
        calls = [(call.name, json.loads(call.arguments)) for call in message.tool_calls]
        fields["content"] += form.written(calls, str)
    elif message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.arguments if as_text else json.loads(call.arguments),
                },
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        fields |= {"tool_call_id": message.call_id, "name": message.name}
    return fields


def _with_tags(fields: dict[str, Any], message: ChatMessage) -> dict[str, Any]:
    """A thought inside the content, as clients send it back that know no member for thoughts."""
    if not message.reasoning:
        return fields
    content = f"<think>\n{message.reasoning}\n</think>\n\n{fields['content']}"
    return {**fields, "content": content}


def _tool() -> dict[str, Any]:
    function = {"name": _TOOL.name, "description": _TOOL.description}
    return {
        "type": "function",
        "function": {**function, "parameters": json.loads(_TOOL.parameters)},
    }


def _prompt(
    template: ChatTemplate,
    messages: Sequence[ChatMessage],
    options: TemplateOptions = NO_OPTIONS,
) -> str:
    """The text of the prompt that the worker would make."""
    try:
        return "".join(text.text for text in template.render(messages, options).texts)
    except TemplateError as error:
        return f"refused: {error}"


def _difference(expected: str, actual: str) -> str:
    if expected == actual:
        return OK
    pairs = zip(expected, actual, strict=False)
    shared = min(len(expected), len(actual))
    place = next((n for n, (a, b) in enumerate(pairs) if a != b), shared)
    around = slice(max(0, place - 20), place + 20)
    return f"{actual[around]!r} instead of {expected[around]!r}"
