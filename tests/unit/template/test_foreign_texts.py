"""Whatever anybody writes, a prompt is what the template makes of it, and tells who wrote what."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from tests.unit.template import families
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateLimit
from worker.template.options import TemplateOptions
from worker.template.placed_text import PlacedText

TEMPLATES = {source: ChatTemplate(source, bos="<s>", eos="</s>") for source in families.ALL}
SHOWS_IDS = ChatTemplate(
    "{{ mood }}{{ tools }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ m.tool_call_id }}"
    "{% for call in m.tool_calls or [] %}{{ call.id }}{{ call.function | tojson }}{% endfor %}"
    "{% endfor %}"
)
CONTROLS = ("<|im_start|>", "<|im_end|>", "</s>", "[assistant]", "<think>", "</think>")
PLACEHOLDERS = ("\ue000", "\ue001", '\ue0000"\ue001', '\\ue0000"\\ue001', "\ue0000")
texts = st.lists(
    st.sampled_from((*CONTROLS, *PLACEHOLDERS, '"', "'", "\\", "\n", "&", "<", " ", "é", "a b"))
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    max_size=6,
).map("".join)
values: st.SearchStrategy[Any] = st.recursive(
    texts | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
# Names that are sorted by the template are compared by it; it sees only those that are harmless.
names = st.text("abcdefgh_", min_size=1, max_size=5)


def test_the_templates_have_what_is_tried() -> None:
    assert all(TEMPLATES[source].traits.has_tools for source in families.WITH_TOOLS)
    assert TEMPLATES[families.TAGS].traits.shows_thoughts == "last"
    trims = TEMPLATES[families.TAGGED_ARGUMENTS].traits.trims
    assert {trim.role for trim in trims} == {"system", "user", "assistant", "tool"}


@given(st.sampled_from(families.ALL), st.lists(texts.filter(str.strip), min_size=1, max_size=5))
def test_contents_come_out_as_they_are_and_apart(source: str, contents: list[str]) -> None:
    template = TEMPLATES[source]
    messages = [
        ChatMessage(role="assistant" if number % 2 else "user", content=content)
        for number, content in enumerate(contents)
    ]
    placed = template.render(messages).texts
    assert joined(placed) == template.render_text(messages)
    assert [text.text for text in placed if text.origin is not None] == [
        template.traits.trimmed(message.content, message.role) for message in messages
    ]
    assert [text.origin.message for text in placed if text.origin] == list(range(len(messages)))


@given(st.sampled_from(families.ALL), st.lists(texts.filter(str.strip), min_size=3, max_size=3))
def test_the_templates_own_text_is_the_same_whatever_is_said(
    source: str, contents: list[str]
) -> None:
    def scaffold(*contents: str) -> list[str]:
        messages = [
            ChatMessage(role="assistant" if number % 2 else "user", content=content)
            for number, content in enumerate(contents)
        ]
        return [t.text for t in TEMPLATES[source].render(messages).texts if t.origin is None]

    assert scaffold(*contents) == scaffold("One?", "Two.", "Three?")


@settings(max_examples=200)
@given(
    st.sampled_from(families.WITH_TOOLS),
    st.dictionaries(names, values, min_size=1, max_size=3),
    texts,
    texts.filter(str.strip),
    st.dictionaries(texts, values, max_size=2),
)
def test_calls_results_thoughts_and_tools_are_shown_as_the_template_would(
    source: str, arguments: dict[str, Any], thought: str, result: str, schema: dict[str, Any]
) -> None:
    call = ToolCall(id="call_1", name="weather", arguments=json.dumps(arguments))
    messages = [
        ChatMessage(role="user", content="Go"),
        ChatMessage(role="assistant", content="", reasoning=thought, tool_calls=(call,)),
        ChatMessage(role="tool", content=result, call_id="call_1", name="weather"),
    ]
    tool = Tool(name="weather", description=result, parameters=json.dumps(schema))
    options = TemplateOptions(tools=(tool,))
    placed = TEMPLATES[source].render(messages, options).texts
    if source != families.PRINTED:  # Python chooses its quotation marks by what is between them
        assert joined(placed) == TEMPLATES[source].render_text(messages, options)
    assert no_more_controls_than(TEMPLATES[source], placed)


@given(texts)
def test_ids_and_options_of_a_client_write_no_control_tokens(text: str) -> None:
    call = ToolCall(id=text, name=text or "x", arguments="{}")
    messages = [
        ChatMessage(role="user", content="Go"),
        ChatMessage(role="assistant", content="", tool_calls=(call,)),
        ChatMessage(role="tool", content="ok", call_id=text, name=text),
    ]
    placed = SHOWS_IDS.render(messages, TemplateOptions(variables={"mood": text})).texts
    own = "".join(part.text for part in placed if part.origin is None)
    assert not any(control in own for control in CONTROLS if control != "[assistant]")
    assert "".join(part.text for part in placed).startswith(f"{text}None[user]Go")


def test_two_messages_that_are_joined_are_told_apart() -> None:
    messages = [ChatMessage(role="user", content=content) for content in ("One", "Two")]
    placed = TEMPLATES[families.CHATML].render(messages).texts
    assert [(t.origin and t.origin.message, t.text) for t in placed] == [
        (None, "<|im_start|>user\n"),
        (0, "One"),
        (None, "\n\n"),
        (1, "Two"),
        (None, "<|im_end|>\n<|im_start|>assistant\n"),
    ]


def test_what_is_nested_too_deeply_is_refused() -> None:
    options = TemplateOptions(
        tools=(Tool(name="deep", parameters='{"a":' * 50_000 + "1" + "}" * 50_000),)
    )
    with pytest.raises(TemplateLimit, match="nested too deeply"):
        TEMPLATES[families.TAGS].render([ChatMessage(role="user", content="Go")], options)


def test_arguments_that_are_nested_too_deeply_are_shown_as_text() -> None:
    arguments = '{"a":' * 50_000 + "1" + "}" * 50_000
    call = ToolCall(id="1", name="deep", arguments=arguments)
    messages = [
        ChatMessage(role="user", content="Go"),
        ChatMessage(role="assistant", content="", tool_calls=(call,)),
        ChatMessage(role="tool", content="ok", call_id="1"),
    ]
    assert "\\ue000" not in joined(TEMPLATES[families.TAGS].render(messages).texts)


def joined(placed: tuple[PlacedText, ...]) -> str:
    return "".join(text.text for text in placed)


def no_more_controls_than(template: ChatTemplate, placed: tuple[PlacedText, ...]) -> bool:
    """Whether the template's own text holds no more control tokens than without foreign ones."""
    call = ToolCall(id="call_1", name="weather", arguments='{"a": "b"}')
    messages = [
        ChatMessage(role="user", content="Go"),
        ChatMessage(role="assistant", content="", reasoning="Hm", tool_calls=(call,)),
        ChatMessage(role="tool", content="ok", call_id="call_1", name="weather"),
    ]
    plain = template.render(messages, TemplateOptions(tools=(Tool(name="weather"),))).texts

    def count(texts: tuple[PlacedText, ...]) -> int:
        own = "".join(text.text for text in texts if text.origin is None)
        return sum(own.count(control) for control in CONTROLS)

    return count(placed) <= count(plain)
