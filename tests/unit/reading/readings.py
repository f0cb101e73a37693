"""Chat templates in the manner of each family, and what readers make of text."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from shared.wire.parts import Tool, ToolCall
from shared.wire.turn_request import ToolUse
from worker.reading.reply_format import ReplyFormat, derive_format
from worker.template.chat_template import ChatTemplate

WEATHER: Final = Tool(
    name="weather",
    description="Tells the weather.",
    parameters='{"type": "object", "properties": {"city": {"type": "string"}, '
    '"days": {"type": "integer"}}, "required": ["city"]}',
)
CLOCK: Final = Tool(name="clock", description="Tells the time.", parameters='{"type": "object"}')
USE: Final = ToolUse(tools=(WEATHER, CLOCK))

_MESSAGES: Final = """
{%- if tools %}<|system|>{{ tools | tojson }}<|end|>{% endif %}
{%- for message in messages %}
  {%- if message.role == 'assistant' %}<|assistant|>
    {%- if message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>

{% endif %}{{ message.content or '' }}{% CALLS %}<|end|>
  {%- else %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}"""

_CALLS: Final = {
    "tagged JSON": """{% for c in message.tool_calls or [] %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}""",
    "list": """{% if message.tool_calls %}[TOOL_CALLS][{% for c in message.tool_calls -%}
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}, \
"id": "{{ c.id }}"}{% if not loop.last %}, {% endif %}{% endfor %}]{% endif %}""",
    "bare JSON": """{% for c in message.tool_calls or [] -%}
{"name": "{{ c.function.name }}", "parameters": {{ c.function.arguments | tojson }}}
{%- endfor %}""",
    "name and JSON": """{% for c in message.tool_calls or [] -%}
[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}""",
    "section": """{% if message.tool_calls %}<|calls|>{% for c in message.tool_calls -%}
<|call|>functions.{{ c.function.name }}:{{ loop.index0 }}<|args|>\
{{ c.function.arguments | tojson }}<|end_call|>{% endfor %}<|end_calls|>{% endif %}""",
    "tagged arguments": """{% for c in message.tool_calls or [] %}
<tool_call>
<function={{ c.function.name }}>
{% for k, v in c.function.arguments.items() %}<parameter={{ k }}>
{{ v if v is string else v | tojson }}
</parameter>
{% endfor %}</function>
</tool_call>{% endfor %}""",
    "keys and values": """{% for c in message.tool_calls or [] %}
<tool_call>{{ c.function.name }}
{% for k, v in c.function.arguments.items() %}<arg_key>{{ k }}</arg_key>
<arg_value>{{ v if v is string else v | tojson }}</arg_value>
{% endfor %}</tool_call>{% endfor %}""",
    "counted calls": """{% if message.tool_calls %}<|open|>calls<|is|>\
{% for c in message.tool_calls %}<|open|>call of="{{ c.function.name }}" \
number="{{ loop.index }}"<|is|>{% for k, v in c.function.arguments.items() %}\
<|open|>value of="{{ k }}" kind="{{ 'text' if v is string else 'data' }}"<|is|>\
{{ v if v is string else v | tojson }}<|close|>value<|is|>{% endfor %}\
<|close|>call<|is|>{% endfor %}<|close|>calls<|is|>{% endif %}""",
    "tags named by keys": """\
{% macro shown(v) %}{% if v is mapping %}\
{% for k, w in v.items() %}<{{ k }}>{{ shown(w) }}</{{ k }}>{% endfor %}\
{% elif v is string %}{{ v }}{% elif v is iterable %}\
{% for w in v %}<one>{{ shown(w) }}</one>{% endfor %}{% else %}{{ v | tojson }}{% endif %}\
{% endmacro %}{% if message.tool_calls %}<calls>
{% for c in message.tool_calls %}<call name="{{ c.function.name }}">\
{{ shown(c.function.arguments) }}</call>
{% endfor %}</calls>{% endif %}""",
    "id in front": """{% if message.tool_calls %}<|calls|>{% for c in message.tool_calls -%}
