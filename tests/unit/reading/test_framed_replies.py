"""Models that write markup around answers too, or open thoughts in manners of their own."""

import json

import pytest

from bench.template_round_trip import OK, round_trip
from shared.wire.turn_request import ToolUse
from tests.unit.reading.readings import CLOCK, USE, WEATHER, read
from worker.engine.interface import ReplyReader
from worker.reading.reply_format import ReplyFormat, derive_format
from worker.template.chat_template import ChatTemplate

_TOOLS = "{% if tools %}<|system|>{{ tools | tojson }}<|end|>{% endif %}"
_JSON_CALLS = """{% if m.tool_calls %}<calls>[{% for c in m.tool_calls -%}
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\
{% if not loop.last %}, {% endif %}{% endfor %}]</calls>{% endif %}"""
_CHANNELS = (
    _TOOLS
    + """{% for m in messages %}<|open|>message of="{{ m.role }}"<|is|>\
{% if m.role == 'assistant' %}<|open|>thought<|is|>{{ m.reasoning_content }}<|close|>thought<|is|>\
<|open|>answer<|is|>{{ m.content }}<|close|>answer<|is|>"""
    + _JSON_CALLS
    + """{% else %}{{ m.content }}{% endif %}<|close|>message<|is|><|eom|>{% endfor %}\
{% if add_generation_prompt %}<|open|>message of="assistant"<|is|>\
{% if thinking is defined and not thinking %}<|open|>answer<|is|>\
{% else %}<|open|>thought<|is|>{% endif %}{% endif %}"""
)
_RECIPIENTS = (
    _TOOLS
    + """{% for m in messages %}{% if m.role == 'assistant' %}\
{% if m.reasoning_content %}<|start|>bot to=self<|text|>{{ m.reasoning_content }}<|eom|>{% endif %}\
{% for c in m.tool_calls or [] %}<|start|>bot to={{ c.function.name }}<|text|><calls>
<call name="{{ c.function.name }}">
{% for k, v in c.function.arguments.items() %}<value name="{{ k }}">\
{{ v if v is string else v | tojson }}</value>
{% endfor %}</call>
</calls>{% if loop.last %}<|eot|>{% else %}<|eom|>{% endif %}{% endfor %}\
{% if not m.tool_calls %}<|start|>bot to=user<|text|>{{ m.content }}<|eot|>{% endif %}\
{% else %}<|start|>{{ m.role }}<|text|>{{ m.content }}<|eot|>{% endif %}{% endfor %}\
{% if add_generation_prompt %}<|start|>bot{% endif %}"""
)
_MESSAGES = (
    _TOOLS
    + """{% for m in messages %}{% if m.role == 'assistant' %}\
{% if m.reasoning_content %}<|begin|>bot<|think|>{{ m.reasoning_content }}<|end|>{% endif %}\
{% if m.tool_calls %}<|begin|>bot<|calls|>{% for c in m.tool_calls %}<|call|>{{ c.id }}<|name|>\
{{ c.function.name }}<|args|>{{ c.function.arguments | tojson }}<|end_call|>{% endfor %}\
<|end_calls|>{% else %}<|begin|>bot<|answer|>{{ m.content }}<|end|>{% endif %}\
{% else %}<|begin|>{{ m.role }}<|answer|>{{ m.content }}<|end|>{% endif %}{% endfor %}\
{% if add_generation_prompt %}<|begin|>bot{% endif %}"""
)
_PLAIN_WORDS = (
    _TOOLS
    + """{% for m in messages %}<|{{ m.role }}|>
{% if m.reasoning_content %}{{ m.reasoning_content }}
[BEGIN ANSWER]
{% endif %}{{ m.content }}"""
    + _JSON_CALLS
    + """<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>
These are my thoughts:
{% endif %}"""
)
_OFF_BY_DEFAULT = (
    _TOOLS
    + """{% for m in messages %}<|{{ m.role }}|>\
{% if m.role == 'assistant' %}<think:x>{{ m.reasoning_content }}</think:x>{% endif %}\
{{ m.content }}"""
    + _JSON_CALLS
    + """<|end|>{% endfor %}\
{% if add_generation_prompt %}<|assistant|><think:x></think:x>{% endif %}"""
)
_BEGUN = (
    _TOOLS
    + """{% for m in messages %}<|{{ m.role }}|>\
{% if loop.last and m.role == 'assistant' and m.content %}<think>
{{ m.content }}<|end|>{% else %}{{ m.content.split('</think>')[-1] | trim }}"""
    + _JSON_CALLS
    + """<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|><think>
{% endif %}"""
)
TEMPLATES = {
    "elements with words": _CHANNELS,
    "recipients": _RECIPIENTS,
    "messages": _MESSAGES,
    "thoughts opened in plain words": _PLAIN_WORDS,
    "thoughts that are off": _OFF_BY_DEFAULT,
    "a last reply that is begun": _BEGUN,
}


