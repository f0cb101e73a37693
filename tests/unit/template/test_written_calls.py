"""Where a template leaves calls to the content, a call is written there as its model writes it."""

import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.options import TemplateOptions

_BASE: Final = (
    "{% if tools %}<|tools|>{{ tools | tojson }}<|end|>{% endif %}"
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SIGNS: Final = {
    "<|tool_list_start|>": '<|tool_call_start|>[look_up(word="tea", **{"a-b": [True, None]})]'
    "<|tool_call_end|>",
    "List of tools: [": '<|tool_call_start|>[look_up(word="tea", **{"a-b": [True, None]})]'
    "<|tool_call_end|>",
    "<|tool_call|>": '<|tool_call|>[{"name": "look_up", "arguments": {"word": "tea", '
    '"a-b": [true, null]}}]',
    "<|/tool_call|>": '<|tool_call|>[{"name": "look_up", "arguments": {"word": "tea", '
    '"a-b": [true, null]}}]<|/tool_call|>',
    "<tool_call></tool_call>": '<tool_call>\n{"name": "look_up", "arguments": {"word": "tea", '
    '"a-b": [true, null]}}\n</tool_call>',
}
_TOOL: Final = Tool(name="look_up", description="Looks up.", parameters='{"type": "object"}')
_CONTROLS: Final = (
    *("<|end|>", "<|assistant|>", "<|tool_call_start|>", "<|tool_call_end|>", "<|tool_call|>"),
    *("</tool_call>", "\ue0000", '"', "'", "\\", "\n", ")]", "</think>"),
)
_texts = st.lists(st.sampled_from(_CONTROLS) | st.text(max_size=3), min_size=1, max_size=6).map(
    lambda parts: "".join(parts).encode(errors="ignore").decode()
)


def _template(sign: str) -> ChatTemplate:
    return ChatTemplate(_BASE + f"{{# {sign} #}}")


def _call(arguments: str) -> ToolCall:
    return ToolCall(id="call_0", name="look_up", arguments=arguments)


def _loop(call: ToolCall, content: str = "") -> list[ChatMessage]:
    return [
        ChatMessage(role="user", content="Tea?"),
        ChatMessage(role="assistant", content=content, tool_calls=(call,)),
        ChatMessage(role="tool", content="A drink.", call_id="call_0", name="look_up"),
    ]


@pytest.mark.parametrize("sign", _SIGNS)
def test_a_call_stands_behind_the_text_of_its_reply(sign: str) -> None:
    template = _template(sign)
    call = _call('{"word": "tea", "a-b": [true, null]}')
    prompt = template.render(_loop(call, "I look."), TemplateOptions(tools=(_TOOL,)))
    text = "".join(part.text for part in prompt.texts)
    shown = f"<|assistant|>I look.{_SIGNS[sign]}<|end|><|tool|>A drink.<|end|><|assistant|>"
    assert text.endswith(shown)


@pytest.mark.parametrize("sign", _SIGNS)
def test_several_calls_of_one_reply_stand_together(sign: str) -> None:
    calls = (_call('{"word": "tea"}'), _call('{"word": "oats"}'))
    reply = ChatMessage(role="assistant", content="", tool_calls=calls)
    text = _template(sign).render_text([ChatMessage(role="user", content="?"), reply])
    assert text.index("tea") < text.index("oats")
    assert text.count("<|assistant|>") == 2


@given(sign=st.sampled_from(list(_SIGNS)), name=_texts, value=_texts)
def test_what_others_wrote_in_a_call_is_no_markup(sign: str, name: str, value: str) -> None:
    template = _templates[sign]
    call = _call(json.dumps({name: value, "word": [value]}))
    prompt = template.render(_loop(call, "I look."))
    plain = template.render(_loop(_call('{"x-y": "x y", "word": ["x y"]}'), "I look."))
    scaffold = "".join(part.text for part in prompt.texts if part.origin is None)
    for control in _CONTROLS[:6]:
        count = sum(p.text.count(control) for p in plain.texts if p.origin is None)
        assert scaffold.count(control) == count
    assert "".join(part.text for part in prompt.texts) == template.render_text(
        _loop(call, "I look.")
    )


_templates: Final = {sign: _template(sign) for sign in _SIGNS}


def test_tools_are_refused_where_nothing_says_how_a_call_is_written() -> None:
    template = _template("nothing")
    with pytest.raises(TemplateError, match="neither calls nor how"):
        template.render([ChatMessage(role="user", content="?")], TemplateOptions(tools=(_TOOL,)))


def test_tools_are_refused_where_results_of_calls_have_no_place() -> None:
    source = _BASE.replace("{% for m in messages %}", "{% for m in messages if m.role != 'tool' %}")
    template = ChatTemplate(source + "{# <|tool_call|> #}")
    with pytest.raises(TemplateError, match="no place for their results"):
        template.render([ChatMessage(role="user", content="?")], TemplateOptions(tools=(_TOOL,)))


def test_a_template_that_shows_calls_itself_keeps_its_own_way() -> None:
    source = _BASE.replace("{{ m.content }}", "{{ m.content }}{{ (m.tool_calls or []) | tojson }}")
    assert ChatTemplate(source + "{# <|tool_call|> #}").traits.call_form is None


def test_a_template_that_shows_no_tools_is_given_none() -> None:
    source = _BASE.partition("{% endif %}")[2] + "{# <|tool_call|> #}"
    traits = ChatTemplate(source).traits
    assert not traits.has_tools
    assert not traits.shows_calls
