"""What a template does is found out by trying it."""

from dataclasses import replace
from datetime import datetime
from typing import Final

import pytest

from shared.wire.messages import ChatMessage, Role
from shared.wire.parts import Tool
from shared.wire.turn_request import Thinking
from tests.unit.template import families
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.options import TemplateOptions
from worker.template.traits import Trim

PARTS: Final = (
    "{% for m in messages %}<|{{ m.role }}|>{% for part in m.content %}{{ part['text'] }}"
    "{% endfor %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
THINKS: Final = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.reasoning_content and loop.last %}<think>"
    "{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>"
    "{% if enable_thinking is defined and not enable_thinking %}</think>{% endif %}{% endif %}"
)
CUTS_OFF_THOUGHTS: Final = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
ROLES: Final[tuple[Role, ...]] = ("user", "assistant", "user")


def shown(template: ChatTemplate, options: TemplateOptions | None = None) -> str:
    prompt = template.render([ChatMessage(role="user", content="Hi")], options or TemplateOptions())
    return "".join(text.text for text in prompt.texts)


def test_results_are_trimmed_where_the_template_trims_them() -> None:
    source = families.TAGS.replace("{{ m.content }}", "{{ m.content | trim }}")
    assert Trim(role="tool", begin="all", end="all") in ChatTemplate(source).traits.trims
    in_json = families.TAGS.replace("{{ m.content }}", "{{ m.content | tojson }}")
    assert not ChatTemplate(in_json).traits.trims


def test_contents_as_lists_of_parts_are_found_out() -> None:
    assert ChatTemplate(PARTS).traits.wants_parts
    assert not ChatTemplate(families.CHATML).traits.wants_parts


def test_a_thought_that_is_only_shown_while_thinking_is_on_is_found_out() -> None:
    source = THINKS.replace("if m.reasoning_content and", "if enable_thinking and")
    traits = ChatTemplate(source.replace("{{ m.r", "{{ m.reasoning_content and m.r")).traits
    assert (traits.reasoning_field, traits.shows_thoughts) == ("reasoning_content", "last")


def test_a_thought_that_is_only_shown_beside_calls_while_thinking_is_on_is_found_out() -> None:
    source = families.TAGS.replace(
        "and m.reasoning_content and",
        "and enable_thinking and m.tool_calls and m.reasoning_content and",
    )
    traits = ChatTemplate(source).traits
    assert (traits.reasoning_field, traits.shows_thoughts) == ("reasoning_content", "last")


def test_a_thought_that_is_never_shown_leaves_nothing_in_front_of_its_reply() -> None:
    template = ChatTemplate(CUTS_OFF_THOUGHTS)
    assert (template.traits.reasoning_field, template.traits.shows_thoughts) == ("content", "never")
    talk = [ChatMessage(role=role, content="x") for role in ROLES]
    thoughtful = [replace(each, reasoning="y" * (each.role == "assistant")) for each in talk]
    assert template.render(thoughtful).texts == template.render(talk).texts
    assert template.render_text(thoughtful) == template.render_text(talk)


def test_thoughts_in_contents_are_passed_where_they_are_shown() -> None:
    template = ChatTemplate(families.CHATML + "{# </think> #}")
    assert template.traits.shows_thoughts == "always"
    talk = [ChatMessage(role=role, content="x", reasoning="y") for role in ROLES[:2]]
    assert "<think>\ny\n</think>\n\nx<|im_end|>" in template.render_text(talk)


def test_thinking_is_switched_by_the_templates_own_variable() -> None:
    template = ChatTemplate(THINKS)
    assert template.traits.switches == ("enable_thinking",)
    assert shown(template).endswith("<|assistant|><think>")
    assert shown(template, TemplateOptions(thinking="off")).endswith("<think></think>")
    variables = {"enable_thinking": False}
    assert shown(template, TemplateOptions(variables=variables)).endswith("<think></think>")


@pytest.mark.parametrize(
    ("thinking", "end"),
    [("auto", "<think>"), ("low", "<think>"), ("off", "<think></think>")],
)
def test_where_thinking_takes_an_effort_none_is_given_only_to_turn_it_off(
    thinking: Thinking, end: str
) -> None:
    source = THINKS.replace(
        "enable_thinking is defined and not enable_thinking", "not reasoning_effort"
    )
    template = ChatTemplate(source)
    assert template.traits.needs_effort
    assert shown(template, TemplateOptions(thinking=thinking)).endswith(f"<|assistant|>{end}")


def test_yesterdays_date_is_not_shown_today() -> None:
    days = iter([datetime(2024, 5, 6), datetime(2024, 5, 7)])
    day = next(days)
    source = "{{ strftime_now('%d %b') }}" + families.CHATML
    template = ChatTemplate(source, clock=lambda: day)
    assert template.traits.shows_date
    assert shown(template).startswith("06 May")
    day = next(days)
    assert shown(template).startswith("07 May")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (families.CHATML, "it has no place for tools"),
        (
            "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}" + families.CHATML,
            "it shows tools, but neither calls nor how its model writes them",
        ),
    ],
)
def test_tools_that_a_template_cannot_show_are_refused_by_name(source: str, reason: str) -> None:
    options = TemplateOptions(tools=(Tool(name="look"),))
    with pytest.raises(TemplateError, match=reason):
        shown(ChatTemplate(source), options)