def _format(name: str) -> ReplyFormat:
    return derive_format(ChatTemplate(TEMPLATES[name]))


def _reader(
    name: str, use: ToolUse, *, opening: str = "", schema: str | None = None
) -> ReplyReader:
    return _format(name).new_reader(
        opening=opening, tool_use=use, json_schema=schema, call_id=lambda index: f"call_{index}"
    )


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_in_the_manner_of_each_round_trip(name: str) -> None:
    result = round_trip(ChatTemplate(TEMPLATES[name]))
    assert (result.thought, result.call) == (OK, OK)


@pytest.mark.parametrize(
    ("name", "opening", "reply"),
    [
        ("elements with words", "<|open|>answer<|is|>", "A.<|close|>answer<|is|>"),
        (
            "elements with words",
            "<|open|>thought<|is|>",
            "<|close|>thought<|is|><|open|>answer<|is|>A.<|close|>answer<|is|>"
            "<|close|>message<|is|>",
        ),
        ("recipients", "<|start|>bot", " to=user<|text|>A."),
        ("messages", "<|begin|>bot", "<|answer|>A.<|end|>"),
        ("messages", "<|begin|>bot", "\n<|answer|>\nA."),
        ("thoughts that are off", "<think:x></think:x>", "A."),
    ],
)
def test_markup_around_an_answer_is_no_text(name: str, opening: str, reply: str) -> None:
    reply_format = _format(name)
    for pieces in ([reply], list(reply)):
        assert read(reply_format, pieces, opening=opening) == [("text", "A.")]


def test_two_answers_with_a_call_behind_them() -> None:
    reply = (
        "<|think|>Hm.<|end|><|begin|>bot<|answer|>I look.<|end|><|begin|>bot<|calls|>"
        "<|call|>x1<|name|>clock<|args|>{}<|end_call|><|end_calls|>"
    )
    for pieces in ([reply], list(reply)):
        assert read(_format("messages"), pieces, opening="<|begin|>bot") == [
            ("reasoning", "Hm."),
            ("text", "I look."),
            ("call", "clock {}"),
        ]


def test_a_thought_that_its_prompt_has_opened_in_words_ends_at_its_mark() -> None:
    reply = "First this.\n[BEGIN ANSWER]\nThat."
    opening = "<|assistant|>\nThese are my thoughts:\n"
    assert read(_format("thoughts opened in plain words"), list(reply), opening=opening) == [
        ("reasoning", "First this."),
        ("text", "That."),
    ]


def test_a_thought_that_is_opened_twice_is_one() -> None:
    reply = "<think>\nHm.\n</think>\n\nA."
    assert read(_format("a last reply that is begun"), list(reply), opening="<think>\n") == [
        ("reasoning", "Hm."),
        ("text", "A."),
    ]


def test_markup_that_is_cut_is_no_text_if_it_began_with_a_control_token() -> None:
    pieces = ["<|open|>", "answer", "<|is|>", "A.", "<|close|>", "ans"]
    controls = ("<|open|>", "<|is|>", "<|close|>")
    parts = read(_format("elements with words"), pieces, opening="", controls=controls)
    assert parts == [("text", "A.")]


