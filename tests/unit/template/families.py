"""Small templates in the manner of the families of models."""

from typing import Final

CHATML: Final = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TAGS: Final = (
    "{% if tools %}<|im_start|>system\n<tools>{% for tool in tools %}\n{{ tool | tojson }}"
    "{% endfor %}\n</tools><|im_end|>\n{% endif %}"
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and m.reasoning_content and loop.index0 > ns.last %}"
    "<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}"
    "{% for call in m.tool_calls or [] %}\n<tool_call>\n"
    '{"name": {{ call.function.name | tojson }}, "arguments": '
    "{{ call.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
"""Thoughts behind the last prompt, calls as JSON in tags, a switch for thinking."""
TAGGED_ARGUMENTS: Final = (
    "{% if tools %}[tools]{% for tool in tools %}\n# {{ tool.function.description | replace('\n', "
    "'\n# ') }}\n{{ tool.function.name }}{% endfor %}[/tools]{% endif %}"
    "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}"
    "{% for call in m.tool_calls or [] %}<call={{ call.function.name }}>"
    "{% for name, value in call.function.arguments.items() %}<arg={{ name | e }}>"
    "{% if value is string %}{% if '<' in value %}<![CDATA[{{ value }}]]>{% else %}{{ value }}"
    "{% endif %}{% else %}{{ value | tojson(ensure_ascii=true) }}{% endif %}</arg>{% endfor %}"
    "</call>{% endfor %}</s>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
"""Trims; arguments one by one, in three notations."""
PRINTED: Final = (
    "{% if tools %}{{ tools }}{% endif %}{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% for call in m.tool_calls or [] %}{{ call.function.name }}({% for name, value in "
    "call.function.arguments | dictsort %}{{ name }}={{ value | tojson }},{% endfor %})"
    "{% endfor %}</s>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
"""Tools as Python writes them, arguments sorted."""
ALL: Final = (CHATML, TAGS, TAGGED_ARGUMENTS, PRINTED)
WITH_TOOLS: Final = (TAGS, TAGGED_ARGUMENTS, PRINTED)
