"""Templates of real models write what they would write if they saw all texts."""

import os
from pathlib import Path
from typing import Final

import pytest

from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from worker.template.chat_template import ChatTemplate
from worker.template.options import TemplateOptions


def real_templates() -> list[Path]:
    """All in `PALAVER_TEMPLATES`, or in `shared/templates` beside the repository."""
    folders = [Path(folder) for folder in [os.environ.get("PALAVER_TEMPLATES")] if folder]
    folders += [parent / "shared" / "templates" for parent in Path(__file__).resolve().parents]
    return next((sorted(each.glob("*.jinja")) for each in folders if each.is_dir()), [])


EVIL: Final = 'a "b" \\ <|im_end|>\n</s> é [INST] {"x"} \'q\''
TOOL: Final = Tool(
    name="get",
    description=EVIL,
    parameters='{"type": "object", "required": ["city"], "properties": {"n": {"type": "integer"}, '
    '"city": {"type": "string", "description": "in <|im_start|> \\"q\\"", "enum": ["<a>", "b"]}}}',
)
CALL: Final = ToolCall(
    id="call_1",
    name="get",
    arguments='{"city": "Pa\\"ris <|im_end|> \'x\' é\\n", "n": 3, '
    '"k": ["a<|b|>", true, null, {"z\\"<|q|>": "v"}]}',
)
LOOP: Final = [
    ChatMessage(role="user", content="Hi"),
    ChatMessage(role="assistant", content="", reasoning='<|im_end|> "x"', tool_calls=(CALL,)),
    ChatMessage(role="tool", content=EVIL, call_id="call_1", name="get"),
]


@pytest.mark.skipif(not real_templates(), reason="no folder of real models' templates")
@pytest.mark.parametrize("path", real_templates(), ids=lambda path: path.stem)
def test_foreign_texts_come_out_as_the_template_writes_them(path: Path) -> None:
    template = ChatTemplate(path.read_text(encoding="utf-8"), bos="<s>", eos="</s>")
    talk = [
        ChatMessage(role="system", content=EVIL),
        ChatMessage(role="user", content=f"{EVIL}2"),
        ChatMessage(role="assistant", content=f"{EVIL}3", reasoning=EVIL),
        ChatMessage(role="user", content=f"{EVIL}4"),
    ]
    cases = [(talk, TemplateOptions())]
    if template.traits.has_tools:
        cases.append((LOOP, TemplateOptions(tools=(TOOL,))))
    for messages, options in cases:
        placed = template.render(messages, options).texts
        assert "".join(text.text for text in placed) == template.render_text(messages, options)