def test_an_answer_that_has_to_be_json_begins_with_its_markup() -> None:
    reader = _reader("messages", ToolUse(), opening="<|begin|>bot", schema="{}")
    assert reader.take_forced() == "<|answer|>"


def test_behind_a_thought_an_answer_begins_with_the_markup_of_a_message() -> None:
    reader = _reader("messages", ToolUse(), opening="<|begin|>bot<|think|>", schema="{}")
    reader.push("Hm.<|end|>")
    assert reader.take_forced() == "<|begin|>bot<|answer|>"


@pytest.mark.parametrize(
    ("name", "begun", "expected"),
    [
        ("recipients", "", ' to=weather<|text|><calls>\n<call name="'),
        (
            "recipients",
            " to=self<|text|>Hm.<|eom|>",
            '<|start|>bot to=weather<|text|><calls>\n<call name="',
        ),
        ("messages", "<|think|>Hm.<|end|>", "<|begin|>bot<|calls|><|call|>"),
    ],
)
def test_a_forced_call_stands_where_the_template_would_have_it(
    name: str, begun: str, expected: str
) -> None:
    use = ToolUse(tools=(WEATHER,), choice="=weather")
    reader = _reader(name, use, opening="<|start|>bot" if name == "recipients" else "<|begin|>bot")
    if begun:
        reader.take_forced()
        reader.push(begun)
    assert reader.take_forced() == expected


def test_a_forced_call_has_an_id_where_the_model_writes_one() -> None:
    reader = _reader("messages", ToolUse(tools=(WEATHER, CLOCK), choice="required"))
    opening = reader.take_forced()
    assert opening == "<|calls|><|call|>"
    reader.push(opening)
    forced = reader.take_forced()
    assert forced == "call_0<|name|>"
    reader.push(forced)
    assert reader.grammar is not None
    assert "clock" in reader.grammar.text
    parts = [*reader.push("clock<|args|>{}<|end_call|>"), *reader.finish()]
    assert [json.loads(part.text)["name"] for part in parts if part.kind == "call"] == ["clock"]


def test_what_closes_a_thought_opens_the_answer() -> None:
    assert _format("elements with words").closing_of("<|open|>thought<|is|>") == (
        "<|close|>thought<|is|><|open|>answer<|is|>"
    )
    assert _format("elements with words").closing_of("<|open|>answer<|is|>") == ""
    assert _format("messages").closing_of("<|begin|>bot") == "<|answer|>"


@pytest.mark.parametrize("closing", ["</calls>", "</calls>\n<|stop|>", ""])
def test_a_call_needs_not_all_of_the_markup_behind_it(closing: str) -> None:
    source = _PLAIN_WORDS.replace("</calls>", "</calls><|stop|>")
    reply = '<calls>[{"name": "clock", "arguments": {}}]' + closing
    for pieces in ([reply], list(reply)):
        assert read(derive_format(ChatTemplate(source)), pieces) == [("call", "clock {}")]


@pytest.mark.parametrize(
    "reply",
    [
        '<calls><call name="weather"><value name="city">A</value></call></calls>',
        '<calls>\n\n<call name="weather">\n\n<value name="city">A</value>\n\n</call>\n\n</calls>\n',
        '<call name="weather">\n<value name="city">A</value>\n</call>',
        '<calls>\n<call name="weather">\n<value name="city">A</value>\n</call>',
    ],
)
def test_blanks_between_tags_do_not_count_nor_does_the_tag_around_a_call(reply: str) -> None:
    for pieces in ([reply], list(reply)):
        assert read(_format("recipients"), pieces) == [("call", 'weather {"city": "A"}')]


def test_a_value_may_spell_the_markup_that_closes_its_call() -> None:
    reply = (
        ' to=weather<|text|><calls>\n<call name="weather">\n<value name="city">a</call>\n</calls>b'
        "</value>\n</call>\n</calls>"
    )
    assert read(_format("recipients"), list(reply), use=USE) == [
        ("call", 'weather {"city": "a</call>\\n</calls>b"}')
    ]