<|call|>{{ c.id }}<|name|>{{ c.function.name }}<|args|>{{ c.function.arguments | tojson }}\
<|end_call|>{% endfor %}<|end_calls|>{% endif %}""",
    "Python": """{% if message.tool_calls %}<|calls|>[{% for c in message.tool_calls -%}
{{ c.function.name }}({% for k, v in c.function.arguments.items() %}{{ k }}=\
{% if v is string %}'{{ v }}'{% elif v is mapping %}{{ v | tojson }}{% else %}{{ v }}{% endif %}\
{% if not loop.last %}, {% endif %}{% endfor %}){% if not loop.last %}, {% endif %}\
{% endfor %}]<|end_calls|>{% endif %}""",
    "Python in contents": "{# calls begin with <|tool_call_start|> #}",
    "JSON in contents": "{# answer with <|tool_call|> and a list #}",
}
FAMILIES: Final = tuple(_CALLS)


VALID: Final = {
    "tagged JSON": '<tool_call>\n{"name": "weather", "arguments": {"city": "A}"}}\n</tool_call>',
    "list": '[TOOL_CALLS][{"name": "clock", "arguments": {}, "id": "a1"}, '
    '{"name": "weather", "arguments": {"city": "]"}}]',
    "bare JSON": '{"name": "weather", "parameters": {"city": "A"}}',
    "name and JSON": '[TOOL_CALLS]clock[ARGS]{}[TOOL_CALLS]weather[ARGS]{"city": "[ARGS]"}',
    "section": "<|calls|><|call|>functions.clock:0<|args|>{}<|end_call|><|call|>functions."
    'weather:1<|args|>{"city": "A"}<|end_call|><|end_calls|>',
    "tagged arguments": "<tool_call>\n<function=weather>\n<parameter=city>\nA\n</parameter>\n"
    "</function>\n</tool_call>",
    "keys and values": "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>A</arg_value>\n"
    "</tool_call>",
    "counted calls": '<|open|>calls<|is|><|open|>call of="weather" number="1"<|is|>'
    '<|open|>value of="city" kind="text"<|is|>A<|close|>value<|is|><|close|>call<|is|>'
    "<|close|>calls<|is|>",
    "tags named by keys": '<calls>\n<call name="weather"><city>A</city></call>\n</calls>',
    "id in front": "<|calls|><|call|>a1<|name|>clock<|args|>{}<|end_call|><|call|>b2<|name|>"
    'weather<|args|>{"city": "A"}<|end_call|><|end_calls|>',
    "Python": "<|calls|>[clock(), weather(days=2, city='A')]<|end_calls|>",
    "Python in contents": '<|tool_call_start|>[clock(), weather(city="A")]<|tool_call_end|>',
    "JSON in contents": '<|tool_call|>[{"name": "weather", "arguments": {"city": "A"}}]',
}
"""A call, or two, as a model of each family writes it."""


def template_of(family: str) -> ChatTemplate:
    """A template whose calls are written in the manner of a family."""
    source = _MESSAGES.replace("{% CALLS %}", _CALLS[family])
    if family == "bare JSON":  # such templates show no text beside a call
        source = source.replace(
            "message.content or ''", "'' if message.tool_calls else message.content"
        )
    return ChatTemplate(source)


def format_of(family: str) -> ReplyFormat:
    """What is derived from it."""
    return derive_format(template_of(family))


def read(
    reply_format: ReplyFormat,
    pieces: Iterable[str],
    *,
    opening: str = "<|assistant|>",
    use: ToolUse = USE,
    controls: Sequence[str] = (),
    is_whole: bool = True,
) -> list[tuple[str, str]]:
    """The parts of a reply, neighbours of one kind joined; a call as `name arguments`.

    Args:
        is_whole: whether it has ended, so that nothing is held back any more.
    """
    reader: Any = reply_format.new_reader(
        opening=opening, tool_use=use, json_schema=None, call_id=lambda index: f"call_{index}"
    )
    parts = []
    for piece in pieces:
        parts += reader.push(piece, is_control=piece in controls)
    if is_whole:
        parts += reader.finish()
    joined: list[tuple[str, str]] = []
    for part in parts:
        text = part.text
        if part.kind == "call":
            call = ToolCall.decode(text)
            text = f"{call.name} {call.arguments}"
        elif joined and joined[-1][0] == part.kind:
            text = joined.pop()[1] + text
        joined.append((part.kind, text))
    return joined
